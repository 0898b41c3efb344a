"""One suite over every camera that delivers in real time; the waits are for frames, on the real clock."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from edge_app.devices import CAMERAS, metavision, open_camera
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.live import LiveCamera
from edge_app.devices.ports import NS_PER_S, Camera, CameraStalled
from edge_app.devices.v4l2 import V4l2Camera
from edge_app.errors import DeviceError
from support.fake_capture import FakeCapture
from support.metavision import LIVE, python_with
from support.mjpeg_server import serving

CLOCK = MonotonicClock()
PATIENCE_S = 10.0

Maker = Callable[[Path], AbstractContextManager[Camera]]


@contextmanager
def make_v4l2(folder: Path) -> Iterator[Camera]:
    node = folder / "video0"
    node.touch()
    yield V4l2Camera(str(node), CLOCK, capture=FakeCapture, check=lambda path, name: None)


@contextmanager
def make_real_v4l2(folder: Path) -> Iterator[Camera]:
    device = os.environ.get("EDGE_APP_TEST_V4L2")
    if not device:
        pytest.skip("no V4L2 device to test with: set EDGE_APP_TEST_V4L2=/dev/video0 (vivid will do)")
    yield open_camera(f"v4l2:{device}", CLOCK)


@contextmanager
def make_http(folder: Path) -> Iterator[Camera]:
    with serving() as server:
        yield open_camera(f"http://{server.address}/stream?id=1#timeout=1s", CLOCK)


@contextmanager
def make_gst(folder: Path) -> Iterator[Camera]:
    if not shutil.which("gst-launch-1.0"):
        pytest.skip("gst-launch-1.0 is missing: apt install gstreamer1.0-tools gstreamer1.0-plugins-base")
    yield open_camera("gst:videotestsrc is-live=true ! video/x-raw,framerate=25/1#size=64x48", CLOCK)


@contextmanager
def make_picamera2(folder: Path) -> Iterator[Camera]:
    yield open_camera(f"picamera2:?source=test,size=64x48,fps=25,python={sys.executable}", CLOCK)


@contextmanager
def make_events(folder: Path) -> Iterator[Camera]:
    yield open_camera(f"events:metavision?python={python_with(folder, LIVE)}", CLOCK)


MAKERS: dict[str, Maker] = {
    "v4l2": make_v4l2,
    "v4l2-device": make_real_v4l2,
    "http": make_http,
    "gst": make_gst,
    "picamera2": make_picamera2,
    "events-camera": make_events,
}
COLOURED = ("v4l2", "http", "picamera2")
"""The sources that show red above blue."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an event camera's process start late on a busy machine."""
    monkeypatch.setattr(metavision, "START_S", 60.0)


def test_every_driver_is_in_one_of_the_two_suites() -> None:
    from devices.test_camera_contract import MAKERS as PACED

    tried = {CAMERAS[name] for name in CAMERAS.keys() & (MAKERS.keys() | PACED.keys())}
    assert tried == set(CAMERAS.values())


@pytest.fixture(params=sorted(MAKERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def camera(name: str, tmp_path: Path) -> Iterator[Camera]:
    with MAKERS[name](tmp_path) as camera, camera:
        yield camera


def test_frames_have_the_agreed_form(camera: Camera, name: str) -> None:
    assert isinstance(camera, Camera)
    assert camera.uri.startswith(name.split("-")[0])
    frame = camera.read(PATIENCE_S)
    assert frame is not None
    height, width, channels = frame.image.shape
    assert min(height, width) >= 16
    assert channels == 3
    assert frame.image.dtype == np.uint8
    assert frame.image.flags.c_contiguous
    assert not frame.image.flags.writeable
    if name in COLOURED:
        assert frame.image[height // 8, width // 16, 0] > 200 > 60 > frame.image[height // 8, width // 16, 2]
        assert frame.image[-height // 8, width // 16, 2] > 200 > 60 > frame.image[-height // 8, width // 16, 0]


def test_frames_come_in_order_with_monotonic_times(camera: Camera) -> None:
    frames = [camera.read(PATIENCE_S) for _ in range(6)]
    now_ns = CLOCK.monotonic_ns()
    times = [frame.time_ns for frame in frames]
    assert times == sorted(set(times))
    assert now_ns - 2 * NS_PER_S < times[-1] <= now_ns
    numbers = [frame.sequence for frame in frames]
    assert numbers == sorted(set(numbers))


def test_newest_frame_wins_and_the_missed_ones_are_counted(camera: Camera) -> None:
    for _ in range(3):
        first = camera.read(PATIENCE_S)
    before = camera.dropped
    CLOCK.sleep(0.4)
    frame = camera.read(PATIENCE_S)
    missed = frame.sequence - first.sequence - 1
    assert missed >= 3
    assert camera.dropped - before >= missed
    assert CLOCK.monotonic_ns() - frame.time_ns < 0.3 * NS_PER_S


def test_a_closed_camera_cannot_be_read_and_can_be_opened_again(camera: Camera) -> None:
    first = camera.read(PATIENCE_S)
    camera.close()
    camera.close()
    dropped = camera.dropped
    with pytest.raises(DeviceError, match="closed"):
        camera.read(PATIENCE_S)
    camera.open()
    again = camera.read(PATIENCE_S)
    assert again.image.shape == first.image.shape
    assert again.sequence > first.sequence
    assert again.time_ns > first.time_ns
    assert camera.dropped >= dropped


def test_opening_twice_does_not_start_again(camera: Camera) -> None:
    first = camera.read(PATIENCE_S)
    camera.open()
    assert camera.read(PATIENCE_S).sequence > first.sequence


class _Silent:
    """A device whose driver gives up by itself."""

    def next(self) -> None:
        raise CameraStalled("camera: no frame within 3 s; the connection was closed")

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


class _SilentCamera(LiveCamera):
    def _connect(self) -> _Silent:
        return _Silent()


def test_what_ended_the_drivers_thread_is_never_told_as_a_pause() -> None:
    with _SilentCamera("silent:", CLOCK) as camera:
        for _ in range(2):
            with pytest.raises(DeviceError, match="the connection was closed") as error:
                camera.read(PATIENCE_S)
            assert not isinstance(error.value, CameraStalled)
