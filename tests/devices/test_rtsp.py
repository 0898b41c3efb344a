"""RTSP, against GStreamer's own server on the loopback."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_app.devices import open_camera
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import CameraStalled
from edge_app.devices.streams import why_not
from edge_app.errors import DeviceError
from support.camera_reading import read_until_error

PYTHON = "/usr/bin/python3"
SERVER = Path(__file__).parents[1] / "support" / "rtsp_server.py"
CLOCK = MonotonicClock()


@contextmanager
def serving(port: int = 0, *how: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server, and its port; skips where the system's Python lacks GStreamer's bindings."""
    try:
        process = subprocess.Popen(
            [PYTHON, str(SERVER), str(port), *how], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    except FileNotFoundError:
        pytest.skip(f"there is no {PYTHON}")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.skip(
                "no RTSP server: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good "
                "gstreamer1.0-plugins-ugly"
            )
        yield process, int(line)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as (_, port):
        yield port


@pytest.fixture(scope="module")
def guarded() -> Iterator[int]:
    with serving(0, "guarded") as (_, port):
        yield port


@pytest.mark.parametrize("path", ["red", "red#transport=udp"])
def test_frames_come_as_they_are_shown(port: int, path: str) -> None:
    with open_camera(f"rtsp://127.0.0.1:{port}/{path}", CLOCK) as camera:
        frames = [camera.read(20.0) for _ in range(3)]
    assert frames[-1].image.shape == (240, 320, 3)
    red, green, blue = frames[-1].image[120, 160].tolist()
    assert red > 200
    assert max(green, blue) < 60
    assert frames[0].time_ns < frames[1].time_ns < frames[2].time_ns


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_the_first_frame_does_not_wait_for_the_second_key_frame(transport: str) -> None:
    with (
        serving(0, "h264") as (_, port),
        open_camera(f"rtsp://127.0.0.1:{port}/red#transport={transport}", CLOCK) as camera,
    ):
        start = time.monotonic()
        assert camera.read(15.0).image.shape == (240, 320, 3)
        assert time.monotonic() - start < 15.0, "the next key frame comes after 20 s"


def test_user_and_password_are_used_and_not_shown(guarded: int) -> None:
    with open_camera(f"rtsp://me:s3cret@127.0.0.1:{guarded}/red", CLOCK) as camera:
        assert camera.read(20.0).image.shape == (240, 320, 3)
        assert "s3cret" not in camera.uri


def test_a_refusal_says_what_to_check(port: int, guarded: int) -> None:
    with pytest.raises(DeviceError, match="answers 404 Not Found; check the path"):
        open_camera(f"rtsp://127.0.0.1:{port}/nothing", CLOCK)
    with pytest.raises(DeviceError, match="answers 401 Unauthorized; check user and password") as refused:
        open_camera(f"rtsp://me:wr0ng@127.0.0.1:{guarded}/red", CLOCK)
    assert "wr0ng" not in str(refused.value)
    with pytest.raises(DeviceError, match="answers 401 Unauthorized; check user and password"):
        open_camera(f"rtsp://127.0.0.1:{guarded}/red", CLOCK)


def test_a_stream_that_only_ffmpeg_refuses_is_told(port: int) -> None:
    assert "that FFmpeg cannot read" in why_not(f"rtsp://127.0.0.1:{port}/red", 5.0)


def test_a_camera_that_hangs_stalls_and_one_that_dies_ends_and_can_be_opened_again() -> None:
    with serving() as (server, port), open_camera(f"rtsp://127.0.0.1:{port}/red#timeout=5s", CLOCK) as camera:
        camera.read(20.0)
        server.send_signal(signal.SIGSTOP)
        assert isinstance(read_until_error(camera, 0.5), CameraStalled)
        server.send_signal(signal.SIGCONT)
        assert camera.read(20.0)
        server.kill()
        assert not isinstance(read_until_error(camera, 20.0), CameraStalled)
        server.wait()
        with serving(port):
            camera.close()
            camera.open()
            assert camera.read(20.0)
