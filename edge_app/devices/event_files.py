"""Recordings of event cameras: EVT 2 and 3 (.raw), DAT (.dat) and AEDAT4 (.aedat4), decoded by faery.

faery was chosen because it reads all of these at 20 to 90 million events/s, is maintained, and has wheels for aarch64
and Python 3.11 to 3.13. aedat and dv-processing have such wheels too, but read AEDAT4 alone; expelliarmus has had no
release since 2023 and has no wheels for aarch64. faery parses parts of a file without checks, so a damaged one may
crash its process or ask for any amount of memory: it runs in a process of its own (`event_files_helper.py`).
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge_app.closing import Closing
from edge_app.devices import event_files_helper as helper
from edge_app.devices.child import Child
from edge_app.errors import DeviceError, RuntimeMissing
from edge_app.events.stream import EventPacket

KINDS = {".raw": "evt", ".dat": "dat", ".aedat4": "aedat"}
"""End of a file's name -> kind."""
MOST_SIDE = 4096
"""Columns and rows of the largest picture; sensors have up to 1280 x 720."""
PATIENCE_S = 8.0
"""Seconds without a byte after which the decoder hangs; importing numpy takes several on a Raspberry Pi 3."""
MOST_SAID = 10_000
"""Bytes of a message of the decoder's."""
_EVENT_BYTES = 13


class EventFile(Closing):
    """An open recording. Raises DeviceError when it cannot be read, RuntimeMissing when faery is not installed."""

    def __init__(self, uri: str, path: Path, size: tuple[int, int] | None) -> None:
        """`uri` names the recording in messages; `size` is (width, height) for a header that lacks it."""
        self._uri = uri
        if not path.is_file():
            raise DeviceError(f"{uri}: no such file")
        width, height = size or (0, 0)
        command = [str(Path(path).absolute()), KINDS[path.suffix.lower()], str(width), str(height)]
        try:
            # -I: files beside the helper must not shadow modules of the standard library
            self._child = Child([sys.executable, "-I", str(Path(helper.__file__)), *command])
        except OSError as error:
            raise DeviceError(f"{uri}: cannot start the decoder: {error}") from error
        try:
            self.size = self._read_head()
            """(width, height) in pixels."""
        except BaseException:
            self.close()
            raise

    def packets(self) -> Iterator[EventPacket]:
        """Yield the events in the order of the file. Raises DeviceError when the rest cannot be decoded."""
        while count := self._number():
            if count < 0:
                words = self._read(min(max(self._number(), 0), MOST_SAID)).decode(errors="replace")
                raise DeviceError(f"{self._uri}: the rest cannot be decoded: {words}")
            if count > helper.MOST_EVENTS:
                raise DeviceError(f"{self._uri}: the decoder went wrong; the file is probably damaged")
            data = self._read(count * _EVENT_BYTES)
            yield EventPacket(
                np.frombuffer(data, "<u8", count),
                np.frombuffer(data, "<u2", count, 8 * count),
                np.frombuffer(data, "<u2", count, 10 * count),
                np.frombuffer(data, np.bool_, count, 12 * count),
            )

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def _read_head(self) -> tuple[int, int]:
        line = bytearray()
        while not line.endswith(b"\n") and len(line) < MOST_SAID:
            line += self._read(1)
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise DeviceError(f"{self._uri}: the decoder said {bytes(line[:80])!r}") from error
        if answer.get("missing"):
            raise RuntimeMissing(f"{self._uri}: needs faery: pip install 'edge-app[events]'")
        if "error" in answer:
            raise DeviceError(f"{self._uri}: cannot be decoded: {answer['error']}{_advice(answer['error'])}")
        width, height = answer["size"]
        if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE):
            raise DeviceError(
                f"{self._uri}: the header says {width} x {height} pixels, expected 1 to {MOST_SIDE} each; the file is "
                "probably damaged"
            )
        return width, height

    def _number(self) -> int:
        return int.from_bytes(self._read(8), "little", signed=True)

    def _read(self, size: int) -> bytes:
        """Return exactly `size` bytes of the decoder's output."""
        buffer = memoryview(bytearray(size))
        position, deadline = 0, time.monotonic() + PATIENCE_S
        while position < size:
            try:
                count = self._child.read_into(buffer[position:], PATIENCE_S)
            except EOFError:
                words = self._child.last_words()
                said = f"; it said: {words[-1]}" if words else ""
                raise DeviceError(
                    f"{self._uri}: the decoder crashed; the file is damaged, copy or record it again{said}"
                ) from None
            if count:
                position, deadline = position + count, time.monotonic() + PATIENCE_S
            elif time.monotonic() > deadline:
                raise DeviceError(f"{self._uri}: the decoder hangs; the file is probably damaged")
        return bytes(buffer)


def _advice(error: str) -> str:
    """Return the way out of an error of the decoder's, where there is one."""
    return "; write the sensor's, for example ?size=640x480" if "size" in error else ""
