"""Added models are whole, checked, and ready; what will not do is refused with its reason and leaves nothing."""

import dataclasses
import tomllib
from pathlib import Path

import numpy as np
import pytest

from edge_app.encoder import install, selfcheck
from edge_app.encoder.background import load_background
from edge_app.encoder.install import ModelFacts, add_model, remove_model, unusual_input
from edge_app.encoder.model import DEFAULT_MODEL, find_models, load_manifest
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.errors import InputError, ModelMismatch, ModelNotFound, StateNotWritable
from support.models import write_tiny

pytest.importorskip("ai_edge_litert.schema_py_generated", reason="adding a model needs ai-edge-litert")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_APP_MODELS", str(tmp_path / "user"))
    return tmp_path / "user"


@pytest.mark.parametrize("name", ["classifier_uint8", "classifier_int8", "embedding_uint8", "embedding_int8"])
def test_all_kinds_give_the_same_embedding(folder: Path, models: Path, name: str) -> None:
    manifest, _ = add_model(models / f"{name}.tflite", facts=ModelFacts(licence="Apache-2.0", crop=0.875))
    assert load_manifest(name) == manifest
    assert (manifest.embedding_size, manifest.embedding_zero_point) == (24, 0)
    assert (manifest.licence, manifest.crop) == ("Apache-2.0", 0.875)
    reference, _ = add_model(models / "embedding_uint8.tflite", name="reference")
    assert manifest.embedding_scale == reference.embedding_scale
    picture = np.random.default_rng(5).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    with TFLiteEncoder(manifest) as one, TFLiteEncoder(reference) as other:
        assert selfcheck.check(one).equal is True
        np.testing.assert_array_equal(one.encode(picture), other.encode(picture))


def test_an_average_pooled_map_of_one_pixel_is_a_vector(folder: Path, models: Path) -> None:
    manifest, _ = add_model(models / "classifier_pointwise.tflite")
    with TFLiteEncoder(manifest) as encoder:
        assert encoder.encode(np.full((32, 32, 3), 200, np.uint8)).shape == (24,)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("float32", "its input .* is float32, expected uint8 or int8"),
        ("open_height", r"input \[1, -1, 32, 3\] .* must have fixed sizes"),
        ("map_output", r"output .* is \[1, 8, 8, 24\], expected one vector"),
        ("two_outputs", "has 2 outputs; choose one with --embedding"),
        ("not_there", "cannot be read: No such file"),
    ],
)
def test_what_will_not_do_says_why_and_leaves_nothing(folder: Path, models: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        add_model(models / f"{name}.tflite")
    assert f"{name}.tflite" in str(caught.value)
    assert not folder.exists()


def test_a_file_that_is_no_model(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "photo.tflite"
    path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    with pytest.raises(InputError, match="is not a TFLite file"):
        add_model(path)


def test_a_truncated_model(folder: Path, models: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.tflite"
    path.write_bytes((models / "embedding_uint8.tflite").read_bytes()[:3000])
    with pytest.raises(InputError, match=r"short\.tflite"):
        add_model(path)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a/b", "a b", "x" * 65])
def test_names_that_are_no_names(folder: Path, models: Path, name: str) -> None:
    with pytest.raises(InputError, match="model name "):
        add_model(models / "embedding_uint8.tflite", name=name)


def test_a_name_is_replaced_only_on_request(folder: Path, models: Path) -> None:
    first, _ = add_model(models / "embedding_uint8.tflite", name="mine")
    with pytest.raises(InputError, match="a model 'mine' exists already"):
        add_model(models / "embedding_int8.tflite", name="mine")
    assert load_manifest("mine") == first
    second, _ = add_model(models / "embedding_int8.tflite", name="mine", replace=True)
    assert load_manifest("mine") == second != first
    assert sorted(path.name for path in folder.iterdir()) == [second.path.name, "mine.toml"]
    with pytest.raises(InputError, match="shipped with edge-app"):
        add_model(models / "embedding_uint8.tflite", name=DEFAULT_MODEL, replace=True)


def test_a_model_that_another_program_adds_meanwhile_is_not_replaced(
    folder: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = install._read

    def late(file: Path) -> bytes:
        monkeypatch.setattr(install, "_read", read)
        add_model(models / "embedding_int8.tflite", name="mine")
        return read(file)

    monkeypatch.setattr(install, "_read", late)
    with pytest.raises(InputError, match="a model 'mine' exists already"):
        add_model(models / "embedding_uint8.tflite", name="mine")
    assert load_manifest("mine").path.read_bytes() == (models / "embedding_int8.tflite").read_bytes()


def test_an_altered_copy_is_refused(folder: Path, models: Path) -> None:
    manifest, _ = add_model(models / "embedding_uint8.tflite", name="mine")
    content = bytearray(manifest.path.read_bytes())
    content[-1] ^= 1
    manifest.path.write_bytes(content)
    with pytest.raises(ModelMismatch, match="SHA-256"):
        load_manifest("mine")


def test_the_manifest_tells_how_it_was_made(folder: Path, models: Path) -> None:
    manifest, cut = add_model(models / "classifier_uint8.tflite", name="mine", embedding="embedding")
    table = tomllib.loads(manifest.manifest_path.read_text())
    assert table["command"] == "edge-app models add classifier_uint8.tflite --name mine --embedding 'embedding'"
    assert table["embedding"]["tensor"] == cut.tensor


def test_removing(folder: Path, models: Path) -> None:
    manifest, _ = add_model(models / "embedding_uint8.tflite", name="mine")
    assert set(remove_model("mine")) == {manifest.path, manifest.manifest_path}
    assert list(folder.iterdir()) == []
    assert "mine" not in find_models()
    with pytest.raises(ModelNotFound, match="no model 'mine'"):
        remove_model("mine")
    with pytest.raises(InputError, match="is shipped with edge-app"):
        remove_model(DEFAULT_MODEL)


def test_a_folder_that_cannot_be_made(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGE_APP_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(StateNotWritable, match="cannot be written"):
        add_model(models / "embedding_uint8.tflite")


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "shown"),
    [
        ("uint8", 1 / 255, 0, None),
        ("int8", 1 / 255, -128, None),
        ("uint8", 1 / 128, 127, None),
        ("int8", 0.007843138, -1, None),
        ("uint8", 1.0, 0, None),
        ("int8", 1.0, -128, None),
        ("int8", 1.0, 0, None),
        ("uint8", 0.0186, 114, "-2.12 to 2.62"),
        ("int8", 0.02, 0, "-2.56 to 2.54"),
    ],
)
def test_an_input_that_stands_for_no_usual_range_is_warned_of(
    models: Path, folder: Path, dtype: str, scale: float, zero_point: int, shown: str | None
) -> None:
    manifest, _ = add_model(models / "embedding_uint8.tflite")
    asked = dataclasses.replace(manifest, input_dtype=dtype, input_scale=scale, input_zero_point=zero_point)
    warning = unusual_input(asked)
    assert (warning is None) == (shown is None)
    assert shown is None or f"its input stands for {shown}" in str(warning)


def test_a_model_with_its_manifest_beside_it_is_added_as_described(folder: Path) -> None:
    shipped = load_manifest()
    manifest, model = add_model(shipped.path, name="copy")
    assert (model.removed, model.content) == ((), shipped.path.read_bytes())
    same = ("sha256", "embedding_scale", "pooling", "sigma", "last_map", "crop", "rate_code", "self_check", "source")
    assert load_background(manifest) is not None
    np.testing.assert_array_equal(load_background(manifest), load_background(shipped))
    assert {path.parent for path in manifest.files} == {folder}
    assert [getattr(manifest, key) for key in same] == [getattr(shipped, key) for key in same]
    assert manifest.path.parent == folder
    with TFLiteEncoder(manifest) as encoder:
        assert selfcheck.check(encoder).equal is True
    assert sorted(remove_model("copy")) == sorted([manifest.manifest_path, *manifest.files])
    assert not list(folder.glob("copy*"))


def test_the_colours_of_the_input_are_a_fact_that_is_given_or_copied(
    folder: Path, models: Path, tmp_path: Path
) -> None:
    given, _ = add_model(models / "embedding_uint8.tflite", name="given", facts=ModelFacts(colour="red-blue"))
    assert given.input_colour == "red-blue"
    copied, _ = add_model(write_tiny(tmp_path / "beside", colour="red-blue").with_suffix(".tflite"), name="copied")
    assert copied.input_colour == "red-blue"
    assert add_model(models / "embedding_uint8.tflite")[0].input_colour == "RGB"


def test_a_manifest_beside_that_describes_another_file_is_not_taken(folder: Path, models: Path, tmp_path: Path) -> None:
    shipped = load_manifest()
    path = tmp_path / f"{shipped.name}.tflite"
    path.write_bytes((models / "embedding_uint8.tflite").read_bytes())
    path.with_suffix(".toml").write_text(shipped.manifest_path.read_text())
    manifest, _ = add_model(path, name="mine")
    assert (manifest.embedding_size, manifest.source) == (24, "")


def test_facts_that_are_given_replace_the_manifest_beside(folder: Path) -> None:
    shipped = load_manifest()
    with pytest.raises(InputError, match="has 2 outputs; choose one with --embedding"):
        add_model(shipped.path, name="copy", facts=ModelFacts(crop=0.5))
