"""Zip files whose directory says of an entry's size what is not so, with the checksum that goes with the lie."""

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

BOMB = 64 << 20
"""Bytes that unpack out of some 64 kB."""


def bomb(name: str, **others: bytes) -> bytes:
    """A zip file with an entry of BOMB zeros, first the entries of other names ("_" for ".")."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, data in others.items():
            archive.writestr(other.replace("_", "."), data)
        with archive.open(name, "w") as entry:
            for _ in range(BOMB >> 20):
                entry.write(bytes(1 << 20))
    return stream.getvalue()


def claiming(data: bytes, name: str, size: int, content: bytes | None = None) -> bytes:
    """The zip file with another size of an entry in its central directory.

    Its CRC-32 becomes that of the `content` that a reader would find who believed the size; None: as many zeros.
    """
    changed = bytearray(data)
    place = _record(data, name)
    checksum = zlib.crc32(bytes(size) if content is None else content)
    changed[place + 16 : place + 20] = struct.pack("<I", checksum)
    changed[place + 24 : place + 28] = struct.pack("<I", size)
    return bytes(changed)


def crowded(entries: int) -> bytes:
    """A zip file whose directory names so many entries, in 47 bytes each, and nothing else."""
    directory = (b"PK\1\2" + bytes(24) + struct.pack("<H", 1) + bytes(16) + b"a") * entries
    sizes = struct.pack("<IIH", len(directory), 0, 0)
    return directory + b"PK\5\6" + bytes(4) + struct.pack("<HH", entries & 0xFFFF, entries & 0xFFFF) + sizes


def _record(data: bytes, name: str) -> int:
    """Where an entry's record begins in the central directory."""
    place = struct.unpack("<I", data[data.rindex(b"PK\5\6") + 16 :][:4])[0]
    while data[place : place + 4] == b"PK\1\2":
        lengths = struct.unpack("<HHH", data[place + 28 : place + 34])
        if data[place + 46 :][: lengths[0]] == name.encode():
            return int(place)
        place += 46 + sum(lengths)
    raise KeyError(name)


@contextmanager
def within(bytes_: int) -> Iterator[None]:
    """Assert that what is done needs no more memory at any moment, as Python's allocators count it."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= bytes_, f"it took {peak} bytes"
