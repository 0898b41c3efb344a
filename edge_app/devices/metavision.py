"""Event cameras of Prophesee, read live: `events:metavision?window=20ms`, `events:metavision:SERIAL`.

OpenEB, the maker's library, is built for the system's Python and has no wheels, so the camera is a small process of
that Python (`event_helper.py`) that hands events over a pipe. It was run against a stand-in of the library with the
same interface, not with a camera.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.child import SYSTEM_PYTHON
from edge_app.devices.event_process import EventProcess, EventsFailed, ProtocolError, read_size
from edge_app.devices.live import FrameSource, LiveCamera, Packet
from edge_app.devices.ports import CameraLoss, Clock
from edge_app.errors import DeviceError, InputError, RuntimeMissing
from edge_app.events.drawing import draw
from edge_app.events.stream import WINDOW_S, EventWindows, Played, Sorter
from edge_app.messages import Frame

SLICE_US = 10_000
"""The library's own length of a slice: a window that is longer is complete that much late at most."""
START_S = 7.0
"""Seconds of silence until the process must be ready; below the 10 s that the capture stage allows for opening."""
PATIENCE_S = 0.25
"""Seconds that the thread waits for events before it checks whether to stop."""
INSTALL = "https://docs.prophesee.ai/stable/installation/index.html"
SERIAL = re.compile(r"[\w:-]*")
"""No dots or slashes: the library opens a file of that name."""


class MetavisionCamera(LiveCamera):
    """A camera whose newest complete window is the next frame. A frame's time is that of its last events' arrival.

    `serial` is the camera's number, "" for the first one; `python` runs the process. The windows have a length,
    `window_s`, or a number of events, `count`. That events were lost is told once, by CameraLoss.
    """

    repeats = True

    def __init__(
        self,
        serial: str,
        clock: Clock,
        *,
        window_s: float = WINDOW_S,
        count: int = 0,
        colours: str = "grey",
        python: str = SYSTEM_PYTHON,
        uri: str | None = None,
    ) -> None:
        super().__init__(uri or f"events:metavision:{serial}".removesuffix(":"), clock)
        if not SERIAL.fullmatch(serial):
            raise InputError(f"{self._uri!r}: {serial!r} is no serial number; `metavision_platform_info` shows it")
        self._serial, self._python, self._colours = serial, python, colours
        self._window_us, self._count = (0, count) if count else (round(window_s * 1e6), 0)
        self.period_s = self._window_us / 1e6
        """Seconds between two frames; 0 where the scene decides."""
        self._complaint: str | None = None
        self._told = False

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not handed out yet; see `Camera.read`."""
        if self._complaint is not None and not self._told:
            self._told = True
            raise CameraLoss(self._complaint)
        return super().read(timeout_s)

    def _complain(self, text: str) -> None:
        self._complaint = f"{self._uri}: {text}"

    def _connect(self) -> FrameSource:
        slice_us = min(SLICE_US, self._window_us or SLICE_US)
        try:
            process = EventProcess(self._python, ["camera", self._serial, str(slice_us)])
        except OSError as error:
            raise DeviceError(f"{self._uri}: cannot start the camera's process: {error}") from error
        try:
            width, height = self._read_head(process)
        except BaseException:
            process.close()
            raise
        windows = {"window_us": self._window_us, "count": self._count}
        return _Source(self._uri, process, (height, width), self._colours, self._clock, self._complain, windows)

    def _read_head(self, process: EventProcess) -> tuple[int, int]:
        """Return (width, height) once the camera is open."""
        try:
            answer = process.head(START_S)
        except ProtocolError as error:
            raise DeviceError(f"{self._uri}: the camera's process said {error}") from error
        except EOFError:
            raise DeviceError(f"{self._uri}: the camera's process ended{process.said()}") from None
        if answer is None:
            raise DeviceError(f"{self._uri}: the camera is not ready after {START_S:g} s; plug it in anew")
        if answer.get("missing"):
            raise RuntimeMissing(
                f"{self._uri}: the Python {self._python} cannot import Prophesee's library, OpenEB "
                f"({answer['error']}): install it ({INSTALL}), or name the Python that has it: python=PATH"
            )
        if "error" in answer:
            raise DeviceError(
                f"{self._uri}: the camera cannot be opened: {answer['error']}; plug it in, and see whether "
                "`metavision_platform_info` shows it"
            )
        size = read_size(answer)
        if size is None:
            raise DeviceError(f"{self._uri}: the camera says that its picture has {answer['size']} pixels")
        return size


class _Silence(Exception):
    """No events came for a while."""


class _Source:
    """The windows of an open camera."""

    def __init__(
        self,
        uri: str,
        process: EventProcess,
        shape: tuple[int, int],
        colours: str,
        clock: Clock,
        complain: Callable[[str], None],
        windows: Mapping[str, int],
    ) -> None:
        """`shape` is (H, W); `windows` says how they are cut, as for EventWindows."""
        self._uri = uri
        self._process = process
        self._shape = shape
        self._colours = colours
        self._clock = clock
        self._complain = complain
        self._sorter = Sorter(shape[1], shape[0])
        # unlike a generator it goes on after an exception
        self._windows = EventWindows(iter(self._played, None), shape, **windows)

    @property
    def pid(self) -> int:
        """Return the process's number."""
        return self._process.pid

    def next(self) -> Packet | None:
        try:
            window = self._windows.next()
        except _Silence:
            return None
        assert window is not None, "a camera has no end"
        time_ns = self._clock.monotonic_ns()
        return Packet(window, time_ns, self._windows.skip_empty())

    def _played(self) -> Played | None:
        """Return the next events, never None. Raises _Silence, DeviceError."""
        try:
            packet = self._process.next(PATIENCE_S)
        except EventsFailed as error:
            raise DeviceError(f"{self._uri}: the camera failed: {error}; check its cable and power supply") from error
        except ProtocolError as error:
            raise DeviceError(f"{self._uri}: the camera's process sent {error}") from error
        except EOFError:
            raise DeviceError(f"{self._uri}: the camera's process ended{self._process.said()}") from None
        if packet is None and self._process.ended:
            raise DeviceError(f"{self._uri}: the camera was unplugged or stopped; check its cable and power supply")
        if packet is None:
            raise _Silence
        played = self._sorter.sort(packet)
        self._look_for_loss()
        return played

    def _look_for_loss(self) -> None:
        lost, outside, late = self._process.lost, self._sorter.outside, self._sorter.late
        if lost or outside or late:
            height, width = self._shape
            self._complain(
                f"{lost + outside + late} events were left out so far: {lost} came faster than this machine takes "
                f"them, {outside} lie outside the {width} x {height} pixels, {late} are older than the event before; "
                "the pictures show the others"
            )

    def decode(self, data: Any) -> NDArray[np.uint8]:
        return draw(data.counts, self._colours)

    def interrupt(self) -> None:
        self._process.ask_to_end()

    def close(self) -> None:
        self._process.close()
