"""USB cameras: what can go wrong before and after the first frame."""

import os
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.devices import open_camera
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import CameraStalled
from edge_app.devices.v4l2 import V4l2Camera, check_device, opencv_capture
from edge_app.errors import DeviceError, InputError
from support.camera_reading import read_until_error, read_until_it_mends
from support.fake_capture import FakeCapture, picture

CLOCK = MonotonicClock()


class Bench:
    """A fake device in a folder, and the captures that were made of it."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.node = folder / "video0"
        self.node.touch()
        self.captures: list[FakeCapture] = []
        self._options = options

    def capture(self, path: str) -> FakeCapture:
        self.captures.append(FakeCapture(path, **self._options))
        return self.captures[-1]

    def camera(self, **options: object) -> V4l2Camera:
        return V4l2Camera(str(self.node), CLOCK, capture=self.capture, check=lambda path, name: None, **options)


def test_a_missing_device_lists_what_there_is() -> None:
    with pytest.raises(DeviceError, match=r"v4l2:/dev/video_none: no such device; there are: "):
        open_camera("v4l2:/dev/video_none", CLOCK)


def test_a_file_is_sent_to_the_driver_for_files(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.touch()
    with pytest.raises(DeviceError, match=f"this is not a device; to play a video file write file:{path}"):
        open_camera(f"v4l2:{path}", CLOCK)


def test_a_device_that_is_no_camera_is_refused() -> None:
    with pytest.raises(DeviceError, match="v4l2:/dev/null: this is not a V4L2 device"):
        open_camera("v4l2:/dev/null", CLOCK)


def test_without_permission_the_group_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:  # root may open everything: only the kernel's answer is put in, the rest is real

        def refuse(*arguments: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)
        path = "/dev/null"
    else:
        path = next((str(p) for p in Path("/dev").iterdir() if _forbidden(p)), "")
        if not path:
            pytest.skip("every device may be opened by this user")
    with pytest.raises(DeviceError, match="no permission to use the device; add the user to the group video"):
        check_device(path, f"v4l2:{path}")


def _forbidden(path: Path) -> bool:
    return stat.S_ISCHR(path.stat().st_mode) and not os.access(path, os.R_OK | os.W_OK)


def test_a_busy_device_says_how_to_find_who(tmp_path: Path) -> None:
    bench = Bench(tmp_path, opens=False)
    with pytest.raises(DeviceError, match=r"another program may be using it \(`fuser .*video0` tells which\)"):
        bench.camera().open()
    assert bench.captures[0].released


def test_opencv_itself_opens_no_device_that_is_none() -> None:
    assert not opencv_capture("/dev/null").isOpened()


@pytest.mark.parametrize("fourcc", ["YUYV", "MJPG"])
def test_raw_frames_are_decoded_when_they_are_read(tmp_path: Path, fourcc: str) -> None:
    bench = Bench(tmp_path, fourcc=fourcc)
    with bench.camera() as camera:
        frame = camera.read(2.0)
        assert not bench.captures[0].values[cv2.CAP_PROP_CONVERT_RGB]
    expected = picture(0).astype(int)
    expected[16:32, 16:48] = frame.image[24, 32]
    inside = np.ones((48, 64), bool)
    inside[14:34, 14:50] = False  # JPEG's ringing around the block
    inside[20:28] = False
    assert np.abs(frame.image.astype(int) - expected)[inside].max() < 12


def test_other_formats_are_left_to_opencv(tmp_path: Path) -> None:
    bench = Bench(tmp_path, fourcc="NV12")
    with bench.camera() as camera:
        image = camera.read(2.0).image
        assert bench.captures[0].values[cv2.CAP_PROP_CONVERT_RGB]
    assert np.array_equal(image[:16], picture(0)[:16])


def test_time_stamps_are_the_kernels(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with bench.camera() as camera:
        frames = [camera.read(2.0) for _ in range(3)]
        steps = {frame.time_ns - bench.captures[0]._due_ns(0) for frame in frames}
    assert all(abs(step / 40e6 - round(step / 40e6)) < 0.001 for step in steps)


def test_an_unplugged_camera_is_told_and_opens_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    camera = bench.camera()
    camera.open()
    first = camera.read(2.0)
    bench.node.unlink()
    error = read_until_error(camera)
    assert not isinstance(error, CameraStalled)
    assert "unplugged" in str(error)
    assert bench.captures[0].released
    camera.close()
    bench.node.touch()
    with camera:
        assert camera.read(2.0).sequence > first.sequence


def test_a_silent_camera_stalls_and_may_go_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, patience_s=0.35)
    with bench.camera() as camera:
        camera.read(2.0)
        bench.captures[0].silent.set()
        error = read_until_error(camera, 0.2)
        assert isinstance(error, CameraStalled)
        assert "no frame within 0.2 s" in str(error)
        bench.captures[0].silent.clear()
        assert camera.read(2.0)


def test_a_camera_that_refuses_is_given_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with bench.camera() as camera:
        bench.captures[0].refusing.set()
        assert "refuses to deliver frames" in str(read_until_error(camera))


def test_garbage_is_no_picture(tmp_path: Path) -> None:
    bench = Bench(tmp_path, fourcc="MJPG")
    with bench.camera() as camera:
        camera.read(2.0)
        bench.captures[0].garbage.set()
        error = read_until_error(camera)
        assert "is not a MJPG picture" in str(error)
        bench.captures[0].garbage.clear()
        read_until_it_mends(camera)


def test_what_opencv_raises_ends_the_camera_with_its_words(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with bench.camera() as camera:

        def fail() -> None:
            raise cv2.error("out of memory")

        bench.captures[0].retrieve = fail
        assert "v4l2:" in (message := str(read_until_error(camera)))
        assert "out of memory" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (1280, 720)}, "delivers 64x48 instead of 1280x720; write size=64x48"),
        ({"fps": 60.0}, "delivers 25 frames/s at this size instead of 60; write fps=25"),
        ({"controls": {"zoom": 3}}, "does not take zoom = 3"),
    ],
)
def test_what_the_camera_cannot_do_is_refused(tmp_path: Path, options: dict[str, object], message: str) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(InputError, match=message):
        bench.camera(**options).open()
    assert bench.captures[0].released


def test_formats_and_controls_reach_the_device(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with bench.camera(size=(64, 48), fps=25, pixels="mjpg", controls={"brightness": 7}) as camera:
        assert camera.read(2.0)
        values = bench.captures[0].values
        assert values[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
        assert values[cv2.CAP_PROP_BRIGHTNESS] == 7
        assert values[cv2.CAP_PROP_BUFFERSIZE] == 2


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("v4l2:", "names no path"),
        ("v4l2:/dev/video0?pixels=h264", "expected mjpg or yuyv"),
        ("v4l2:/dev/video0?fps=0", "expected 0.01 to 1000"),
        ("v4l2:/dev/video0?fps=nan", "expected 0.01 to 1000"),
        ("v4l2:/dev/video0?gain=much", "gain = 'much'"),
    ],
)
def test_bad_options_are_refused_by_name(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_camera(uri, CLOCK)
