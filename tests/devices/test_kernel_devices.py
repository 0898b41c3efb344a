"""Cameras and lines of a real kernel: vivid and gpio-sim in a virtual machine, or what hangs on the board.

EDGE_APP_TEST_V4L2=/dev/video0; EDGE_APP_TEST_VIVID=vivid.0 for the platform device that may be unplugged;
EDGE_APP_TEST_GPIO=/dev/gpiochipN,SYSFS_FOLDER_OF_ITS_LINES, whose lines 0 and 1 are buttons, 2 and 3 lights.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_app.devices import open_buttons, open_camera, open_indicator
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import NS_PER_S, CameraStalled
from edge_app.errors import DeviceError, InputError
from edge_app.messages import Decision
from support.camera_reading import read_until_error

CLOCK = MonotonicClock()
DRIVER = Path("/sys/bus/platform/drivers/vivid")


@pytest.fixture
def video() -> str:
    device = os.environ.get("EDGE_APP_TEST_V4L2")
    if not device:
        pytest.skip("no V4L2 device to test with: set EDGE_APP_TEST_V4L2=/dev/video0 (vivid will do)")
    return device


@pytest.fixture
def lines() -> tuple[str, Path]:
    chip, _, folder = os.environ.get("EDGE_APP_TEST_GPIO", "").partition(",")
    if not folder:
        pytest.skip("no gpio-sim chip to test with: set EDGE_APP_TEST_GPIO=/dev/gpiochipN,SYSFS_FOLDER_OF_ITS_LINES")
    return chip, Path(folder)


@pytest.fixture
def plug() -> Iterator[str]:
    name = os.environ.get("EDGE_APP_TEST_VIVID")
    if not name:
        pytest.skip("no camera that may be unplugged: set EDGE_APP_TEST_VIVID=vivid.0")
    yield name
    if not (DRIVER / name).exists():
        (DRIVER / "bind").write_text(name)


def test_raw_pictures_are_those_that_opencv_decodes(video: str) -> None:
    images = []
    for pixels in ("", ",pixels=yuyv"):
        with open_camera(f"v4l2:{video}?size=640x360{pixels}", CLOCK) as camera:
            images.append(camera.read(5.0).image[60:300].astype(int))
    assert np.abs(images[0].mean(axis=(0, 1)) - images[1].mean(axis=(0, 1))).max() < 12


def test_time_stamps_are_of_the_capture(video: str) -> None:
    with open_camera(f"v4l2:{video}", CLOCK) as camera:
        camera.read(5.0)
        ages_ns = [-camera.read(5.0).time_ns + CLOCK.monotonic_ns() for _ in range(5)]
    assert all(0 < age < NS_PER_S for age in ages_ns)


def test_a_camera_in_use_is_refused_soon(video: str) -> None:
    with open_camera(f"v4l2:{video}", CLOCK) as camera:
        camera.read(5.0)
        start = time.monotonic()
        with pytest.raises(DeviceError, match="another program may be using it"):
            open_camera(f"v4l2:{video}", CLOCK)
        assert time.monotonic() - start < 5.0
        assert camera.read(5.0)


def test_closing_takes_no_time(video: str) -> None:
    camera = open_camera(f"v4l2:{video}", CLOCK)
    for _ in range(3):
        camera.read(5.0)
        start = time.monotonic()
        camera.close()
        assert time.monotonic() - start < 1.5
        camera.open()
    camera.close()


@pytest.mark.parametrize("option", ["size=999x333", "zoom=3"])
def test_what_the_camera_does_not_offer_is_refused(video: str, option: str) -> None:
    with pytest.raises(InputError, match="the camera d"):
        open_camera(f"v4l2:{video}?{option}", CLOCK)


def test_an_unplugged_camera_is_told_and_comes_back(video: str, plug: str) -> None:
    camera = open_camera(f"v4l2:{video}", CLOCK)
    camera.read(5.0)
    (DRIVER / "unbind").write_text(plug)
    error = read_until_error(camera)
    assert not isinstance(error, CameraStalled)
    assert "was unplugged" in str(error)
    camera.close()
    with pytest.raises(DeviceError, match="no such device"):
        camera.open()
    (DRIVER / "bind").write_text(plug)
    for _ in range(100):
        if os.access(video, os.R_OK | os.W_OK):
            break
        CLOCK.sleep(0.05)
    with camera:
        assert camera.read(5.0)


def test_a_line_in_use_names_its_holder(lines: tuple[str, Path]) -> None:
    with (
        open_buttons(f"gpio:{lines[0]}?cup=0", CLOCK),
        pytest.raises(DeviceError, match="cat = 0: the line is in use by edge-app"),
    ):
        open_buttons(f"gpio:{lines[0]}?cat=0", CLOCK)
    open_buttons(f"gpio:{lines[0]}?cat=0", CLOCK).close()


def test_bad_lines_are_refused(lines: tuple[str, Path]) -> None:
    with pytest.raises(InputError, match="the chip has lines 0 to"):
        open_buttons(f"gpio:{lines[0]}?cup=999", CLOCK)
    with pytest.raises(InputError, match="the chip has no line of that name"):
        open_buttons(f"gpio:{lines[0]}?cup=NO_SUCH_LINE", CLOCK)
    with pytest.raises(DeviceError, match="no GPIO chip is called 'nothing'; there are: "):
        open_buttons("gpio:nothing?cup=0", CLOCK)


def test_lights_are_lines_that_change(lines: tuple[str, Path]) -> None:
    chip, folder = lines

    def levels() -> tuple[str, ...]:
        return tuple((folder / f"sim_gpio{line}" / "value").read_text().strip() for line in (2, 3))

    def become(expected: tuple[str, str]) -> bool:
        for _ in range(200):
            if levels() == expected:
                return True
            CLOCK.sleep(0.01)
        return False

    for line in (2, 3):  # a released line shows its pull, which whoever had it before may have set
        (folder / f"sim_gpio{line}" / "pull").write_text("pull-down")
    zeros = np.zeros(1, np.int32)
    lights = open_indicator(f"gpio:{chip}?cup=2,status=3", CLOCK)
    lights.show(Decision("cup", ("cup",), zeros, zeros, 0, np.zeros(1, np.int64)))
    assert become(("1", "0"))
    lights.blink("learnt")
    assert become(("1", "1"))
    assert become(("1", "0"))
    lights.close()
    assert become(("0", "0"))
