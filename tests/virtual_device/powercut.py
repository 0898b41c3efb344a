"""The content of a disk after a power cut: all that was flushed, and any part of the rest.

A killed QEMU leaves every write in the host's memory, which a pulled plug would not. So the disk's writes are logged
(QEMU's blklogwrites, the format of the kernel's dm-log-writes), and the disk is made again from the log.
"""

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

MAGIC = 0x6A736677736872
SUPER = struct.Struct(
    "<QQQI"
)  # magic, version, entries, sector size: struct log_write_super, drivers/md/dm-log-writes.c
ENTRY = struct.Struct("<QQQQ")  # sector, sectors, flags, bytes of data: struct log_write_entry
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


class Write(NamedTuple):
    """One entry of the log."""

    offset: int
    """Bytes from the beginning of the disk."""
    length: int
    flags: int
    data: bytes


class Cut(NamedTuple):
    """The effect of a power cut."""

    flushes: int
    durable: int
    """Writes that a flush made durable."""
    lost: int
    """Writes after the last flush that did not get to the disk."""
    kept: int
    """Writes after the last flush that did."""


def read_log(path: Path) -> Iterator[Write]:
    """Yield the entries of a log. Raises ValueError for a file that is none."""
    with path.open("rb") as file:
        head = file.read(SUPER.size)
        if not any(head):  # QEMU writes it with the first entry
            return
        magic, version, entries, size = SUPER.unpack(head)
        if magic != MAGIC or version != 1:
            raise ValueError(f"{path} is no log of writes: magic {magic:#x}, version {version}")
        file.seek(size)
        for _ in range(entries):
            sector, sectors, flags, _length = ENTRY.unpack(file.read(size)[: ENTRY.size])
            length = sectors * size
            data = b"" if flags & DISCARD else file.read(length)
            yield Write(sector * size, length, flags, data)


def replay(log: Path, disk: Path, chance: random.Random) -> Cut:
    """Write to `disk`, as it was before, what a disk with a write cache has after the cut."""
    flushes = durable = 0
    unsafe: list[Write] = []
    with disk.open("r+b") as file:
        for write in read_log(log):
            if write.flags & FLUSH:
                for earlier in unsafe:
                    _apply(file, earlier)
                durable += len(unsafe)
                flushes += 1
                unsafe = []
            if write.flags & FUA:
                _apply(file, write)
                durable += 1
            elif write.length:
                unsafe.append(write)
        share = chance.random()
        kept = [write for write in unsafe if chance.random() < share]
        for write in kept:
            _apply(file, write)
    return Cut(flushes, durable, len(unsafe) - len(kept), len(kept))


def _apply(file: BinaryIO, write: Write) -> None:
    file.seek(write.offset)
    file.write(write.data or bytes(write.length))
