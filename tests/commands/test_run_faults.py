"""Faults that the whole device meets, each with the end or the way out that docs/service.md states."""

import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app.encoder.model import load_manifest
from edge_app.learner import Learner
from edge_app.storage.folder import database_path
from edge_app.storage.store import Store
from support.live_device import Device

pytestmark = pytest.mark.slow
CAMERA = "sim:scene=shapes,size=160x120,fps=20"


@pytest.fixture
def devices() -> Iterator[list[Device]]:
    found: list[Device] = []
    yield found
    for device in found:
        device.close()


def ended(device: Device) -> tuple[int, str]:
    """The status of a device that ends by itself, and its last line."""
    _, err = device.end()
    return device.process.returncode, err.splitlines()[-1]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose model is a copy of the shipped one."""
    manifest = load_manifest()
    for path in (manifest.manifest_path, manifest.path):
        shutil.copy(path, tmp_path / path.name)
    file = tmp_path / "config.toml"
    file.write_text(f'[encoder]\nmodel = "{tmp_path / manifest.manifest_path.name}"\n')
    return file


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("altered", "SHA-256"),
        ("missing", "efficientnet_lite0_gaussian.tflite"),
        ("manifest missing", "no such manifest"),
    ],
)
def test_an_encoder_model_that_is_missing_or_altered_ends_it_with_3(
    tmp_path: Path, config: Path, devices: list[Device], fault: str, message: str
) -> None:
    model = tmp_path / load_manifest().path.name
    if fault == "altered":
        data = bytearray(model.read_bytes())
        data[len(data) // 2] ^= 1
        model.write_bytes(data)
    elif fault == "missing":
        model.unlink()
    else:
        model.with_suffix(".toml").unlink()
    devices.append(Device(tmp_path, "--config", str(config), "--camera", CAMERA))
    status, last = ended(devices[0])
    assert status == 3
    assert message in last
    assert not database_path(devices[0].state).exists(), "nothing is begun with a model that is not right"


def test_a_corrupted_database_ends_it_with_5_and_stays_as_it_is(tmp_path: Path, devices: list[Device]) -> None:
    state = tmp_path / "state"
    with Learner.open(state, load_manifest()):
        pass
    path = database_path(state)
    data = bytearray(path.read_bytes())
    data[4096:8192] = bytes(4096)
    path.write_bytes(data)
    devices.append(Device(tmp_path, "--camera", CAMERA))
    status, last = ended(devices[0])
    assert status == 5
    assert "edge-app recover" in last
    assert path.read_bytes() == data


def test_a_folder_that_another_process_writes_ends_it_with_6(tmp_path: Path, devices: list[Device]) -> None:
    with Learner.open(tmp_path / "state", load_manifest()):
        devices.append(Device(tmp_path, "--camera", CAMERA))
        status, last = ended(devices[0])
    assert status == 6
    assert "process" in last


def test_a_button_line_that_cannot_be_had_ends_it_with_8(tmp_path: Path, devices: list[Device]) -> None:
    pytest.importorskip("gpiod", reason="gpiod is not installed")
    devices.append(Device(tmp_path, "--camera", CAMERA, "--buttons", "gpio:/dev/no-such-chip?cup=17"))
    status, last = ended(devices[0])
    assert status == 8
    assert "no-such-chip" in last


def test_a_disk_that_is_full_refuses_presses_and_decisions_go_on_until_there_is_room(
    tmp_path: Path, devices: list[Device]
) -> None:
    presses = "+".join(f"{0.3 * number:.1f}" for number in range(1, 600))
    nothing = resource.RLIM_INFINITY

    def fill() -> None:  # what SQLite meets is the same as on a full disk: a write that is cut short
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, nothing))

    device = Device(
        tmp_path, "--camera", CAMERA, "--buttons", f"sim:disc@{presses}", "--decisions", before=fill, watchdog_s=None
    )
    devices.append(device)
    device.wait_for_line(" learnt ")
    device.wait_for_line("command_failed")
    device.wait_for_decision("disc")
    resource.prlimit(device.process.pid, resource.RLIMIT_FSIZE, (nothing, nothing))
    device.wait_for_line(" learnt ")
    device.process.send_signal(signal.SIGTERM)
    _, err = device.end()
    assert device.process.returncode == 0, err
    with Store.open(database_path(device.state)) as store:
        store.check()
        assert len(store.examples()) >= 2
