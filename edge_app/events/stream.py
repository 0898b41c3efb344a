"""A stream of events cut into windows: of a length of time, or of a number of events."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 0.05
"""Time that a picture shows: long enough for edges to close, short enough for a hand to be in one place."""
LONGEST_GAP_US = 10_000_000
"""Events further apart are played this far apart: a damaged time stamp would otherwise be a wait of years."""
RESET_US = 1_000_000
"""When all events of a packet are this much older than the newest event, the camera's clock was set back."""
_MOST_GATHERED = 1 << 20
"""Events that are kept before they are counted: a long window needs no more memory than a short one."""
_LATEST_US = 1 << 62


class EventPacket(NamedTuple):
    """A packet of events, oldest first."""

    t: NDArray[np.uint64]
    """(n,): microseconds since any start."""
    x: NDArray[np.uint16]
    """(n,): column."""
    y: NDArray[np.uint16]
    """(n,): row."""
    on: NDArray[np.bool_]
    """(n,): True: the pixel became brighter; False: darker."""


class Played(NamedTuple):
    """Events that are inside the picture and in order."""

    time_us: NDArray[np.int64]
    """(n,): microseconds since the first event of the recording; never goes back."""
    place: NDArray[np.int64]
    """(n,): index into the flattened counts (2, H, W)."""


class EventWindow:
    """The events of a window."""

    def __init__(self, counter: "_Counter", end_us: int) -> None:
        self._counter = counter
        self.end_us = end_us
        """Time of the last event; of an empty window: its end."""

    @property
    def counts(self) -> NDArray[np.int16]:
        """Return (2, H, W): ON and OFF events of each pixel, at most 32767."""
        # only of windows that are shown: it costs a pass over the picture
        return self._counter.counts()


class Sorter:
    """Leaves out events outside the picture and events older than the one before, and counts them."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        self._newest: int | None = None
        self._time_us = 0
        self.outside = 0
        """Events left out because the picture has no such pixel."""
        self.late = 0
        """Events left out because a newer one had come."""
        self.stuck = 0
        """Last events with one and the same time."""

    def sort(self, events: EventPacket) -> Played:
        """Return the events of a packet that can be played. A clock that was set back goes on from where it was."""
        inside = (events.x < self._width) & (events.y < self._height)
        self.outside += len(inside) - int(np.count_nonzero(inside))
        t = np.minimum(events.t[inside], _LATEST_US).astype(np.int64)
        if not len(t):
            return Played(t, t)
        if self._newest is None or int(t.max()) < self._newest - RESET_US:
            self._newest = int(t[0])
        newest = np.maximum.accumulate(np.concatenate(([self._newest], t)))
        kept = t == newest[1:]
        self.late += len(kept) - int(np.count_nonzero(kept))
        gaps = np.diff(newest)
        time_us = self._time_us + np.cumsum(np.minimum(gaps, LONGEST_GAP_US))
        self._count_stuck(gaps)
        self._newest, self._time_us = int(newest[-1]), int(time_us[-1])
        # ON first
        row = events.y[inside].astype(np.int64) + self._height * ~events.on[inside]
        return Played(time_us[kept], (row * self._width + events.x[inside])[kept])

    def _count_stuck(self, gaps: NDArray[np.int64]) -> None:
        """Count the last events of one time after a long gap; `gaps` (n,) int64 lie before the packet's events, us."""
        # a decoder gives an event that is older than the one before its time: all that follow a damaged one look so
        last = np.flatnonzero(gaps)
        self.stuck = len(gaps) - int(last[-1]) if len(last) else self.stuck + len(gaps)


class EventWindows:
    """Cuts played events into windows of `window_us` microseconds, or of `count` events each."""

    def __init__(
        self, packets: Iterator[Played], shape: tuple[int, int], *, window_us: int = 0, count: int = 0
    ) -> None:
        """`shape` is (H, W). Either `window_us` or `count` is above zero."""
        self._packets = packets
        self._shape = shape
        self._window_us, self._count = window_us, count
        self._rest = Played(np.zeros(0, np.int64), np.zeros(0, np.int64))
        self._number = 0
        self._counter = _Counter(shape)

    def next(self) -> EventWindow | None:
        """Return the next window, None after the last event.

        What reading the packets raises passes through; the next call goes on where it was.
        """
        end_us = (self._number + 1) * self._window_us
        counter = self._counter
        # full as soon as its last event is there, not when a later one comes
        while not self._count or counter.counted < self._count:
            if not self._fill():
                # the recording has ended
                if not counter.counted:
                    return None
                break
            wanted = self._wanted(end_us, counter.counted)
            if not wanted:
                break
            if self._count:
                end_us = int(self._rest.time_us[wanted - 1])
            counter.add(self._rest.place[:wanted])
            self._rest = Played(self._rest.time_us[wanted:], self._rest.place[wanted:])
        self._number += 1
        self._counter = _Counter(self._shape)
        return EventWindow(counter, end_us)

    def skip_empty(self) -> int:
        """Leave out the windows without events before the events at hand, but for the last; return how many.

        For a camera that is seen live: these windows are over, and each would cost a picture.
        """
        if self._count or not len(self._rest.time_us):
            return 0
        skipped = max(0, int(self._rest.time_us[0]) // self._window_us - self._number - 1)
        self._number += skipped
        return skipped

    def _fill(self) -> bool:
        """Read packets until there is an event; False at the end."""
        while not len(self._rest.time_us):
            packet = next(self._packets, None)
            if packet is None:
                return False
            self._rest = packet
        return True

    def _wanted(self, end_us: int, counted: int) -> int:
        """Return how many of the events that were read belong to the window."""
        if self._count:
            return min(self._count - counted, len(self._rest.time_us))
        return int(np.searchsorted(self._rest.time_us, end_us))


class _Counter:
    """Counts events by pixel; counting costs a pass over the picture, so packets are gathered first."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = (2, *shape)
        self._total = np.zeros(0, np.int64)
        self._gathered: list[NDArray[np.int64]] = []
        self._waiting = 0
        self.counted = 0

    def add(self, place: NDArray[np.int64]) -> None:
        self._gathered.append(place)
        self.counted += len(place)
        self._waiting += len(place)
        if self._waiting >= _MOST_GATHERED:
            self._count()

    def _count(self) -> None:
        place = np.concatenate([np.zeros(0, np.int64), *self._gathered])
        total = np.bincount(place, minlength=math.prod(self._shape))
        self._total = total if not len(self._total) else self._total + total
        self._gathered, self._waiting = [], 0

    def counts(self) -> NDArray[np.int16]:
        if self._gathered or not len(self._total):
            self._count()
        return np.minimum(self._total, np.iinfo(np.int16).max).astype(np.int16).reshape(self._shape)
