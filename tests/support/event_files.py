"""Recordings of event cameras, written from the published formats; events are (t in us, x, y, on)."""

import io
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

Event = tuple[int, int, int, bool]
SIZE = (64, 48)


def moving_bar(count: int = 1000, every_us: int = 1000, start_us: int = 5000) -> list[Event]:
    """A vertical bar that moves right: its left edge OFF, its right edge ON; an event each `every_us`."""
    return [
        (start_us + i * every_us, (i // 20 + (8 if i % 2 else 0)) % SIZE[0], i // 2 % SIZE[1], bool(i % 2))
        for i in range(count)
    ]


def evt2(events: Iterable[Event], size: Sequence[int] | None = SIZE) -> bytes:
    geometry = "" if size is None else f"% geometry {size[0]}x{size[1]}\n"
    out, high = [f"% evt 2.0\n{geometry}% end\n".encode()], -1
    for t, x, y, on in events:
        if t >> 6 != high:
            high = t >> 6
            out.append(struct.pack("<I", 0x8 << 28 | high & 0xFFFFFFF))
        out.append(struct.pack("<I", on << 28 | (t & 63) << 22 | x << 11 | y))
    return b"".join(out)


def evt3(events: Iterable[Event], size: Sequence[int] = SIZE) -> bytes:
    words: list[int] = []
    high = low = row = -1
    for t, x, y, on in events:
        if t >> 12 != high:
            high, low = t >> 12, -1
            words.append(0x8 << 12 | high & 0xFFF)
        if t & 0xFFF != low:
            low = t & 0xFFF
            words.append(0x6 << 12 | low)
        if y != row:
            row = y
            words.append(y)
        words.append(0x2 << 12 | on << 11 | x)
    header = f"% evt 3.0\n% format EVT3;height={size[1]};width={size[0]}\n% end\n".encode()
    return header + struct.pack(f"<{len(words)}H", *words)


def dat(events: Iterable[Event], size: Sequence[int] = SIZE) -> bytes:
    header = f"% Data file containing CD events.\n% Version 2\n% Width {size[0]}\n% Height {size[1]}\n".encode()
    return header + b"\x0c\x08" + b"".join(struct.pack("<II", t, x | y << 14 | on << 28) for t, x, y, on in events)


def aedat4(path: Path, events: Sequence[Event], size: tuple[int, int] = SIZE) -> None:
    """Written by faery: a table of flat buffers, compressed."""
    import faery

    array = np.array(events, faery.EVENTS_DTYPE)
    faery.events_stream_from_array(array, size).to_file(path)


def sample(pos: object, neg: object) -> bytes:
    """A sample of ES-ImageNet: rows of (y, x, step)."""
    file = io.BytesIO()
    np.savez_compressed(file, pos=np.asarray(pos), neg=np.asarray(neg))
    return file.getvalue()


def save(folder: Path, kind: str, events: Sequence[Event], size: tuple[int, int] = SIZE) -> Path:
    """Write a recording of a kind: evt2, evt3, dat or aedat4."""
    path = folder / f"recording.{'raw' if kind.startswith('evt') else kind}"
    if kind == "aedat4":
        aedat4(path, events, size)
    else:
        path.write_bytes({"evt2": evt2, "evt3": evt3, "dat": dat}[kind](events, size))
    return path
