"""Any GStreamer pipeline as a camera: `gst:videotestsrc ! video/x-raw,width=640#size=320x240`, `gst:jetson-csi`.

The wheels of OpenCV are built without GStreamer, and its Python bindings belong to the system's Python; so the system's
gst-launch-1.0 runs the pipeline and hands raw frames over a pipe. Options follow a "#".
"""

import shlex
import shutil
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.child import Child
from edge_app.devices.live import FrameSource, LiveCamera, Packet
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.devices.uri import (
    Reader,
    read_fps,
    read_options,
    read_size,
    split_options,
    split_scheme,
    without_password,
)
from edge_app.errors import DeviceError, InputError, RuntimeMissing

PRESETS = {
    "jetson-csi": (
        "nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),framerate={rate} ! "
        "nvvidconv ! video/x-raw,format=BGRx,width={width},height={height}"
    ),
}
"""Name -> pipeline. jetson-csi: a CSI camera through NVIDIA's image processor, scaled and copied out of its memory."""

DEFAULT_SIZE = (640, 480)
DEFAULT_FPS = 30.0
PATIENCE_S = 0.25
"""Seconds that the thread waits for a frame before it checks whether to stop."""
START_S = 6.0
"""Seconds that `open` waits for the first byte, because sensors and decoders start slowly; below the stage's 10 s."""


class Layout(NamedTuple):
    """The memory layout of a raw RGB frame from GStreamer."""

    width: int
    height: int

    @property
    def stride(self) -> int:
        """Return the bytes in a row: GStreamer rounds rows of RGB up to a multiple of 4."""
        return (3 * self.width + 3) // 4 * 4

    @property
    def length(self) -> int:
        """Return the bytes in a frame."""
        return self.stride * self.height


class GstreamerCamera(LiveCamera):
    """The frames of a GStreamer pipeline that ends in raw video, converted to RGB and scaled to `size`.

    `launcher` is the program that runs pipelines. A frame's time is that of its arrival. A pipeline that ends or fails
    raises DeviceError with GStreamer's last message.
    """

    def __init__(
        self,
        pipeline: str,
        clock: Clock,
        *,
        size: tuple[int, int] = DEFAULT_SIZE,
        fps: float | None = None,
        uri: str | None = None,
        launcher: str = "gst-launch-1.0",
    ) -> None:
        super().__init__(uri or f"gst:{pipeline}", clock)
        self._layout = Layout(*size)
        self._launcher = launcher
        try:
            self._words = shlex.split(pipeline)
        except ValueError as error:
            raise InputError(f"{self._uri}: the pipeline cannot be read: {error}") from error
        width, height = size
        # drop-only: a slow camera's frames must not be doubled
        rate = [] if fps is None else ["!", "videorate", "drop-only=true", "!", f"video/x-raw,framerate={_rate(fps)}"]
        self._words += [*rate, "!", "videoconvert", "!", "videoscale", "!"]
        # square pixels: otherwise GStreamer may keep the picture's shape and write another ratio
        self._words += [f"video/x-raw,format=RGB,width={width},height={height},pixel-aspect-ratio=1/1", "!"]
        # sync=false: frames are handed out as they come, not at their presentation time
        self._words += ["fdsink", "fd=1", "sync=false"]

    def _connect(self) -> FrameSource:
        program = shutil.which(self._launcher)
        if program is None:
            raise RuntimeMissing(
                f"{self._uri}: {self._launcher} is not installed: "
                "sudo apt install gstreamer1.0-tools gstreamer1.0-plugins-base"
            )
        # --quiet: standard output carries the frames
        child = Child([program, "--quiet", *self._words])
        source = _PipelineSource(self._uri, child, self._layout, self._clock)
        try:
            source.wait_for_first()
        except BaseException:
            source.close()
            raise
        return source


class _PipelineSource:
    def __init__(self, uri: str, child: Child, layout: Layout, clock: Clock) -> None:
        self._uri = uri
        self._child = child
        self._layout = layout
        self._clock = clock
        self._frame = bytearray(layout.length)
        self._filled = 0

    @property
    def pid(self) -> int:
        """Return the pipeline's process number."""
        return self._child.pid

    def wait_for_first(self) -> None:
        """Wait until the first bytes of a frame have come, or START_S: a slow pipeline may take longer.

        Raises DeviceError when the pipeline ends before that.
        """
        deadline_ns = self._clock.monotonic_ns() + round(START_S * NS_PER_S)
        while not self._filled and self._clock.monotonic_ns() < deadline_ns:
            self._take(PATIENCE_S)

    def next(self) -> Packet | None:
        while self._filled < self._layout.length:
            if not self._take(PATIENCE_S):
                return None
        # a new buffer: the frame belongs to its reader
        frame, self._frame, self._filled = self._frame, bytearray(self._layout.length), 0
        return Packet(frame, self._clock.monotonic_ns())

    def _take(self, timeout_s: float) -> bool:
        """Read what has arrived; False when nothing came in time. Raises DeviceError at the end of the pipeline."""
        try:
            count = self._child.read_into(memoryview(self._frame)[self._filled :], timeout_s)
        except EOFError:
            raise DeviceError(f"{self._uri}: the pipeline ended{self._said()}") from None
        self._filled += count or 0
        return count is not None

    def _said(self) -> str:
        lines = self._child.last_words()
        # the rest is progress
        told = [line for line in lines if line.startswith(("ERROR", "WARNING", "erroneous"))] or lines[-1:]
        return f"; GStreamer says: {without_password(told[-1])}" if told else ""

    def decode(self, data: Any) -> NDArray[np.uint8]:
        width, height = self._layout
        rows = np.frombuffer(data, np.uint8).reshape(height, self._layout.stride)
        # without the padding at the ends of rows
        return rows[:, : 3 * width].reshape(height, width, 3)

    def interrupt(self) -> None:
        self._child.ask_to_end()

    def close(self) -> None:
        self._child.close()


def _rate(fps: float) -> str:
    # 1001: rates such as 30000/1001 of television
    fraction = Fraction(fps).limit_denominator(1001)
    return f"{fraction.numerator}/{fraction.denominator}"


def camera_from_uri(uri: str, clock: Clock) -> GstreamerCamera:
    """Make the camera of `gst:PIPELINE#size=WxH,fps=N` or `gst:jetson-csi#sensor=0,...`; raises InputError."""
    head, _, text = split_options(uri)
    pipeline = split_scheme(head)[1].strip()
    if not pipeline:
        raise InputError(f"{uri!r} names no pipeline: expected gst:PIPELINE or gst:{' or gst:'.join(PRESETS)}")
    readers: dict[str, Reader] = {"size": read_size, "fps": read_fps}
    if pipeline not in PRESETS:
        return GstreamerCamera(pipeline, clock, uri=uri, **read_options(uri, text, readers))
    options = read_options(uri, text, readers | {"sensor": int})
    size = options.get("size", DEFAULT_SIZE)
    rate = _rate(options.get("fps", DEFAULT_FPS))
    filled = PRESETS[pipeline].format(sensor=options.get("sensor", 0), rate=rate, width=size[0], height=size[1])
    return GstreamerCamera(filled, clock, size=size, uri=uri)
