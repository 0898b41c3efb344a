"""Coverage-guided fuzzing of the readers of exports, offers, configurations and token files. Needs atheris.

    pip install atheris; PYTHONPATH=tests python tests/web/coverage_fuzz.py -runs=100000 -max_len=4096

EdgeAppError is an expected result; any other exception stops the run, and so do more than 16 MB for a file with a wrong
directory. libFuzzer saves the input.
"""

import io
import json
import sys
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import atheris

from support.lying_zip import bomb, claiming, within

with atheris.instrument_imports(include=["edge_app", "zipfile", "tomllib", "json"], enable_loader_override=False):
    from edge_app.config import Config, load_config
    from edge_app.errors import EdgeAppError
    from edge_app.mqtt.offers import pack, unpack
    from edge_app.storage.exchange import Archive
    from edge_app.web.tokens import Tokens

FOLDER = Path(tempfile.mkdtemp(prefix="edge-app-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
MANIFEST = {
    "format": "edge-app examples",
    "version": 1,
    "encoder": {"name": "e", "sha256": "0" * 64, "embedding_size": 2},
    "embeddings_sha256": "",
    "examples": [{"label": "a", "time_ns": 1, "source": "s", "thumbnail": None}],
    "order": [0],
}


BOMB = bomb("manifest.json", manifest_sha256=b"0" * 64, embeddings_bin=b"00")


def archive(data: bytes) -> None:
    path = FOLDER / "examples.zip"
    path.write_bytes(data)
    Archive(path).close()


def manifest(data: bytes) -> None:
    """A whole zip file with right checksums around a manifest."""
    import hashlib

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("manifest.json", data)
        made.writestr("manifest.sha256", hashlib.sha256(data).hexdigest())
        made.writestr("embeddings.bin", data[:2])
    archive(file.getvalue())


def offer(data: bytes) -> None:
    """A message of another device, with a right header around the zip file."""
    with suppress(EdgeAppError):
        unpack(data, None)
    unpack(pack("one", "a", 1, 1, data, None), None)


def directory(data: bytes) -> None:
    """A zip file of 64 MB whose directory claims another size, and any checksum."""
    size = int.from_bytes(data[:4], "little") >> data[4] % 32 if len(data) > 4 else 0
    forged = claiming(BOMB, "manifest.json", size, data[5:])
    for read in (archive, offer):
        with within(16 << 20), suppress(EdgeAppError):
            read(forged)


def configuration(data: bytes) -> None:
    path = FOLDER / "config.toml"
    path.write_bytes(data)
    assert isinstance(load_config(path, {}), Config)


def tokens(data: bytes) -> None:
    path = FOLDER / "tokens.json"
    path.write_bytes(data)
    path.chmod(0o600)
    assert Tokens(path).role_of("x") is None


TARGETS = (archive, manifest, configuration, tokens, offer, directory)


def one(data: bytes) -> None:
    """Give an input to the reader that its first byte names."""
    if not data:
        return
    with suppress(EdgeAppError):
        TARGETS[data[0] % len(TARGETS)](data[1:])


def main() -> None:
    """Fuzz, beginning with what is right."""
    corpus = FOLDER / "corpus"
    corpus.mkdir()
    shipped = (Path(__file__).parents[2] / "systemd" / "config.toml").read_bytes()
    seeds = [
        b"\x01" + json.dumps(MANIFEST).encode(),
        b"\x02" + shipped[:3000],
        b'\x02[camera]\nuri = "sim:"\nregion = [0.0, 0.0, 1.0, 1.0]\n[web]\nhost = "::1"\nproxies = ["10.0.0.0/8"]\n',
        b"\x03" + json.dumps({"tokens": {"view": {"sha256": "a" * 64, "made_s": 1}}, "sessions": []}).encode(),
        b"\x05" + bytes((232, 3, 0, 0, 0)) + b"{}",
    ]
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    atheris.Setup([*sys.argv, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
