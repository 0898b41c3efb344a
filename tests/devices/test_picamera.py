"""The camera's own process, with its test source: the protocol; a process that ends, stands still, or never starts."""

import importlib.util
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edge_app.devices import open_camera, picamera2_helper
from edge_app.devices.child import SYSTEM_PYTHON
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.picamera import Picamera2Camera, camera_from_uri
from edge_app.devices.ports import CameraStalled
from edge_app.errors import DeviceError, InputError
from support.camera_reading import read_until_error

CLOCK = MonotonicClock()
TEST = f"picamera2:?source=test,size=64x48,fps=50,python={sys.executable}"


def pid_of(camera: Picamera2Camera) -> int:
    return int(camera._feed.source.pid)


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_frames_are_whole_and_move() -> None:
    with open_camera(TEST, CLOCK) as camera:
        frames = [camera.read(10.0) for _ in range(8)]
    for frame in frames:
        grey = (frame.image == 128).all(axis=2)
        bars = grey.all(axis=0)
        assert bars.sum() == 4
        assert (grey == bars).all()
        assert (frame.image[:24][~grey[:24]] == (250, 0, 0)).all()
        assert (frame.image[24:][~grey[24:]] == (0, 0, 250)).all()
    lefts = [int(np.argmax((frame.image[0] == 128).all(axis=1))) for frame in frames]
    steps = np.diff(lefts) % 32
    assert list(steps) == [step % 32 for step in np.diff([round(frame.time_ns * 50 / 1e9) for frame in frames])]


def test_frames_that_the_thread_missed_are_counted() -> None:
    with open_camera(TEST, CLOCK) as camera:
        camera.read(10.0)
        source = camera._feed.source
        number = struct.unpack_from("=q", source._memory, 0)[0]
        source._seen = number - 3  # as if it had slept through two frames
        packet = source._copy(number)
        assert packet.missed == 2
        assert source._copy(number - 3) is None, "its slot is the next to be written"


def test_a_killed_process_is_told_and_the_camera_opens_again() -> None:
    with open_camera(TEST, CLOCK) as camera:
        first = camera.read(10.0)
        os.kill(pid_of(camera), signal.SIGKILL)
        error = read_until_error(camera)
        assert not isinstance(error, CameraStalled)
        assert "the camera's process ended" in str(error)
        camera.close()
        camera.open()
        assert camera.read(10.0).sequence > first.sequence


def test_a_process_that_stands_still_is_a_stall_and_can_be_closed() -> None:
    camera = camera_from_uri(TEST, CLOCK)
    camera.open()
    camera.read(10.0)
    pid = pid_of(camera)
    os.kill(pid, signal.SIGSTOP)
    assert isinstance(read_until_error(camera, 0.3), CameraStalled)
    os.kill(pid, signal.SIGCONT)
    assert camera.read(10.0)
    os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    camera.close()
    assert time.monotonic() - start < 4.0
    assert ended(pid)


def test_the_process_ends_with_the_one_that_started_it() -> None:
    code = (
        "import os\n"
        "from edge_app.devices import open_camera\n"
        "from edge_app.devices.clock import MonotonicClock\n"
        f"camera = open_camera({TEST!r}, MonotonicClock())\n"
        "camera.read(10.0)\n"
        "print(camera._feed.source.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    for _ in range(100):
        if ended(pid):
            return
        CLOCK.sleep(0.05)
    raise AssertionError("the camera's process lives on, and holds the camera")


@pytest.mark.skipif(not Path(SYSTEM_PYTHON).exists(), reason=f"no {SYSTEM_PYTHON} on this machine")
def test_the_systems_python_runs_the_helper() -> None:
    with open_camera("picamera2:0?source=test,size=64x48", CLOCK) as camera:
        assert camera.read(10.0).image.shape == (48, 64, 3)


def test_without_picamera2_the_package_is_named() -> None:
    if importlib.util.find_spec("picamera2"):
        pytest.skip("picamera2 is installed here")
    with pytest.raises(DeviceError, match="cannot import picamera2: sudo apt install python3-picamera2"):
        open_camera(f"picamera2:0?python={sys.executable}", CLOCK)


def test_a_python_that_is_not_there_is_named() -> None:
    with pytest.raises(DeviceError, match=r"cannot start the camera's process: .*python-none"):
        open_camera("picamera2:0?python=/usr/bin/python-none", CLOCK)


def test_a_program_that_says_something_else_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    with pytest.raises(DeviceError, match=r"the camera's process said b'hello"):
        open_camera(f"picamera2:0?python={program}", CLOCK)
    program.write_text("#!/bin/sh\necho 'no such option -I' >&2\nexit 2\n")
    with pytest.raises(DeviceError, match="process ended; it said: no such option -I"):
        open_camera(f"picamera2:0?python={program}", CLOCK)


def test_the_helper_imports_only_the_standard_library() -> None:
    code = f"import runpy, sys; runpy.run_path({picamera2_helper.__file__!r}); print('numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_controls_are_read_as_they_look() -> None:
    camera = camera_from_uri("picamera2:1?AeEnable=no,ExposureTime=10000,ColourGains=1.5+1.2,AnalogueGain=2.0", CLOCK)
    assert camera._options["camera"] == 1
    assert camera._options["controls"] == {
        "AeEnable": False, "ExposureTime": 10000, "ColourGains": [1.5, 1.2], "AnalogueGain": 2.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("picamera2:front", "'front' is not a camera number; expected picamera2:0"),
        ("picamera2:0?ExposureTime=long", "ExposureTime = 'long'"),
        ("picamera2:0?exposure=3", "unknown option 'exposure'"),
        ("picamera2:0?source=moon", "expected camera or test"),
    ],
)
def test_bad_options_are_refused(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_camera(uri, CLOCK)
