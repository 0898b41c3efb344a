"""GStreamer's pipelines, by the system's gst-launch-1.0."""

import os
import shutil
import signal
import time

import numpy as np
import pytest

from edge_app.devices import open_camera
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.gstreamer import PRESETS, GstreamerCamera, camera_from_uri
from edge_app.devices.ports import CameraStalled
from edge_app.errors import DeviceError, InputError, RuntimeMissing
from support.camera_reading import read_until_error

CLOCK = MonotonicClock()
needs_gstreamer = pytest.mark.skipif(
    not shutil.which("gst-launch-1.0"),
    reason="gst-launch-1.0 is missing: apt install gstreamer1.0-tools gstreamer1.0-plugins-base",
)
LIVE = "videotestsrc is-live=true"


def process_of(camera: GstreamerCamera) -> int:
    return int(camera._feed.source.pid)


@needs_gstreamer
@pytest.mark.parametrize("size", ["64x48", "62x46", "33x17"])
def test_colours_and_rows_are_right_at_any_width(size: str) -> None:
    with open_camera(f"gst:{LIVE} pattern=smpte#size={size}", CLOCK) as camera:
        image = camera.read(5.0).image
    width, height = map(int, size.split("x"))
    assert image.shape == (height, width, 3)
    bars = [image[2, round((bar + 0.5) * width / 7)].astype(int) for bar in range(7)]
    expected = [(255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0), (255, 0, 255), (255, 0, 0), (0, 0, 255)]
    assert np.abs(np.array(bars) - expected).max() < 12


@needs_gstreamer
def test_the_rate_can_be_lowered() -> None:
    with open_camera(f"gst:{LIVE} ! video/x-raw,framerate=50/1#size=64x48,fps=10", CLOCK) as camera:
        times = [camera.read(5.0).time_ns for _ in range(5)]
    assert 0.08e9 < np.median(np.diff(times)) < 0.14e9


@needs_gstreamer
@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ("nosuchsrc", 'GStreamer says: .*no element "nosuchsrc"'),
        ("videotestsrc ! video/x-raw,width=", "GStreamer says: "),
        ("filesrc location=/nowhere ! decodebin", "GStreamer says: ERROR"),
    ],
)
def test_a_pipeline_that_cannot_run_says_why_at_once(pipeline: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message) as caught:
        open_camera(f"gst:{pipeline}", CLOCK)
    assert not isinstance(caught.value, CameraStalled)


@needs_gstreamer
def test_a_pipeline_that_ends_is_told() -> None:
    with open_camera(f"gst:{LIVE} num-buffers=3#size=64x48", CLOCK) as camera:
        assert "the pipeline ended" in str(read_until_error(camera))
        camera.close()
        camera.open()
        assert camera.read(5.0)


@needs_gstreamer
def test_a_stall_passes_and_a_killed_pipeline_does_not() -> None:
    with open_camera(f"gst:{LIVE}#size=64x48", CLOCK) as camera:
        camera.read(5.0)
        os.kill(process_of(camera), signal.SIGSTOP)
        assert isinstance(read_until_error(camera, 0.3), CameraStalled)
        os.kill(process_of(camera), signal.SIGCONT)
        assert camera.read(5.0)
        os.kill(process_of(camera), signal.SIGKILL)
        assert "the pipeline ended" in str(read_until_error(camera))


@needs_gstreamer
def test_closing_ends_the_process_soon_even_one_that_stands_still() -> None:
    camera = camera_from_uri(f"gst:{LIVE}#size=64x48", CLOCK)
    for still in (False, True):
        camera.open()
        camera.read(5.0)
        process = process_of(camera)
        if still:
            os.kill(process, signal.SIGSTOP)
        start = time.monotonic()
        camera.close()
        assert time.monotonic() - start < 4.0
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_without_gstreamer_the_packages_are_named() -> None:
    camera = GstreamerCamera("videotestsrc", CLOCK, launcher="gst-launch-none")
    with pytest.raises(RuntimeMissing, match=r"apt install gstreamer1.0-tools gstreamer1.0-plugins-base"):
        camera.open()


def test_the_jetsons_preset_is_filled_in() -> None:
    camera = camera_from_uri("gst:jetson-csi#sensor=1,size=320x240,fps=29.97", CLOCK)
    assert camera.uri == "gst:jetson-csi#sensor=1,size=320x240,fps=29.97"
    assert " ".join(camera._words[:12]) == (
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),framerate=2997/100 ! "
        "nvvidconv ! video/x-raw,format=BGRx,width=320,height=240 ! videoconvert ! videoscale"
    )
    assert list(PRESETS) == ["jetson-csi"]


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gst:", "names no pipeline: expected gst:PIPELINE or gst:jetson-csi"),
        ("gst:videotestsrc pattern='ball", "No closing quotation"),
        ("gst:videotestsrc#sensor=1", "unknown option 'sensor'"),
        ("gst:jetson-csi#sensor=left", "sensor = 'left'"),
    ],
)
def test_bad_pipelines_are_refused(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_camera(uri, CLOCK)
