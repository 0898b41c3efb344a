"""The background counts that a model brings are read whole and checked, or refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from edge_app.encoder.background import load_background
from edge_app.encoder.model import ModelManifest, check_files, load_manifest
from edge_app.encoder.ratecode import RateCode
from edge_app.errors import ModelMismatch, ModelNotFound


def with_background(folder: Path, content: bytes, *, sha256: str = "") -> ModelManifest:
    """The shipped model's manifest, as if it named a file of this content."""
    import dataclasses

    (folder / "a.background.npy").write_bytes(content)
    table = {"file": "a.background.npy", "sha256": sha256 or hashlib.sha256(content).hexdigest()}
    return dataclasses.replace(load_manifest(None), manifest_path=folder / "a.toml", background=table)


def as_npy(array: np.ndarray, folder: Path) -> bytes:
    path = folder / "array.npy"
    np.save(path, array)
    return path.read_bytes()


def test_the_shipped_model_brings_counts_that_its_rate_code_could_make() -> None:
    manifest = load_manifest(None)
    counts = load_background(manifest)
    assert counts is not None
    assert (counts.dtype, counts.shape) == (np.uint8, (64, RateCode.for_model(manifest).n_inputs))
    assert 0 < counts.mean() < counts.max() <= 10


def test_a_model_without_one_has_none() -> None:
    import dataclasses

    assert load_background(dataclasses.replace(load_manifest(None), background={})) is None


def test_a_file_that_was_changed_is_refused_when_it_is_read_and_when_files_are_checked(tmp_path: Path) -> None:
    manifest = with_background(tmp_path, as_npy(np.zeros((2, 1280), np.uint8), tmp_path), sha256="0" * 64)
    with pytest.raises(ModelMismatch, match=r"a\.background\.npy is not the file that a\.toml describes"):
        load_background(manifest)
    with pytest.raises(ModelMismatch, match=r"a\.background\.npy is not the file"):
        check_files(manifest)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    manifest = with_background(tmp_path, b"")
    (tmp_path / "a.background.npy").unlink()
    with pytest.raises(ModelNotFound, match=r"a\.background\.npy cannot be read: No such file"):
        load_background(manifest)


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00\xff\xff"])
def test_a_file_that_holds_no_array_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelMismatch, match="does not hold an array"):
        load_background(with_background(tmp_path, content))


def test_an_array_of_another_kind_is_refused(tmp_path: Path) -> None:
    content = as_npy(np.zeros((2, 7), np.uint8), tmp_path)
    with pytest.raises(ModelMismatch, match=r"holds uint8 \(2, 7\), expected uint8 \(any number, 1280\)"):
        load_background(with_background(tmp_path, content))
