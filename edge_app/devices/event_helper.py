"""Events of a recording or of a camera, in a process of its own that may crash, hang or run out of memory.

It imports nothing of edge-app: recordings are decoded by faery, in the Python of edge-app; a camera is read by the
maker's library, in the system's Python, for which that library was built. Arguments: "recording", path, kind (evt, dat
or aedat), width and height for a header without them (0: none); or "camera", serial number ("": the first one) and
microseconds of a slice.

On the standard output it says one line of JSON, {"size": [width, height]} or {"error": ...}, with "missing": true where
the library cannot be imported; then packets, each int64 n and, little-endian, n times: int64 t in microseconds, uint16
x, uint16 y, uint8 on. n = 0: the end; n = -1: an error, whose text follows as int64 length and bytes; n = -2: int64
number of events that a camera sent and that were left out here, because the reader was too slow for them. It ends when
its standard input closes: with the process that started it.
"""

import contextlib
import fcntl
import importlib
import json
import os
import queue
import resource
import signal
import struct
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

MOST_EVENTS = 1 << 16
"""Of a packet."""
ERROR, LOST = -1, -2
PIPE_BYTES = 1 << 20
MOST_BYTES = 256 << 20
"""Memory for decoding: a few kB of AEDAT4 may claim to unpack to any size, and the service as a whole has 600 MB."""
MOST_WAITING = 16
"""Packets of a camera that wait for the reader: 14 MB, a tenth of a second at ten million events a second."""

SWITCH_S = 0.0002
"""Seconds after which a thread of a camera's process lets another one run."""


class _Output:
    """The pipe to the reader: the standard output, which prints of a library must not reach."""

    def __init__(self) -> None:
        self._pipe = os.dup(1)
        os.dup2(2, 1)
        # more in the pipe: the processes wake one another less often. Refused where all pipes of the user are too large
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def write(self, data: bytes) -> None:
        """Write all of it; waits while the pipe is full, so that a long recording never fills the memory."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._pipe, view) :]

    def say(self, answer: dict[str, Any]) -> None:
        """Write a line of JSON."""
        self.write(json.dumps(answer).encode() + b"\n")


def recording(path: str, kind: str, size: tuple[int, int] | None) -> tuple[tuple[int, int], Iterator[Any]]:
    """Return (width, height) of a recording, and its packets: arrays with the fields t, x, y and on or payload."""
    # before the limit: it maps its own code
    import faery

    limit_memory()
    # faery opens no name that is not UTF-8
    path = f"/proc/self/fd/{os.open(path, os.O_RDONLY)}"
    if kind == "evt":
        decoder = faery.evt.Decoder(path, size, None)
        return decoder.dimensions, (packet["events"] for packet in decoder if "events" in packet)
    if kind == "dat":
        decoder = faery.dat.Decoder(path, size, None)
        if decoder.event_type not in ("2d", "cd"):
            raise ValueError(f"holds {decoder.event_type} events, expected changes of brightness")
        return decoder.dimensions, iter(decoder)
    decoder = faery.aedat.Decoder(path)
    for track in decoder.tracks():
        if track.data_type == "events":
            return track.dimensions, (packet for one, packet in decoder if one.id == track.id)
    raise ValueError("holds no track of events")


def camera(serial: str, slice_us: int) -> tuple[tuple[int, int], Iterator[Any]]:
    """Return (width, height) of a camera, and its slices: arrays with the fields t, x, y and p.

    Of OpenEB (Metavision SDK 5) this is relied on, sdk/modules/core/python/pypkg/metavision_core/event_io: an
    `EventsIterator` whose `input_path` is "" opens the first camera, else the one with this serial number, and raises
    when there is none (events_iterator.py, raw_reader.py); `get_size` returns (height, width); with `mode` "delta_t" it
    yields an array of `delta_t` microseconds once a later event has come, and empty ones for those without events; it
    raises or ends when the camera is gone (poll_buffer in hal/cpp/src/facilities/i_events_stream.cpp); the fields of
    `EventCD` are x, y, p (1: ON, 0: OFF) and t (microseconds).
    """
    library = importlib.import_module("metavision_core.event_io")
    slices = library.EventsIterator(input_path=serial, mode="delta_t", delta_t=slice_us)
    height, width = slices.get_size()
    return (width, height), iter(slices)


def limit_memory() -> None:
    """Let the process have no more than `MOST_BYTES` above what it has now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        limit = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE") + MOST_BYTES
    # a service may not be allowed to; it has a limit of its own then
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def watch_parent() -> None:
    """End at once when the standard input closes, even while the decoder hangs."""
    while os.read(0, 1):
        pass
    # sys.exit would only end this thread
    os.kill(os.getpid(), signal.SIGTERM)


def parts(events: Any) -> Iterator[Any]:
    """Yield the events of an array, at most `MOST_EVENTS` at a time. Raises ValueError for one without events."""
    names = events.dtype.names or ()
    if not {"t", "x", "y"} <= set(names) or not {"on", "payload", "p"} & set(names):
        raise ValueError(f"the events have the fields {', '.join(names) or 'of plain numbers'}, expected t, x, y and p")
    for start in range(0, len(events), MOST_EVENTS):
        yield events[start : start + MOST_EVENTS]


def packed(part: Any) -> bytes:
    """Return a packet of events as it is sent."""
    on = next(name for name in ("on", "payload", "p") if name in part.dtype.names)
    columns = (part["t"].astype("<i8"), part["x"].astype("<u2"), part["y"].astype("<u2"), part[on].astype("?"))
    return struct.pack("<q", len(part)) + b"".join(column.tobytes() for column in columns)


def send_all(arrays: Iterable[Any], output: _Output) -> None:
    """Send a recording, at the pace of the reader."""
    for events in arrays:
        for part in parts(events):
            output.write(packed(part))


def send_newest(arrays: Iterable[Any], output: _Output) -> None:
    """Send what a camera sees, at its pace: packets that find `MOST_WAITING` others waiting are left out and counted.

    A library that nobody takes events from keeps them in memory without a limit, or loses them without a word.
    """
    # the library asks the camera for data without a pause: with Python's 5 ms the writer would hardly have its turn
    sys.setswitchinterval(SWITCH_S)
    waiting: queue.Queue[bytes] = queue.Queue(MOST_WAITING)
    writer = threading.Thread(target=_write_waiting, args=(waiting, output), daemon=True)
    writer.start()
    lost = 0
    try:
        for events in arrays:
            for part in parts(events):
                if waiting.full():
                    lost += len(part)
                    continue
                said = struct.pack("<qq", LOST, lost) if lost else b""
                waiting.put(said + packed(part))
                lost = 0
    finally:
        # of a camera that is gone the last events still come
        waiting.put(struct.pack("<qq", LOST, lost) if lost else b"")
        waiting.join()


def _write_waiting(waiting: "queue.Queue[bytes]", output: _Output) -> None:
    while True:
        output.write(waiting.get())
        waiting.task_done()


def reason(error: BaseException) -> str:
    """Return an error as a line of text."""
    return " ".join(str(error).split()) or type(error).__name__


def main() -> None:
    """Send all events there are."""
    threading.Thread(target=watch_parent, daemon=True).start()
    # numpy's threads are not needed, and each reserves memory
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    output = _Output()
    source, *rest = sys.argv[1:]
    try:
        if source == "camera":
            send = send_newest
            size, arrays = camera(rest[0], int(rest[1]))
        else:
            send = send_all
            size, arrays = recording(rest[0], rest[1], (int(rest[2]), int(rest[3])) if int(rest[2]) else None)
    except BaseException as error:
        output.say({"error": reason(error), "missing": isinstance(error, ImportError)})
        raise SystemExit(1) from error
    output.say({"size": size})
    try:
        send(arrays, output)
    except BaseException as error:
        text = reason(error).encode()
        output.write(struct.pack("<qq", ERROR, len(text)) + text)
        raise SystemExit(1) from error
    output.write(struct.pack("<q", 0))


if __name__ == "__main__":
    main()
