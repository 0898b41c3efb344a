"""How many changes were acknowledged, in a file outside the database.

SQLite takes a write-ahead log that is damaged or cut off for one that ends there: the last changes are missing, and
all that is left agrees. Only a number that lies elsewhere tells. A commit is written and synced first, then its number
is written here, and then it is acknowledged; so the database may be one change ahead of this file, and never behind.

The file has two slots in blocks of their own, which are written in turn: one that is half written leaves the other.
"""

import hashlib
import logging
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edge_app.closing import Closing
from edge_app.files import GROUP_READABLE, open_regular, write_atomically

logger = logging.getLogger(__name__)

END = ".acknowledged"
"""Suffix of the file's name after the name of the database."""
MAGIC = b"EDGEACK1"
# a block of the disk: half-written, it does not touch the other slot
BLOCK = 4096
# magic, number, blake2b-128 of both
SLOT = struct.Struct("<8sQ16s")


def read_acknowledged(database: Path) -> int | None:
    """Return the number of the last change that was acknowledged; None: not known.

    Read it before the database, which may be changed meanwhile. A file that is missing or damaged tells nothing.
    """
    with suppress(OSError), open_regular(database.with_name(database.name + END)) as file:
        # the older slot is one behind; max: whichever slot was written last
        return max(_numbers(file.read(2 * BLOCK)), default=None)
    return None


class Acknowledged(Closing):
    """The file of one database, for its one writer; not safe to share between threads."""

    def __init__(self, database: Path, number: int) -> None:
        """Open the file, or make one that holds `number`, the last change in the database.

        Where it cannot be made, a warning is logged, and nothing is written.
        """
        self._path = database.with_name(database.name + END)
        self._descriptor: int | None = None
        try:
            if read_acknowledged(database) is None:
                # a state created before this file existed: what it holds now is all that can be known
                write_atomically(self._path, _slot(number) + bytes(2 * BLOCK - SLOT.size), mode=GROUP_READABLE)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            self._give_up(error)

    def write(self, number: int, *, durable: bool) -> None:
        """Note that a change was committed; `durable`: on the disk when this returns."""
        if self._descriptor is None:
            return
        try:
            # number % 2: the slots take turns
            os.pwrite(self._descriptor, _slot(number), BLOCK * (number % 2))
            if durable:
                # without the times of the file, which nobody reads
                os.fdatasync(self._descriptor)
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Sync and close the file."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.fdatasync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _give_up(self, error: OSError) -> None:
        self.close()
        logger.warning(
            "%s cannot be written (%s): damage to the end of the log would not be noticed", self._path, error
        )


def _slot(number: int) -> bytes:
    head = struct.pack("<8sQ", MAGIC, number)
    return head + hashlib.blake2b(head, digest_size=16).digest()


def _numbers(data: bytes) -> Iterator[int]:
    """Yield the numbers of the slots that are whole."""
    for start in (0, BLOCK):
        slot = data[start : start + SLOT.size]
        if len(slot) == SLOT.size:
            _, number, _ = SLOT.unpack(slot)
            if slot == _slot(number):
                yield number
