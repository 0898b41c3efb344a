"""A backup of a running device, and its restore on another one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app.errors import InputError, ModelMismatch
from edge_app.storage.restore import complete_restore
from support.device import Device
from support.simple_network import binding, clean_replay, folder_in_memory, open_learner


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from folder_in_memory(tmp_path_factory)


def backed_up(device: Device, target: Path) -> Path:
    with device.control.open_backup().file as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    return target


def test_a_backup_is_looked_at_then_restored_and_the_device_asks_for_a_restart(
    device: Device, tmp_path: Path, folder: Path
) -> None:
    for label in ("cup", "pen", "cup"):
        device.control.teach(label)
    file = backed_up(device, tmp_path / "b.zip")
    taught = device.learner.network_state()
    asked: list[bool] = []
    with open_learner(folder) as learner, Device(folder, learner) as other:
        other.control.restart = lambda: asked.append(True)
        other.control.teach("mine")
        found = other.control.restore(file, dry_run=True)
        assert (found.state.classes, found.replaced, found.restarting) == ({"cup": 2, "pen": 1}, {"mine": 1}, False)
        assert "port = 8765" in found.state.config
        assert (learner.classes(), asked) == ({"mine": 1}, [])
        other.control.restart = None
        with pytest.raises(InputError, match="cannot restart the device"):
            other.control.restore(file, dry_run=False)
        other.control.restart = lambda: asked.append(True)
        assert other.control.restore(file, dry_run=False).restarting
        assert asked == [True]
        assert learner.classes() == {"mine": 1}  # until it has restarted
    with open_learner(folder) as learner:
        assert learner.classes() == {"cup": 2, "pen": 1}
        assert learner.network_state() == taught == clean_replay(folder)
    with open_learner(folder / "before-restore-1") as learner:
        assert learner.classes() == {"mine": 1}
    assert complete_restore(folder) is None


def test_a_backup_of_another_encoder_is_refused(device: Device, tmp_path: Path, folder: Path) -> None:
    device.control.teach("mine")
    device.control.restart = lambda: None
    for bound, words in ((binding(encoder="b"), "edge-app restore"), (binding(rate="q"), "edge-app rebuild")):
        shutil.rmtree(folder / "s", ignore_errors=True)
        with open_learner(folder / "s", bound=bound) as learner, Device(folder / "s", learner) as other:
            other.control.teach("cup")
            file = backed_up(other, tmp_path / "b.zip")
        with pytest.raises(ModelMismatch, match=words):
            device.control.restore(file, dry_run=False)
    assert device.learner.classes() == {"mine": 1}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".restore", "restore"))]


def test_a_file_that_is_no_backup_is_refused(device: Device, tmp_path: Path) -> None:
    (tmp_path / "none.zip").write_bytes(b"none")
    with pytest.raises(InputError, match="zip"):
        device.control.restore(tmp_path / "none.zip", dry_run=True)
