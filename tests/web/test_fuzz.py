"""Random and damaged input neither crashes the device nor changes what was taught; EDGE_APP_FUZZ sets the number."""

import io
import json
import os
import re
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_app.config import Config, WebConfig, load_config
from edge_app.datasets.pictures import decode_image
from edge_app.errors import EdgeAppError, InputError
from edge_app.web.tokens import Tokens
from support.device import Device
from support.lying_zip import bomb, claiming, within
from support.served import Served, api
from support.simple_network import open_learner
from support.visits import record

INPUTS = int(os.environ.get("EDGE_APP_FUZZ", "40"))
fuzzed = settings(
    max_examples=INPUTS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=INPUTS < 1000,
)

SHIPPED = (Path(__file__).parents[2] / "systemd" / "config.toml").read_text(encoding="utf-8")
UNCOMMENTED = re.sub(r"(?m)^#(\w+ = )", r"\1", SHIPPED)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=120),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=12,
)


plain = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)
toml_values = (
    st.booleans() | st.integers() | st.floats() | plain | st.lists(st.integers() | st.floats() | plain, max_size=5)
)


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """Return some bytes with bits flipped, parts cut, inserted and copied."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(found) - 1)))
        what = draw(st.sampled_from(("flip", "cut", "write", "copy")))
        if what == "flip" and found:
            found[place] ^= 1 << draw(st.integers(0, 7))
        elif what == "cut":
            del found[place : place + draw(st.integers(1, 2000))]
        elif what == "write":
            found[place:place] = draw(st.binary(max_size=40))
        else:
            found[place:place] = found[draw(st.integers(0, max(0, len(found) - 1))) :][:200]
    return bytes(found)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A device that was taught two classes."""
    folder = tmp_path_factory.mktemp("fuzzed")
    with (
        open_learner(folder) as learner,
        Device(folder, learner, fps=10) as device,
        Served(device, WebConfig(enabled=True, port=0), folder / "tokens.json") as served,
    ):
        served.server._policy._limiter._rate = served.server._policy._limiter._burst = 1e9
        for label in ("cup", "pen", "cup"):
            served.control.teach(label)
        device.see(record(None), record("pen", 1))
        yield served


def refusal(work: Callable[[], object], kind: type, otherwise: str) -> str:
    """Return the message of the EdgeAppError that `work` raises, or `otherwise` when it raises none."""
    try:
        assert isinstance(work(), kind)
    except EdgeAppError as error:
        return str(error)
    return otherwise


def what_was_taught(served: Served) -> Any:
    return served.device.learner.history(), [example[:4] for example in served.device.learner.examples()]


BODIES = (
    ("POST", "/classes/cup/teach"),
    ("POST", "/classes/cup/rename"),
    ("POST", "/classes/cup/merge"),
    ("POST", "/undo"),
    ("POST", "/examples/relabel"),
    ("POST", "/examples/forget"),
    ("POST", "/visits/teach"),
    ("POST", "/tray/teach"),
    ("POST", "/tray/dismiss"),
    ("POST", "/session"),
)
NAMES = ("frame", "to", "into", "action", "ids", "label", "token")


@fuzzed
@given(
    st.sampled_from(BODIES),
    st.one_of(
        st.binary(max_size=300),
        json_values.map(lambda value: json.dumps(value).encode()),
        st.dictionaries(st.sampled_from(NAMES), json_values, min_size=1, max_size=3).map(
            lambda value: json.dumps(value).encode()
        ),
        mutated(b'{"ids": [1, 2], "label": "cup", "frame": null}'),
    ),
)
def test_bodies(served: Served, where: tuple[str, str], body: bytes) -> None:
    before = what_was_taught(served)
    method, path = where
    answer = served.http.request(method, api(path), content=body, headers={"content-type": "application/json"})
    assert answer.status_code < 500, (body, answer.text)
    if answer.status_code >= 400:
        assert answer.json()["error"]["message"]
        assert what_was_taught(served) == before
    elif path.startswith(("/classes", "/undo", "/examples", "/visits", "/tray/teach")):  # it was right: put things back
        while len(served.device.learner.history()) > len(before[0]):
            served.control.undo()
        if not served.device.learner.examples():
            served.control.teach("cup")


@fuzzed
@given(
    st.sampled_from(
        (
            "/examples",
            "/export",
            "/picture.jpg",
            "/live.mjpg",
            "/state",
            "/visits",
            "/visits/counts",
            "/visits/export.csv",
        )
    ),
    st.dictionaries(
        st.sampled_from(
            ("label", "offset", "limit", "max_side", "cursor", "from_ms", "before_ms", "zone", "unsure", "x")
        ),
        st.text(max_size=30),
        max_size=3,
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60),
)
def test_queries_and_headers(served: Served, path: str, query: dict[str, str], header: str) -> None:
    before = what_was_taught(served)
    headers = {"Idempotency-Key": header, "Last-Event-ID": header, "Cookie": header, "Range": header}
    try:
        with served.http.stream("GET", api(path), params=query, headers=headers) as answer:
            assert answer.status_code < 500
    except httpx.InvalidURL:
        return
    assert what_was_taught(served) == before


@fuzzed
@given(st.text(max_size=40), st.sampled_from(("teach", "rename", "merge", "")))
def test_paths(served: Served, label: str, rest: str) -> None:
    before = what_was_taught(served)
    path = api("/classes/" + httpx.URL("http://x", params={"q": label}).query.decode()[2:].replace("+", "%20"))
    answer = served.http.put(f"{path}/{rest}")
    assert answer.status_code in (403, 404, 405)
    assert served.http.get(api(f"/examples/{label[:8].encode().hex()}/thumbnail.jpg")).status_code in (200, 404)
    assert what_was_taught(served) == before


def exported(served: Served) -> bytes:
    file = io.BytesIO()
    served.control.export([], file)
    return file.getvalue()


@fuzzed
@given(st.data())
def test_import_files(served: Served, data: st.DataObject) -> None:
    before = what_was_taught(served)
    body = data.draw(st.one_of(mutated(exported(served)), st.binary(max_size=200)))
    answer = served.http.post(api("/import"), content=body, headers={"content-type": "application/zip"})
    assert answer.status_code in (200, 409), answer.text
    if answer.status_code != 200 or answer.json()["added"] == 0:
        assert what_was_taught(served) == before


@fuzzed
@given(st.data())
def test_forged_import_files(served: Served, data: st.DataObject) -> None:
    """Complete zip files with right checksums and an invalid manifest."""
    import hashlib

    before = what_was_taught(served)
    with zipfile.ZipFile(io.BytesIO(exported(served))) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(entries["manifest.json"])
    for _ in range(data.draw(st.integers(1, 3))):
        at = manifest
        key = data.draw(st.sampled_from(sorted(manifest)))
        if isinstance(manifest[key], dict) and manifest[key] and data.draw(st.booleans()):
            at, key = manifest[key], data.draw(st.sampled_from(sorted(manifest[key])))
        at[key] = data.draw(json_values)
        if not isinstance(manifest, dict) or not manifest:
            break
    name = data.draw(st.sampled_from(("", "../../evil", "/etc/cron.d/evil", "thumbnails/9.jpg", "embeddings.bin ")))
    entries["manifest.json"] = json.dumps(manifest).encode()
    entries["manifest.sha256"] = hashlib.sha256(entries["manifest.json"]).hexdigest().encode()
    if name:
        entries[name] = b"x"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)
    zip_ = {"content-type": "application/zip"}
    answer = served.http.post(api("/import"), content=file.getvalue(), headers=zip_)
    assert answer.status_code in (200, 409), answer.text
    if answer.status_code != 200 or answer.json()["added"] == 0:
        assert what_was_taught(served) == before


@pytest.fixture(scope="module")
def bombs(served: Served) -> dict[str, bytes]:
    """Return exports with 64 MB in one entry, by the name of the entry."""
    with zipfile.ZipFile(io.BytesIO(exported(served))) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    made = {}
    for name in entries:
        others = {other: data for other, data in entries.items() if other != name}
        made[name] = bomb(name, **others)
    return made


@fuzzed
@given(st.data())
def test_import_files_whose_directory_lies(served: Served, bombs: dict[str, bytes], data: st.DataObject) -> None:
    """The directory claims another size than the entry unpacks to, up to 64 MB."""
    before = what_was_taught(served)
    honest = exported(served)
    with zipfile.ZipFile(io.BytesIO(honest)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = data.draw(st.sampled_from(sorted(entries)))
    size = len(entries[name])
    claim = data.draw(
        st.sampled_from((0, 1, size - 1, size, size + 1)) | st.integers(0, 1 << 16) | st.integers(0, 2**32 - 1)
    )
    whole = data.draw(st.sampled_from((honest, bombs[name])))
    found = entries[name] if claim == size else bytes(min(claim, 1 << 16))
    with within(16 << 20):
        answer = served.http.post(
            api("/import"), content=claiming(whole, name, claim, found), headers={"content-type": "application/zip"}
        )
    assert answer.status_code in (200, 409), answer.text
    assert answer.status_code == 409 or (whole is honest and claim == size)
    assert what_was_taught(served) == before


@fuzzed
@given(st.one_of(st.text(max_size=400), mutated(SHIPPED.encode()), mutated(UNCOMMENTED.encode())))
def test_configurations(tmp_path_factory: pytest.TempPathFactory, text: str | bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    assert str(path) in refusal(lambda: load_config(path, {}), Config, str(path))


@fuzzed
@given(st.data())
def test_configuration_values(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    import tomli_w

    table = tomllib.loads(UNCOMMENTED)
    section = data.draw(st.sampled_from(sorted(table)))
    key = data.draw(st.sampled_from(sorted(table[section])))
    value = data.draw(toml_values)
    path = tmp_path_factory.getbasetemp() / "fuzzed-values.toml"
    path.write_text(tomli_w.dumps({section: {key: value}}), encoding="utf-8")
    named = f"{section}.{key}"
    assert named in refusal(lambda: load_config(path, {}), Config, named)


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(noise).save(file, kind)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged tags
@fuzzed
@given(
    st.sampled_from(("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")).map(picture).flatmap(mutated)
    | st.binary(max_size=99)
)
def test_pictures(data: bytes) -> None:
    try:
        image = decode_image(data)
    except InputError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3


@fuzzed
@given(
    mutated(
        json.dumps(
            {"tokens": {"view": {"sha256": "a" * 64, "made_s": 1}}, "sessions": [["b" * 64, "a" * 64, 9e9]]}
        ).encode()
    )
)
def test_token_files(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed-tokens.json"
    path.write_bytes(data)
    path.chmod(0o600)
    assert "damaged" in refusal(lambda: Tokens(path).role_of("x"), type(None), "damaged")
    assert path.read_bytes() == data
