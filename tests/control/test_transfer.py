"""An export is written once, on the state's own disk, and leaves no file behind."""

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app.control import transfer
from edge_app.errors import StateNotWritable, UnknownLabel
from edge_app.learner import Learner
from edge_app.storage.exchange import Archive
from support.simple_network import embedding, open_learner


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[Learner]:
    """Nine examples of three classes."""
    with open_learner(tmp_path) as learner:
        for i in range(9):
            picture = os.urandom(10_000)
            learner.teach(embedding(i, i % 3), f"class {i % 3}", source="test", thumbnail=picture)
        yield learner


def left(folder: Path) -> list[Path]:
    """Return the files that an export wrote beside the state and did not remove."""
    return list(folder.glob(".export-*"))


def test_an_export_is_one_file_on_the_states_disk_and_needs_no_tmp(
    learner: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no such folder"))
    file, count = transfer.open_export(tmp_path, ["class 1", "class 2"])
    with file:
        status = os.fstat(file.fileno())
        assert (status.st_dev, status.st_nlink) == (tmp_path.stat().st_dev, 0)  # it goes with whoever has it open
        assert left(tmp_path) == []
        learner.teach(embedding(20), "class 1", source="test")  # goes on meanwhile
        copy = tmp_path / "copy.zip"
        copy.write_bytes(file.read())
    with Archive(copy) as archive:
        assert len(archive.examples) == count == 6
        assert archive.thumbnail(0) == learner.thumbnail(2)


def test_an_export_that_fails_leaves_nothing(learner: Learner, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        with pytest.raises(StateNotWritable, match="may not grow further"):
            transfer.open_export(tmp_path, [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(UnknownLabel):
        transfer.open_export(tmp_path, ["nothing"])
    assert left(tmp_path) == []
