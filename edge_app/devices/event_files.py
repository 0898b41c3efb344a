"""Recordings of event cameras: EVT 2 and 3 (.raw), DAT (.dat) and AEDAT4 (.aedat4), decoded by faery.

faery was chosen because it reads all of these at 20 to 90 million events/s, is maintained, and has wheels for aarch64
and Python 3.11 to 3.13. aedat and dv-processing have such wheels too, but read AEDAT4 alone; expelliarmus has had no
release since 2023 and has no wheels for aarch64. faery parses parts of a file without checks, so a damaged one may
crash its process or ask for any amount of memory: it runs in a process of its own (`event_helper.py`).
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from edge_app.closing import Closing
from edge_app.devices.event_process import MOST_PIXELS, MOST_SIDE, EventProcess, EventsFailed, ProtocolError, read_size
from edge_app.errors import DeviceError, InputError, RuntimeMissing
from edge_app.events.stream import EventPacket
from edge_app.files import open_to_read

KINDS = {".raw": "evt", ".dat": "dat", ".aedat4": "aedat"}
"""End of a file's name -> kind."""
STARTS = {"evt": b"%", "dat": b"%", "aedat": b"#!AER-DAT4"}
"""Kind -> what its files begin with."""
PATIENCE_S = 8.0
"""Seconds without a byte after which the decoder hangs; importing numpy takes several on a Raspberry Pi 3."""


class EventFile(Closing):
    """An open recording. Raises DeviceError when it cannot be read, RuntimeMissing when faery is not installed."""

    def __init__(self, uri: str, path: Path, size: tuple[int, int] | None) -> None:
        """`uri` names the recording in messages; `size` is (width, height) for a header that lacks it."""
        self._uri = uri
        kind = KINDS[path.suffix.lower()]
        _check_start(uri, path, STARTS[kind])
        width, height = size or (0, 0)
        command = ["recording", str(path.absolute()), kind, str(width), str(height)]
        try:
            self._process = EventProcess(sys.executable, command)
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
        while (packet := self._next()) is not None:
            yield packet

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _next(self) -> EventPacket | None:
        try:
            packet = self._process.next(PATIENCE_S)
        except EventsFailed as error:
            raise DeviceError(f"{self._uri}: the rest cannot be decoded: {error}") from error
        except ProtocolError as error:
            raise DeviceError(f"{self._uri}: the decoder went wrong; the file is probably damaged") from error
        except EOFError:
            raise self._crashed() from None
        if packet is None and not self._process.ended:
            raise self._hangs()
        return packet

    def _read_head(self) -> tuple[int, int]:
        try:
            answer = self._process.head(PATIENCE_S)
        except ProtocolError as error:
            raise DeviceError(f"{self._uri}: the decoder said {error}") from error
        except EOFError:
            raise self._crashed() from None
        if answer is None:
            raise self._hangs()
        if answer.get("missing"):
            raise RuntimeMissing(f"{self._uri}: needs faery: pip install 'edge-app[events]' ({answer['error']})")
        if "error" in answer:
            raise DeviceError(f"{self._uri}: cannot be decoded: {answer['error']}{_advice(answer['error'])}")
        size = read_size(answer)
        if size is None:
            said = " x ".join(map(str, answer["size"]))
            raise DeviceError(
                f"{self._uri}: the header says {said} pixels, expected 1 to {MOST_SIDE} each and at most "
                f"{MOST_PIXELS} in all; the file is probably damaged"
            )
        return size

    def _crashed(self) -> DeviceError:
        text = "the decoder crashed; the file is damaged, copy or record it again"
        return DeviceError(f"{self._uri}: {text}{self._process.said()}")

    def _hangs(self) -> DeviceError:
        return DeviceError(f"{self._uri}: the decoder hangs; the file is probably damaged")


def _check_start(uri: str, path: Path, expected: bytes) -> None:
    """Raise DeviceError for what is no recording of its kind: the decoder would ask for what only a header has."""
    try:
        with open_to_read(path) as file:
            start = file.read(len(expected))
    except InputError as error:
        raise DeviceError(f"{uri}: {error}") from error
    except OSError as error:
        raise DeviceError(f"{uri}: cannot be read: {error.strerror or error}") from error
    if start != expected:
        found = repr(start)[1:] if start else "nothing: the file is empty"
        raise DeviceError(
            f"{uri}: cannot be decoded: {path.suffix} files begin with {expected.decode()!r}, this one with {found}; "
            "copy or record it again"
        )


def _advice(error: str) -> str:
    """Return the way out of an error of the decoder's."""
    if "no size" in error:
        return "; write the sensor's, for example ?size=640x480"
    return "; the file is damaged or of another kind, copy or record it again"
