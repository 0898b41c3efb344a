"""Cameras that work, hang, are black, held by others, or not there."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.devices.ports import Camera, CameraLoss, Clock
from edge_app.doctor import camera
from edge_app.doctor.findings import Finding
from edge_app.errors import DeviceError
from edge_app.messages import Frame
from edge_app.simulation.devices import Fault, FaultKind, SimulatedCamera, SimulatedClock
from edge_app.simulation.shapes import ShapesScene
from support.machines import MakeSystem

URI = "v4l2:/dev/video0?size=640x480"
NAMES = {"sys/class/video4linux/video0/name": "A camera\n", "sys/class/video4linux/video1/name": "Another\n"}


def opened(*faults: Fault) -> camera.Opener:
    def open_camera(uri: str, clock: Clock) -> Camera:
        made = SimulatedCamera(ShapesScene(), clock, faults=faults, uri=uri)
        made.open()
        return made

    return open_camera


def refused(uri: str, clock: Clock) -> Camera:
    raise DeviceError(f"{uri}: another program may be using it")


def looked(open_camera: camera.Opener, uri: str = URI, *, recording: bool = False, busy: bool = False) -> list[Finding]:
    return list(camera.check_camera(uri, SimulatedClock(), open_camera, recording=recording, busy=busy))


def test_devices_are_listed(machine: MakeSystem) -> None:
    (found,) = camera.check_camera_devices(machine(NAMES), URI)
    assert (found.status, found.detail) == ("ok", "/dev/video0 A camera; /dev/video1 Another")


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        (URI, "failed"),
        (f"events:{URI}", "failed"),
        ("picamera2:0", "ok"),
        ("sim:", "ok"),
        ("events:a.raw", "ok"),
        ("events:sim", "ok"),
        ("events:metavision", "ok"),
    ],
)
def test_no_device(machine: MakeSystem, uri: str, status: str) -> None:
    (found,) = camera.check_camera_devices(machine(), uri)
    assert (found.status, bool(found.advice)) == (status, status != "ok")


def test_a_device_without_a_name(machine: MakeSystem) -> None:
    (found,) = camera.check_camera_devices(machine({"sys/class/video4linux/video0/dev": "81:0"}), URI)
    assert found.detail == "/dev/video0 unnamed"


@pytest.mark.parametrize("allowed", [True, False])
def test_rights(machine: MakeSystem, allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    system = machine({**NAMES, "dev/video0": ""})
    monkeypatch.setattr(os, "access", lambda path, mode: allowed)
    rights = list(camera.check_camera_devices(system, URI))[1:]
    assert [line.status for line in rights] == ([] if allowed else ["failed"])
    assert all("/dev/video0 (-rw" in line.detail and line.advice for line in rights)


def test_frames_that_move() -> None:
    (found,) = looked(opened())
    assert found.status == "ok"
    assert found.detail.startswith("640 x 480, 20 frames in 0.")
    assert found.detail.endswith("20 different")


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [("black", "warning", "all black"), ("stall", "failed", ""), ("unplug", "failed", "unplugged")],
)
def test_what_is_wrong_with_a_camera(kind: FaultKind, status: str, said: str) -> None:
    (found,) = looked(opened(Fault(kind, 0.0, float("inf"))))
    assert found.status == status
    assert said in found.detail


class Still(ShapesScene):
    def image(self, time_ns: int) -> NDArray[np.uint8]:
        return super().image(0)


@pytest.mark.parametrize(("recording", "status"), [(False, "failed"), (True, "ok")])
def test_a_picture_that_stands_still(recording: bool, status: str) -> None:
    """A camera's noise differs from frame to frame; the pictures of a folder may well be the same."""

    def open_still(uri: str, clock: Clock) -> Camera:
        made = SimulatedCamera(Still(), clock, uri=uri)
        made.open()
        return made

    (found,) = looked(open_still, recording=recording)
    assert found.status == status
    assert ("all identical" in found.detail) == (status == "failed")


def test_a_recording_that_has_ended(tmp_path: Path) -> None:
    class Ended(SimulatedCamera):
        def read(self, timeout_s: float) -> None:
            return None

    with pytest.raises(ValueError, match="no frame arrived"):
        looked(lambda uri, clock: Ended(ShapesScene(), clock, uri=uri), recording=True)


def test_a_camera_that_loses_events_is_no_broken_one() -> None:
    class Losing(SimulatedCamera):
        def read(self, timeout_s: float) -> Frame | None:
            raise CameraLoss("events:metavision: 5 events were left out so far")

    (found,) = looked(lambda uri, clock: Losing(ShapesScene(), clock, uri=uri), "events:metavision")
    assert (found.status, found.detail) == ("warning", "events:metavision: 5 events were left out so far")


@pytest.mark.parametrize(("busy", "status"), [(False, "failed"), (True, "warning")])
def test_a_camera_that_does_not_open(busy: bool, status: str) -> None:
    (found,) = looked(refused, busy=busy)
    assert found.status == status
    assert "another program" in found.detail
    assert ("systemctl stop" in found.advice) == busy


def test_a_simulated_camera_is_named_as_one() -> None:
    assert [line.status for line in looked(opened(), "sim:scene=shapes")] == ["warning", "ok"]
