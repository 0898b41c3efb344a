"""Events as a camera: `events:RECORDING?window=50ms`, `events:sim`, a frame camera: `events:v4l2:/dev/video0`.

An event camera itself, `events:metavision`, is in `metavision.py`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.closing import Opening
from edge_app.devices import LIVE_EVENTS, converted_uri, live_uri, make_camera
from edge_app.devices.event_files import KINDS, EventFile
from edge_app.devices.event_process import MOST_PIXELS, MOST_SIDE, fits
from edge_app.devices.metavision import MetavisionCamera
from edge_app.devices.paced import PacedCamera
from edge_app.devices.ports import Camera, Clock
from edge_app.devices.uri import (
    Reader,
    read_flag,
    read_fps,
    read_options,
    read_seconds,
    read_size,
    split_path,
    without_password,
)
from edge_app.errors import DeviceError, InputError
from edge_app.events.differences import THRESHOLD, FrameDifferences
from edge_app.events.drawing import COLOURS, draw
from edge_app.events.samples import read_sample, sample_integral
from edge_app.events.stream import WINDOW_S, EventWindow, EventWindows, Played, Sorter
from edge_app.files import expanded
from edge_app.messages import Frame

SHORTEST_WINDOW_S, LONGEST_WINDOW_S = 0.001, 10.0
MOST_EVENTS = 100_000_000
"""Of a window."""
MOST_AT_ONCE = 10_000
"""More last events than this, and than pixels, with one time are told: none sends so many within a microsecond."""
SAMPLE = ".npz"


class EventRecording(PacedCamera):
    """Plays a recording of an event camera: each frame shows the events of a window.

    The windows have a length, `window_s`, or a number of events, `count`; they follow one another at the pace of the
    recording, or `fps` a second. What is left out or damaged is told once by a DeviceError, and reading goes on.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        window_s: float = WINDOW_S,
        count: int = 0,
        fps: float | None = None,
        loop: bool = False,
        colours: str = "grey",
        size: tuple[int, int] | None = None,
        uri: str | None = None,
    ) -> None:
        super().__init__(uri or f"events:{path}", clock, 1 / window_s if fps is None else fps)
        self.repeats = True
        self._path, self._size = path, size
        self._window_us, self._count = (0, count) if count else (round(window_s * 1e6), 0)
        self._own_pace = fps is None
        self._loop, self._colours = loop, colours
        self._file: EventFile | None = None
        self._told = False
        self._complaint: str | None = None

    def _start(self) -> None:
        self._tick_read, self._due, self._gap_ns, self._end_us = 0, 0, self._period_ns, 0
        self._last_tick: int | None = None
        self._held: dict[int, EventWindow] = {}
        self._complaint = None
        self._rewind()
        window = self._next_window()
        if window is None:
            self._stop()
            raise DeviceError(self._complaint or f"{self.uri}: the recording holds no events")
        self._held[0], self._end_us = window, window.end_us

    def _rewind(self) -> None:
        self._stop()
        self._file = EventFile(self.uri, self._path, self._size)
        width, height = self._file.size
        self._sorter = Sorter(width, height)
        played = self._played(self._file, self._sorter)
        self._windows = EventWindows(played, (height, width), window_us=self._window_us, count=self._count)

    def _played(self, file: EventFile, sorter: Sorter) -> Iterator[Played]:
        """Yield what can be played; a damaged recording ends where it is damaged."""
        try:
            for packet in file.packets():
                yield sorter.sort(packet)
        except DeviceError as error:
            self._complain(str(error))
        if sorter.outside or sorter.late:
            width, height = file.size
            self._complain(
                f"{self.uri}: {sorter.outside + sorter.late} events were left out: {sorter.outside} outside the "
                f"{width} x {height} pixels, {sorter.late} older than the event before; the recorder may have lost data"
            )
        if sorter.stuck > max(MOST_AT_ONCE, file.size[0] * file.size[1]):
            self._complain(
                f"{self.uri}: the last {sorter.stuck} events have the same time: a time stamp is damaged, or the "
                "recorder's clock was set back; they are one frame"
            )

    def _complain(self, text: str) -> None:
        # once, however often the recording is played
        if not self._told:
            self._complaint = text if self._complaint is None else f"{self._complaint}. {text}"

    def _stop(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _next_window(self) -> EventWindow | None:
        window = self._windows.next()
        if window is None and self._loop and self._held:
            self._rewind()
            self._end_us = 0
            window = self._windows.next()
        return window

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame that is due; see `Camera.read`."""
        if self._complaint is not None:
            complaint, self._complaint, self._told = self._complaint, None, True
            raise DeviceError(complaint)
        return super().read(timeout_s)

    def _due_ns(self, tick: int) -> int:
        while self._tick_read < tick and self._last_tick is None:
            self._advance()
        if self._count and self._own_pace:
            # beyond the end the schedule goes on
            return self._due + (tick - self._tick_read) * self._gap_ns
        return super()._due_ns(tick)

    def _advance(self) -> None:
        """Read the window of the next tick; the one before is kept, because it may be the newest that is due."""
        before_us = self._end_us
        window = self._next_window()
        if window is None:
            self._last_tick = self._tick_read
            return
        # in a loop the times begin at 0 again; a window of events that came at once takes no time
        if window.end_us > before_us:
            self._gap_ns = (window.end_us - before_us) * 1000
        self._due += self._gap_ns
        self._end_us = window.end_us
        self._tick_read += 1
        self._held = {self._tick_read - 1: self._held[self._tick_read - 1], self._tick_read: window}

    def _is_past_end(self, tick: int) -> bool:
        return self._last_tick is not None and tick > self._last_tick

    def _image(self, tick: int, time_ns: int) -> NDArray[np.uint8]:
        return draw(self._held[tick].counts, self._colours)


class EventSample(PacedCamera):
    """Shows a sample of ES-ImageNet: its events moved back and summed, once or in a loop."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        fps: float = 2.0,
        loop: bool = False,
        colours: str = "grey",
        uri: str | None = None,
    ) -> None:
        super().__init__(uri or f"events:{path}", clock, fps)
        self.repeats = True
        self._path, self._loop, self._colours = path, loop, colours
        self._picture: NDArray[np.uint8] | None = None

    def _start(self) -> None:
        try:
            events = read_sample(self._path)
        except InputError as error:
            raise DeviceError(f"{self.uri}: {error}") from error
        change = sample_integral(events)
        self._picture = draw(np.stack([np.maximum(change, 0), np.maximum(-change, 0)]), self._colours)

    def _stop(self) -> None:
        self._picture = None

    def _is_past_end(self, tick: int) -> bool:
        return tick > 0 and not self._loop

    def _image(self, tick: int, time_ns: int) -> NDArray[np.uint8]:
        assert self._picture is not None
        return self._picture.copy()


class EventsOfFrames(Opening):
    """A frame camera whose frames show the events since the frame before."""

    repeats = True
    """A scene that stands still has no events, so equal frames are in order."""

    def __init__(
        self, camera: Camera, *, threshold: float = THRESHOLD, colours: str = "grey", uri: str | None = None
    ) -> None:
        self.uri = without_password(uri or f"events:{camera.uri}")
        """The URI that names this camera in messages."""
        self.converted = camera
        """The frame camera."""
        self._differences = FrameDifferences(threshold)
        self._colours = colours

    @property
    def dropped(self) -> int:
        """Return how many frames were never read."""
        return self.converted.dropped

    @property
    def period_s(self) -> float:
        """Return the seconds between two frames; see `Camera.period_s`."""
        return self.converted.period_s

    def open(self) -> None:
        """Open the frame camera; see `Camera.open`."""
        self.converted.open()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest frame as its events; see `Camera.read`. The first after opening shows none."""
        frame = self.converted.read(timeout_s)
        if frame is None:
            return None
        image = draw(self._differences.events(frame.image), self._colours)
        image.flags.writeable = False
        return frame._replace(image=image)

    def close(self) -> None:
        """Close the frame camera."""
        self._differences.forget()
        self.converted.close()


def camera_from_uri(uri: str, clock: Clock, colours: str = "grey") -> Opening:
    """Make the camera of `events:FILE?OPTIONS`, `events:CAMERA` or `events:metavision:SERIAL?OPTIONS`.

    A recording takes window or events, fps, loop, colours and size, a sample (.npz) fps, loop and colours, an event
    camera window or events, colours and python. The options of a frame camera may contain threshold and colours; the
    others are its own. `colours` is for a URI without them. Raises InputError, and the errors of that camera.
    """
    inner, own = converted_uri(uri)
    if inner:
        options = read_options(uri, own, {"threshold": _read_threshold, "colours": _read_colours})
        return EventsOfFrames(make_camera(inner, clock), uri=uri, **({"colours": colours} | options))
    windows: dict[str, Reader] = {"window": _read_window, "events": _read_count, "colours": _read_colours}
    if live := live_uri(uri):
        serial, _, text = live.removeprefix(LIVE_EVENTS).partition("?")
        options = {"colours": colours} | _read_windows(uri, text, windows | {"python": str})
        return MetavisionCamera(serial, clock, uri=uri, **options)
    played: dict[str, Reader] = {"fps": read_fps, "loop": read_flag, "colours": _read_colours}
    readers = windows | played | {"size": _read_sensor}
    name, text = split_path(uri, readers)
    path = expanded(name)
    if path.suffix.lower() == SAMPLE:
        return EventSample(path, clock, uri=uri, **({"colours": colours} | read_options(uri, text, played)))
    options = {"colours": colours} | _read_windows(uri, text, readers)
    if path.suffix.lower() not in KINDS:
        raise InputError(
            f"{uri!r}: a recording's name ends in {', '.join(KINDS)} or {SAMPLE}; convert others with faery, or name a "
            "camera: events:metavision, events:v4l2:/dev/video0, events:sim"
        )
    return EventRecording(path, clock, uri=uri, **options)


def _read_windows(uri: str, text: str, readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Read options with how the windows are cut. Raises InputError."""
    options = read_options(uri, text, readers)
    if {"window", "events"} <= options.keys():
        raise InputError(f"{uri!r}: window and events are two ways to cut into pictures; expected one of them")
    renamed = {"window": "window_s", "events": "count"}
    return {renamed.get(key, key): value for key, value in options.items()}


def _read_window(text: str) -> float:
    seconds = read_seconds(text, most=LONGEST_WINDOW_S)
    if seconds < SHORTEST_WINDOW_S:
        raise ValueError("expected at least 1ms")
    return seconds


def _read_count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= MOST_EVENTS):
        raise ValueError(f"expected 1 to {MOST_EVENTS}")
    return int(text)


def _read_sensor(text: str) -> tuple[int, int]:
    size = read_size(text)
    if not fits(*size):
        raise ValueError(f"expected at most {MOST_SIDE} each and {MOST_PIXELS} pixels in all")
    return size


def _read_threshold(text: str) -> float:
    value = float(text)
    if not 0.01 <= value <= 5:
        raise ValueError("expected 0.01 to 5: the natural logarithm of a factor of brightness")
    return value


def _read_colours(text: str) -> str:
    if text not in COLOURS:
        raise ValueError(f"expected {' or '.join(COLOURS)}")
    return text
