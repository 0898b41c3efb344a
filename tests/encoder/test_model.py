"""A manifest tells the truth about its files, or the model is refused."""

import pwd
from pathlib import Path
from typing import Any

import pytest

from edge_app.encoder import model
from edge_app.encoder.model import (
    DEFAULT_MODEL,
    SHORT_NAMES,
    ModelManifest,
    find_models,
    load_manifest,
    model_dirs,
    sha256_of,
    user_models_dir,
    write_manifest,
)
from edge_app.errors import InputError, ModelMismatch, ModelNotFound
from support.models import write_tiny


@pytest.mark.parametrize(
    ("name", "size", "side"), [("lite0", 224, 7), ("lite0x2", 280, 7), ("lite1", 240, 8), ("lite2", 260, 9)]
)
def test_the_shipped_models_are_whole(name: str, size: int, side: int) -> None:
    manifest = load_manifest(name)
    assert manifest.name == SHORT_NAMES[name]
    assert (manifest.input_size, manifest.embedding_size) == (size, 1280)
    assert manifest.last_map is not None
    assert manifest.last_map.side == side
    assert manifest.sigma == pytest.approx(2 / 7 * side)
    assert manifest.embedding_zero_point == 0
    assert manifest.licence == "Apache-2.0"
    assert sha256_of(manifest.path) == manifest.sha256
    assert {entry["crop"] for entry in manifest.accuracy["measured"]} == {1.0, 0.875}


def test_found_by_name_by_manifest_and_by_model_file(tiny: ModelManifest) -> None:
    folder = tiny.path.parent
    assert load_manifest("tiny", [folder]) == tiny
    assert load_manifest(tiny.path) == tiny
    assert load_manifest(str(tiny.manifest_path)) == tiny
    assert find_models([folder])["tiny"] == tiny.manifest_path


def test_the_first_folder_wins(tiny: ModelManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = tmp_path / "user"
    user.mkdir()
    (user / "tiny.toml").write_text("name = 'tiny'\n")
    monkeypatch.setenv("EDGE_APP_MODELS", str(user))
    assert find_models()["tiny"] == user / "tiny.toml"
    assert find_models([tiny.path.parent])["tiny"] == tiny.manifest_path
    assert DEFAULT_MODEL in find_models()


def test_the_user_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert user_models_dir({"EDGE_APP_MODELS": "/a", "XDG_DATA_HOME": "/b"}) == Path("/a")
    assert user_models_dir({"XDG_DATA_HOME": "/b"}) == Path("/b/edge-app/models")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_models_dir({}) == tmp_path / ".local/share/edge-app/models"


def test_an_account_without_home_still_finds_the_shipped_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "EDGE_APP_MODELS", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert DEFAULT_MODEL in find_models()

    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert user_models_dir() is None
    assert DEFAULT_MODEL in find_models()
    assert None not in model_dirs()


def test_an_unknown_name_lists_what_there_is(tiny: ModelManifest) -> None:
    with pytest.raises(ModelNotFound, match=rf"'tinny'; there are: tiny, .*{DEFAULT_MODEL}"):
        load_manifest("tinny", [tiny.path.parent])
    with pytest.raises(ModelNotFound, match="models add"):
        load_manifest(tiny.path.parent / "other.tflite")


def test_edge_apps_own_encoders_have_short_names(tiny: ModelManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_manifest("lite0") == load_manifest()
    monkeypatch.setattr(model, "model_dirs", lambda extra_dirs: [tiny.path.parent])
    with pytest.raises(
        ModelNotFound, match=r"efficientnet_lite2_gaussian is not part .*`make models` builds .*models add"
    ):
        load_manifest("lite2")
    tiny.manifest_path.rename(tiny.manifest_path.with_name("lite2.toml"))
    own = tiny.manifest_path.with_name("lite2.toml")
    own.write_text(own.read_text().replace('name = "tiny"', 'name = "lite2"'))
    assert load_manifest("lite2").path == tiny.path


def test_a_model_says_what_colours_it_takes(tmp_path: Path) -> None:
    pictures, events = load_manifest(write_tiny(tmp_path / "a")), load_manifest(write_tiny(tmp_path, colour="red-blue"))
    assert (pictures.input_colour, pictures.event_colours) == ("RGB", "grey")
    assert load_manifest().input_colour == "RGB"
    assert (events.input_colour, events.event_colours) == ("red-blue", "red-blue")
    pictures.require_events(False)
    for manifest in (pictures, events):
        manifest.require_events(True)
    with pytest.raises(InputError, match="model 'tiny' takes events drawn in red-blue, not pictures: add --events"):
        events.require_events(False)
    with pytest.raises(InputError, match=r"tiny\.toml: input\.colour = 'BGR', expected one of 'RGB', 'red-blue'"):
        load_manifest(write_tiny(tmp_path, colour="BGR"))


@pytest.mark.parametrize("place", [0, 2500, -1])
def test_one_altered_bit_is_refused(tiny: ModelManifest, place: int) -> None:
    content = bytearray(tiny.path.read_bytes())
    content[place] ^= 1
    tiny.path.write_bytes(content)
    with pytest.raises(ModelMismatch, match=tiny.sha256):
        load_manifest(tiny.path)
    assert load_manifest(tiny.path, check=False).sha256 == tiny.sha256


def test_a_shortened_or_missing_file_is_refused(tiny: ModelManifest) -> None:
    tiny.path.write_bytes(tiny.path.read_bytes()[:-1])
    with pytest.raises(ModelMismatch, match="SHA-256"):
        load_manifest(tiny.path)
    tiny.path.unlink()
    with pytest.raises(ModelNotFound, match=r"tiny\.tflite is missing"):
        load_manifest(tiny.manifest_path)


def test_the_rate_code_passes_through_and_its_file_is_checked(
    tiny: ModelManifest, manifest_table: dict[str, Any]
) -> None:
    table = manifest_table | {"rate_code": {"saturation": 30, "file": "tiny.rate.npz", "sha256": "0" * 64}}
    write_manifest(tiny.manifest_path, table)
    with pytest.raises(ModelNotFound, match=r"tiny\.rate\.npz is missing"):
        load_manifest(tiny.path)
    rate = tiny.path.parent / "tiny.rate.npz"
    rate.write_bytes(b"calibrated")
    with pytest.raises(ModelMismatch, match=r"tiny\.rate\.npz"):
        load_manifest(tiny.path)
    table["rate_code"]["sha256"] = sha256_of(rate)
    write_manifest(tiny.manifest_path, table)
    manifest = load_manifest(tiny.path)
    assert manifest.rate_code == table["rate_code"]
    assert manifest.rate_code_path == rate
    assert tiny.rate_code_path is None


def test_a_manifest_may_begin_with_a_byte_order_mark(tiny: ModelManifest) -> None:
    tiny.manifest_path.write_bytes(b"\xef\xbb\xbf" + tiny.manifest_path.read_bytes())
    assert load_manifest(tiny.path) == tiny


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("sha256", None, "sha256 is missing"),
        ("sha256", "ABC", "64 lower-case"),
        ("file", "../tiny.tflite", "plain file name"),
        ("file", 3, "expected a plain file name"),
        ("name", "other", "called after its manifest"),
        ("crop", 1.5, "crop = 1.5"),
        ("crop", True, "crop = True"),
        ("input", {"size": 32.5, "dtype": "uint8", "scale": 0.1, "zero_point": 0}, "input.size = 32.5"),
        ("input", {"size": 4, "dtype": "uint8", "scale": 0.1, "zero_point": 0}, "input.size = 4"),
        ("input", {"size": 32, "dtype": "float32", "scale": 0.1, "zero_point": 0}, "input.dtype = 'float32'"),
        ("embedding", {"size": 24, "dtype": "uint8", "scale": 0.0, "zero_point": 0}, "embedding.scale = 0.0"),
        ("embedding", {"size": 24, "dtype": "uint8", "scale": 0.1, "zero_point": 256}, "embedding.zero_point = 256"),
        ("embedding", "uint8", "embedding.size is missing"),
        (
            "embedding",
            {"size": 24, "dtype": "uint8", "scale": 0.1, "zero_point": 0, "pooling": "gaussian"},
            "embedding.sigma is missing",
        ),
        ("map", {"side": 0, "dtype": "uint8", "scale": 0.1, "zero_point": 0}, "map.side = 0"),
        ("map", {"side": 7, "dtype": "uint8", "scale": 0.1}, "map.zero_point is missing"),
        ("rate_code", 5, "rate_code = 5"),
        ("rate_code", {"file": "a/b", "sha256": "0" * 64}, "plain file name"),
        ("rate_code", {"file": "b"}, "rate_code.sha256 is missing"),
        ("self_check", {"ai-edge-litert": "abc"}, "self_check = .*ai-edge-litert = .abc., expected 64"),
        ("self_check", "abc", "self_check = .abc., expected a table"),
    ],
)
def test_a_manifest_that_is_not_valid_names_the_key(
    tiny: ModelManifest, manifest_table: dict[str, Any], key: str, value: object, message: str
) -> None:
    table = {**manifest_table, key: value}
    write_manifest(tiny.manifest_path, {k: v for k, v in table.items() if v is not None})
    with pytest.raises(InputError, match=message) as caught:
        load_manifest(tiny.manifest_path)
    assert str(tiny.manifest_path) in str(caught.value)


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tiny: ModelManifest, content: bytes) -> None:
    tiny.manifest_path.write_bytes(content)
    with pytest.raises(InputError, match="not a valid manifest"):
        load_manifest(tiny.manifest_path)


def test_a_failed_write_leaves_the_old_file(tiny: ModelManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tiny.manifest_path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_manifest(tiny.manifest_path, {"name": "tiny"})
    assert tiny.manifest_path.read_bytes() == before
    assert sorted(path.name for path in tiny.path.parent.iterdir()) == ["tiny.tflite", "tiny.toml"]
