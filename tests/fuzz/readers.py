"""Every reader of what comes from outside, with sound inputs to damage. EdgeAppError is an expected result.

`read` gets damaged bytes. A reader that needs a file gets one in a folder of its own.
"""

import hashlib
import io
import json
import random
import re
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from edge_app.colanet import snapshot
from edge_app.config import load_config
from edge_app.datasets.dataset import Dataset
from edge_app.datasets.pictures import decode_image, decode_thumbnail
from edge_app.devices import CAMERAS, make_camera
from edge_app.devices.mjpeg import PartReader, decode_picture
from edge_app.encoder.graph import cut_at_embedding
from edge_app.encoder.model import read_manifest
from edge_app.errors import EdgeAppError
from edge_app.events.samples import read_sample
from edge_app.labels import check_label
from edge_app.mqtt import commands, offers
from edge_app.simulation.devices import SimulatedClock
from edge_app.storage import snapshots
from edge_app.storage.backup import Backup
from edge_app.storage.exchange import Archive
from edge_app.storage.folder import DATABASE
from edge_app.storage.records import Binding, NewExample
from edge_app.storage.restore import StagedRestore
from edge_app.storage.store import Store
from edge_app.web.tokens import Tokens
from support.event_files import sample

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "tests" / "encoder" / "models"


class Reader(NamedTuple):
    """A reader, and inputs that it accepts."""

    seeds: Callable[[], list[bytes]]
    read: Callable[[bytes, Path], object]
    """Called with an input and a folder that it may write to. Raises nothing but EdgeAppError."""


@cache
def _picture() -> Image.Image:
    chance = np.random.default_rng(0)
    return Image.fromarray(cv2.GaussianBlur(chance.integers(0, 256, (40, 56, 3), np.uint8), (9, 9), 3))


def pictures() -> list[bytes]:
    """Small pictures in every format that is read, some with the metadata that decoders stumble over."""
    found = []
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, options in (
        ("JPEG", {"exif": exif}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"exif": exif}),
        ("BMP", {}),
        ("TIFF", {}),
        ("GIF", {}),
    ):
        file = io.BytesIO()
        _picture().save(file, kind, **options)
        found.append(file.getvalue())
    for mode in ("CMYK", "L", "1", "P", "LA", "RGBA", "I;16"):
        file = io.BytesIO()
        image = _picture().convert("L").convert("I;16") if mode == "I;16" else _picture().convert(mode)
        image.save(file, "TIFF" if mode in ("CMYK", "I;16") else "PNG")
        found.append(file.getvalue())
    found.append(b"DDS " + struct.pack("<7I", 124, 0x1007, 40, 56, 0, 0, 0) + bytes(96))
    return found


def videos() -> list[bytes]:
    """Short videos as OpenCV can write them."""
    import tempfile

    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, code in (("v.avi", "MJPG"), ("v.mp4", "mp4v"), ("v.mkv", "MJPG")):
            path = Path(folder) / name
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 10, (64, 48))
            for index in range(6):
                writer.write(np.full((48, 64, 3), 30 * index, np.uint8))
            writer.release()
            if path.is_file() and path.stat().st_size:
                found.append(path.read_bytes())
    return found


def video(data: bytes, folder: Path) -> None:
    """Open a file as a video and play up to three seconds of it."""
    from edge_app.devices.video import VideoCamera

    path = folder / "video"
    path.write_bytes(data)
    with VideoCamera(path, SimulatedClock()) as camera:
        for _ in range(30):
            if camera.read(20.0) is None:
                return


def multipart(data: bytes, folder: Path) -> None:
    """Take all pictures out of a motion JPEG stream."""
    source = io.BytesIO(data)
    parts = PartReader(lambda: source.read(1000), b"cut")
    with suppress(EOFError):
        while True:
            part = parts.next()
            with suppress(EdgeAppError):
                decode_picture("http://camera/", part)


def _multipart() -> bytes:
    jpegs = pictures()[:2] * 2
    return b"".join(
        b"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(j), j) for j in jpegs
    )


def export() -> bytes:
    """An export of two examples of two values each."""
    manifest = {
        "format": "edge-app examples",
        "version": 1,
        "encoder": {"name": "e", "sha256": "0" * 64, "embedding_size": 2},
        "embeddings_sha256": hashlib.sha256(b"abcd").hexdigest(),
        "examples": [{"label": label, "time_ns": 1, "source": "s", "thumbnail": None} for label in "aa"],
        "order": [0, 1],
    }
    return _export_of(json.dumps(manifest).encode())


def _export_of(manifest: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("manifest.json", manifest)
        made.writestr("manifest.sha256", hashlib.sha256(manifest).hexdigest())
        made.writestr("embeddings.bin", b"abcd")
    return file.getvalue()


def archive(data: bytes, folder: Path) -> None:
    """Open an export."""
    path = folder / "examples.zip"
    path.write_bytes(data)
    Archive(path).close()


def manifest_in_export(data: bytes, folder: Path) -> None:
    """Open a sound zip file around a damaged manifest."""
    archive(_export_of(data), folder)


def _manifest_json() -> bytes:
    with zipfile.ZipFile(io.BytesIO(export())) as archive:
        return archive.read("manifest.json")


@cache
def _database() -> bytes:
    """The database of a state with two examples of two values each."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / DATABASE
        with Store.create(path, Binding("e", "0" * 64, 2, "1" * 64, "2" * 64, {})) as store:
            store.commit("teach", 1, add=[NewExample(values, "a", 1, "s", b"jpeg") for values in (b"ab", b"cd")])
        return path.read_bytes()


def _backup_of(database: bytes, manifest: bytes | None = None) -> bytes:
    """A backup with right checksums around a database, or around a manifest."""
    sums = {DATABASE: {"bytes": len(database), "sha256": hashlib.sha256(database).hexdigest()}}
    told = {"format": "edge-app backup", "version": 1, "program": "1", "created_ns": 1, "classes": {"a": 2}}
    text = manifest or json.dumps(told | {"encoder": {"name": "e", "sha256": "0" * 64}, "files": sums}).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("backup.json", text)
        made.writestr("backup.sha256", hashlib.sha256(text).hexdigest())
        made.writestr(DATABASE, database)
    return file.getvalue()


def _backup_manifest() -> bytes:
    with zipfile.ZipFile(io.BytesIO(_backup_of(_database()))) as made:
        return made.read("backup.json")


def backup(data: bytes, folder: Path) -> None:
    """Unpack and check a backup."""
    path = folder / "backup.zip"
    path.write_bytes(data)
    with Backup(path, 1 << 20) as found, StagedRestore(folder, found):
        pass


def offer(data: bytes, folder: Path) -> None:
    """Unpack an offer, and one with a sound head around the same bytes."""
    with suppress(EdgeAppError):
        offers.unpack(data, None)
    offers.unpack(offers.pack("one", "a", 2, 1, data, None), None)


def command(data: bytes, folder: Path) -> None:
    """Parse a payload as each command."""
    for name in (*commands.SPECS, "nonsense"):
        with suppress(EdgeAppError):
            commands.parse(name, data, "administer")


def configuration(data: bytes, folder: Path) -> None:
    """Load a configuration file."""
    path = folder / "config.toml"
    path.write_bytes(data)
    load_config(path, {})


def _configurations() -> list[bytes]:
    shipped = (ROOT / "systemd" / "config.toml").read_text(encoding="utf-8")
    keys = "\n".join(line.removeprefix("#") for line in shipped.splitlines() if " = " in line or line.startswith("["))
    return [keys.encode(), b'[camera]\nuri = "sim:"\nregion = [0.0, 0.0, 1.0, 1.0]\n[buttons.classes]\na = "cup"\n']


def dataset(data: bytes, folder: Path) -> None:
    """Open a data set in a zip or tar file, and read its pictures."""
    path = folder / "set.zip"
    path.write_bytes(data)
    with Dataset(path) as found:
        for item in found.items[:8]:
            with suppress(EdgeAppError):
                decode_image(found.read(item))


def _datasets() -> list[bytes]:
    jpeg, png = pictures()[0], pictures()[2]
    names = [f"train/{label}/{index}.jpg" for label in ("cup", "pen") for index in range(2)]
    files: list[dict[str, bytes]] = [
        dict.fromkeys(names, jpeg) | {"train/cup/a.png": png},
        {"labels.csv": b"path,label\na.jpg,cup\nb.jpg,pen\n", "a.jpg": jpeg, "b.jpg": jpeg},
        {f"{label}-!-{index}.jpg": jpeg for label in ("cup", "pen") for index in range(2)} | {"manifest.json": b"{}"},
        {
            "info.labels": json.dumps(
                {"version": 1, "files": [{"path": f"{n}.jpg", "label": {"type": "label", "label": n}} for n in "ab"]}
            ).encode(),
            "a.jpg": jpeg,
            "b.jpg": jpeg,
        },
    ]
    found = []
    for contents in files:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as made:
            for name, content in contents.items():
                made.writestr(name, content)
        found.append(file.getvalue())
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in files[0].items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return [*found, file.getvalue()]


def tokens(data: bytes, folder: Path) -> None:
    """Read a file of tokens."""
    path = folder / "tokens.json"
    path.write_bytes(data)
    path.chmod(0o600)
    assert Tokens(path).role_of("x") is None


def model(data: bytes, folder: Path) -> None:
    """Read a TFLite file's graph, and cut it; what runs it is tried apart (encoder/test_apart.py)."""
    cut_at_embedding(data)


def model_manifest(data: bytes, folder: Path) -> None:
    """Read a model's manifest."""
    path = folder / "m.toml"
    path.write_bytes(data)
    read_manifest(path)


def _model_manifests() -> list[bytes]:
    paths = sorted((ROOT / "firmware_models").glob("*.toml"))
    return [re.sub(rb'^name = ".*"', b'name = "m"', path.read_bytes(), flags=re.MULTILINE) for path in paths]


def uri(data: bytes, folder: Path) -> None:
    """Make, and do not open, the camera of each scheme with damaged details."""
    text = data.decode("utf-8", "replace")
    for scheme in (*CAMERAS, text[:8]):
        with suppress(EdgeAppError):
            make_camera(f"{scheme}:{text}", SimulatedClock())


def label(data: bytes, folder: Path) -> None:
    """Check the name of a class."""
    with suppress(UnicodeDecodeError):
        check_label(data.decode("utf-8", "surrogatepass"))  # with half characters
    check_label(data.decode("utf-8", "replace"))


def _snapshot() -> bytes:
    return snapshot.pack({"version": 1, "labels": ["a"]}, {"w": np.arange(40, dtype=np.int16).reshape(4, 10)})


def event_sample(data: bytes, folder: Path) -> None:
    """Read a sample of ES-ImageNet."""
    path = folder / "sample.npz"
    path.write_bytes(data)
    read_sample(path)


READERS: dict[str, Reader] = {
    "picture": Reader(pictures, lambda data, folder: decode_image(data)),
    "thumbnail": Reader(lambda: pictures()[:2], lambda data, folder: decode_thumbnail(data)),
    "data set": Reader(_datasets, dataset),
    "event sample": Reader(lambda: [sample([[1, 2, 3]] * 9, [[4, 5, 6]] * 9)], event_sample),
    "camera picture": Reader(lambda: pictures()[:3], lambda data, folder: decode_picture("http://camera/", data)),
    "video": Reader(videos, video),
    "motion JPEG": Reader(lambda: [_multipart()], multipart),
    "export": Reader(lambda: [export()], archive),
    "export's manifest": Reader(lambda: [_manifest_json()], manifest_in_export),
    "backup": Reader(lambda: [_backup_of(_database())], backup),
    "backup's database": Reader(lambda: [_database()], lambda data, folder: backup(_backup_of(data), folder)),
    "backup's manifest": Reader(
        lambda: [_backup_manifest()], lambda data, folder: backup(_backup_of(_database(), data), folder)
    ),
    "offer": Reader(lambda: [export(), offers.pack("one", "a", 2, 1, export(), None)], offer),
    "MQTT command": Reader(
        lambda: [b'{"label": "cup", "request": "1"}', b'{"examples": [1, 2], "label": "\xc3\xa4", "to": "x"}', b"{}"],
        command,
    ),
    "configuration": Reader(_configurations, configuration),
    "tokens": Reader(
        lambda: [json.dumps({"tokens": {"view": {"sha256": "a" * 64, "made_s": 1}}, "sessions": []}).encode()], tokens
    ),
    "model": Reader(lambda: [path.read_bytes() for path in sorted(MODELS.glob("*.tflite"))], model),
    "model's manifest": Reader(_model_manifests, model_manifest),
    "camera address": Reader(
        lambda: [b"//me:s3cret@host:80/a?b=c#timeout=2s,transport=udp", b"/dev/video0?size=640x480,fps=30", b"seed=3"],
        uri,
    ),
    "class name": Reader(lambda: [b"cup", "Täßchen 茶".encode(), b"..", b"a/b"], label),
    "network snapshot": Reader(lambda: [_snapshot()], lambda data, folder: snapshot.unpack(data)),
    "snapshot file": Reader(
        lambda: [snapshots.pack(snapshots.SnapshotKey("0", "1", "2", "3", 4, "5"), _snapshot())],
        lambda data, folder: snapshots.unpack(data),
    ),
}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return `data` with some bits flipped, and parts cut, overwritten, inserted or repeated."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(found) + 1)
        match chance.choice(("flip", "flip", "cut", "end", "write", "number", "repeat", "insert")):
            case "flip" if place < len(found):
                found[place] ^= 1 << chance.randrange(8)
            case "cut":
                del found[place : place + chance.choice((1, 4, 100, 5000))]
            case "end" if chance.random() < 0.2:
                del found[place:]
            case "write":
                found[place : place + 4] = chance.randbytes(4)
            case "number":
                value = chance.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000))
                found[place : place + 4] = value.to_bytes(4, chance.choice(("little", "big")))
            case "repeat":
                found[place:place] = found[place : place + chance.choice((2, 16, 300))]
            case "insert":
                found[place:place] = chance.choice(
                    (b"\0", b"\xff", b'"', b"{", b"[", b"\r\n", b"\xed\xa0\x80", b"1e999", b"-1", chance.randbytes(9))
                )
    return bytes(found)


def inputs(reader: Reader, first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """Yield (seed, input) for the seeds first..last - 1; the same seed gives the same input."""
    seeds = reader.seeds()
    for seed in range(first, last):
        chance = random.Random(seed)
        data = chance.choice(seeds) if chance.random() < 0.97 else chance.randbytes(chance.randrange(300))
        yield seed, damaged(data, chance)
