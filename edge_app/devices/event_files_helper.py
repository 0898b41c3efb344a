"""Decodes a recording of an event camera with faery, in a process of its own that may crash, hang or run out of memory.

It imports nothing of edge-app. Arguments: path, kind (evt, dat or aedat), width and height for a header without them
(0: none). On the standard output it says one line of JSON, {"size": [width, height]} or {"error": ...}, with
"missing": true where faery is not installed; then packets, each int64 n and, little-endian, n times: int64 t in
microseconds, uint16 x, uint16 y, uint8 on. n = 0: the end; n = -1: an error, whose text follows as int64 length and
bytes. It ends when its standard input closes: with the process that started it.
"""

import contextlib
import fcntl
import json
import os
import resource
import signal
import struct
import sys
import threading
from collections.abc import Iterator
from typing import Any

MOST_EVENTS = 1 << 16
"""Of a packet."""
PIPE_BYTES = 1 << 20
MOST_BYTES = 256 << 20
"""Memory for decoding: a few kB of AEDAT4 may claim to unpack to any size, and the service as a whole has 600 MB."""


def opened(path: str, kind: str, size: tuple[int, int] | None) -> tuple[tuple[int, int], Iterator[Any]]:
    """Return (width, height) of a recording, and its packets: arrays with the fields t, x, y and on or payload."""
    import faery

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


def widen_output() -> None:
    """Let the pipe hold more, so that the two processes wake one another less often."""
    # refused where all pipes of the user together are too large
    with contextlib.suppress(OSError):
        fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def write(data: bytes) -> None:
    """Write all of it; waits while the pipe is full, so that a long recording never fills the memory."""
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def send(events: Any) -> None:
    """Write the events of an array, in packets."""
    on = "on" if "on" in events.dtype.names else "payload"
    for start in range(0, len(events), MOST_EVENTS):
        part = events[start : start + MOST_EVENTS]
        columns = (part["t"].astype("<i8"), part["x"].astype("<u2"), part["y"].astype("<u2"), part[on].astype("?"))
        write(struct.pack("<q", len(part)) + b"".join(column.tobytes() for column in columns))


def reason(error: BaseException) -> str:
    """Return an error as a line of text."""
    return " ".join(str(error).split()) or type(error).__name__


def main() -> None:
    """Decode the whole file."""
    threading.Thread(target=watch_parent, daemon=True).start()
    # numpy's threads are not needed, and each reserves memory
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    widen_output()
    path, kind, width, height = sys.argv[1:]
    try:
        import faery  # noqa: F401 before the limit: it maps its own code

        limit_memory()
        size, packets = opened(path, kind, (int(width), int(height)) if int(width) else None)
    except BaseException as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "faery"
        write(json.dumps({"error": reason(error), "missing": missing}).encode() + b"\n")
        raise SystemExit(1) from error
    write(json.dumps({"size": size}).encode() + b"\n")
    try:
        for events in packets:
            send(events)
    except BaseException as error:
        text = reason(error).encode()
        write(struct.pack("<qq", -1, len(text)) + text)
        raise SystemExit(1) from error
    write(struct.pack("<q", 0))


if __name__ == "__main__":
    main()
