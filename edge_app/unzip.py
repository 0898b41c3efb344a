"""Entries of untrusted zip files, unpacked into bounded memory.

A directory of a million entries takes 47 MB in a file and 370 MB in memory: so entries are counted before it is read.
The size of an entry in the directory is only a claim, and `ZipFile.read` unpacks everything before it cuts the result
to that size: 300 kB took 600 MB. Here an entry is unpacked in pieces, and refused at the first byte beyond its claim.
"""

import copy
import io
import zipfile
from collections.abc import Callable
from typing import BinaryIO

from edge_app.errors import InputError

PIECE = 64 << 10
"""Bytes unpacked at a time."""
RECORD = b"PK\1\2"
"""The first bytes of an entry's record in the directory."""


def check_count(file: BinaryIO, most: int) -> None:
    """Raise InputError when a zip file's directory may have more than `most` entries; reads all of the file once.

    A picture that contains the same four bytes is counted as well: one in a thousand pictures of 4 MB does.
    """
    count, tail = 0, b""
    while piece := file.read(PIECE):
        piece = tail + piece
        count += piece.count(RECORD)
        # a record may begin in one piece and end in the next
        tail = piece[-len(RECORD) + 1 :]
    if count > most:
        raise InputError(f"it holds {count} entries, at most {most} are read here")


def unzip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """Return an entry's content, which may have `limit` bytes, in little more memory than that.

    Raises InputError, which names the entry, when it claims to be larger, holds more or less than it claims, or is
    damaged.
    """
    content = io.BytesIO()
    unzip_to(archive, info, limit, content.write)
    return content.getvalue()


def unzip_to(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int, write: Callable[[bytes], object]) -> None:
    """Pass an entry's content to `write`, piece by piece. Raises InputError as `unzip`, and what `write` raises."""
    name, claimed = info.filename, info.file_size
    if claimed > limit:
        raise InputError(f"{name!r} unpacks to {claimed} bytes, at most {limit} are expected")
    # a copy: the archive's own entry stays as it is
    one_more = copy.copy(info)
    one_more.file_size = claimed + 1  # zipfile stops at the claimed size: without this the extra byte would not be seen
    found = 0
    try:
        entry = archive.open(one_more)
    except Exception as error:
        raise InputError(f"{name!r} cannot be unpacked ({error})") from error
    with entry:
        while found <= claimed:
            try:
                piece = entry.read(PIECE)
            except Exception as error:  # zlib, zipfile and the disk raise many types for damage
                raise InputError(f"{name!r} cannot be unpacked ({error})") from error
            if not piece:
                break
            write(piece)
            found += len(piece)
    if found != claimed:
        raise InputError(
            f"{name!r} claims to unpack to {claimed} bytes, and unpacks to {'more' if found > claimed else found}"
        )
