"""The cache: a layer is built once, whole or not at all, and anew when what it depends on changes."""

import os
from pathlib import Path

import pytest

from virtual_device.layers import KEPT, Cache, default_folder, digest


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, told: list[str]) -> Cache:
    return Cache(tmp_path / "cache", told.append)


def test_a_layer_is_built_once(cache: Cache, told: list[str]) -> None:
    def build(folder: Path) -> None:
        (folder / "thing").write_text("made")

    first = cache.layer("root", ["a"], build)
    assert cache.layer("root", ["a"], build) == first
    assert (first / "thing").read_text() == "made"
    assert told == ["root: building", "root: kept"]


def test_another_dependency_is_another_layer(cache: Cache, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("1")
    first = cache.layer("root", [source], lambda folder: None)
    source.write_text("2")
    assert cache.layer("root", [source], lambda folder: None) != first


def test_a_build_that_fails_leaves_no_layer(cache: Cache) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        cache.layer("root", ["a"], fail)
    assert not list(cache.layer("root", ["a"], lambda folder: None).iterdir())


def test_old_versions_are_forgotten(cache: Cache) -> None:
    for number in range(5):
        cache.layer("root", [str(number)], lambda folder: None)
        cache.layer("kernel", ["same"], lambda folder: None)
    assert len(list(cache.folder.glob("root-*"))) == KEPT
    assert len(list(cache.folder.glob("kernel-*"))) == 1


def test_a_layer_of_old_files_is_not_old(cache: Cache) -> None:
    for number in range(KEPT + 1):
        layer = cache.layer("tools", [str(number)], lambda folder: os.utime(folder, (0, 0)))
        assert layer.is_dir()


def test_parts_do_not_run_into_one_another() -> None:
    assert digest(["ab", "c"]) != digest(["a", "bc"])


def test_the_folder_can_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGE_APP_VM_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("EDGE_APP_VM_CACHE")
    assert default_folder().parts[-2:] == (".cache", "virtual-device")
