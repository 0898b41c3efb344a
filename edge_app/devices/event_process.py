"""The process that sends events, `event_helper.py`, as its reader sees it."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.closing import Closing
from edge_app.devices import event_helper as helper
from edge_app.devices.child import Child
from edge_app.events.stream import EventPacket

MOST_SIDE = 4096
"""Columns and rows of the largest picture; sensors have up to 1280 x 720."""
MOST_PIXELS = 1 << 22
"""Counting the events of a window takes 40 bytes a pixel."""
MOST_SAID = 10_000
"""Bytes of a message of the helper's."""
WORDS_S = 8.0
"""Seconds that the rest of a message may take."""
_EVENT_BYTES = 13


class EventsFailed(Exception):
    """The library that reads the events failed; the text is its reason."""


class ProtocolError(Exception):
    """The process sent something else than it should; the text is what."""


class EventProcess(Closing):
    """A running helper. What comes in parts is kept, so that a wait may end at any time and be taken up again."""

    def __init__(self, python: str, arguments: Sequence[str]) -> None:
        """Start it. Raises OSError when `python` cannot be started."""
        # -I: files beside the helper must not shadow modules of the standard library
        self._child = Child([python, "-I", str(Path(helper.__file__)), *arguments])
        self._buffer = bytearray()
        self._filled = 0
        self._count: int | None = None
        self.ended = False
        """Whether the events have ended."""
        self.lost = 0
        """Events that the helper left out."""

    @property
    def pid(self) -> int:
        """Return the process's number."""
        return self._child.pid

    def head(self, silence_s: float) -> dict[str, Any] | None:
        """Return what it says first, {"size": [width, height]} or {"error": text}; None after so long without a byte.

        Raises EOFError when the process has ended, ProtocolError.
        """
        line = b""
        while not line.endswith(b"\n") and len(line) < MOST_SAID:
            byte = self._take(1, silence_s)
            if byte is None:
                return None
            line += byte
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not answer.keys() & {"size", "error"}:
            raise ProtocolError(repr(line[:80]))
        return answer

    def next(self, silence_s: float) -> EventPacket | None:
        """Return the next packet; None at the end (`ended`), and after so many seconds without a byte.

        Raises EOFError when the process has ended before the events did, EventsFailed, ProtocolError.
        """
        while True:
            if self._count is None:
                data = self._take(8, silence_s)
                if data is None:
                    return None
                self._count = _number(data)
            if self._count != helper.LOST:
                return self._packet(self._count, silence_s)
            data = self._take(8, silence_s)
            if data is None:
                return None
            self.lost += _number(data)
            self._count = None

    def _packet(self, count: int, silence_s: float) -> EventPacket | None:
        if count == 0:
            self.ended = True
            return None
        if count == helper.ERROR:
            length = min(max(_number(self._take(8, WORDS_S) or b""), 0), MOST_SAID)
            raise EventsFailed((self._take(length, WORDS_S) or b"").decode(errors="replace"))
        if not 0 < count <= helper.MOST_EVENTS:
            raise ProtocolError(f"a packet of {count} events")
        data = self._take(count * _EVENT_BYTES, silence_s)
        if data is None:
            return None
        self._count = None
        return EventPacket(
            np.frombuffer(data, "<u8", count),
            np.frombuffer(data, "<u2", count, 8 * count),
            np.frombuffer(data, "<u2", count, 10 * count),
            np.frombuffer(data, np.bool_, count, 12 * count),
        )

    def _take(self, size: int, silence_s: float) -> bytes | None:
        """Return exactly `size` bytes of its output, None when none came for so long."""
        if len(self._buffer) != size:
            self._buffer, self._filled = bytearray(size), 0
        deadline = time.monotonic() + silence_s
        while self._filled < size:
            count = self._child.read_into(memoryview(self._buffer)[self._filled :], silence_s)
            if count:
                self._filled, deadline = self._filled + count, time.monotonic() + silence_s
            elif time.monotonic() > deadline:
                return None
        data, self._buffer, self._filled = bytes(self._buffer), bytearray(), 0
        return data

    def said(self) -> str:
        """Return the process's last line on its standard error, "; it said: ..."; "" if there is none."""
        words = self._child.last_words()
        return f"; it said: {words[-1]}" if words else ""

    def ask_to_end(self) -> None:
        """Make a wait end; safe from any thread."""
        self._child.ask_to_end()

    def close(self) -> None:
        """End the process."""
        self._child.close()


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def read_size(answer: dict[str, Any]) -> tuple[int, int] | None:
    """Return (width, height) of what the helper says first; None if no sensor has that size."""
    size = answer.get("size")
    if not (isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) for side in size)):
        return None
    width, height = size
    return (width, height) if fits(width, height) else None


def fits(width: int, height: int) -> bool:
    """Return whether a sensor may have so many columns and rows."""
    return 0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE and width * height <= MOST_PIXELS
