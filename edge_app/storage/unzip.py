"""Entries of zip files that nobody should trust, unpacked into bounded memory.

A directory of a million entries takes 47 MB in a file and 370 MB in memory, so entries are counted before it is read.
What the directory says of an entry's size is only a claim, and `ZipFile.read` unpacks all that comes before it
cuts it down to the claim: 300 kB took 600 MB. Here an entry is unpacked piece by piece, and given up with the first
byte more than it claims.
"""

import copy
import io
import zipfile
from typing import BinaryIO

from edge_app.errors import InputError

PIECE = 64 << 10
"""Bytes unpacked at a time."""
RECORD = b"PK\1\2"
"""What an entry's record in the directory begins with."""


def check_count(file: BinaryIO, most: int) -> None:
    """Raise InputError when a zip file's directory may have more than `most` entries; reads all of the file once.

    A picture that holds the same four bytes counts too, one in a thousand of 4 MB.
    """
    count, tail = 0, b""
    while piece := file.read(PIECE):
        piece = tail + piece
        count += piece.count(RECORD)
        tail = piece[-len(RECORD) + 1 :]
    if count > most:
        raise InputError(f"it holds {count} entries, at most {most} are read here")


def unzip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """Return an entry's content, which may have `limit` bytes, in little more memory than that.

    Raises InputError, which names the entry, when it claims to be larger, holds more or less than it claims, or is
    damaged.
    """
    name, claimed = info.filename, info.file_size
    if claimed > limit:
        raise InputError(f"{name!r} unpacks to {claimed} bytes, at most {limit} are expected")
    one_more = copy.copy(info)
    one_more.file_size = claimed + 1  # zipfile ends an entry at its claim: so that the byte too many is seen
    content = io.BytesIO()
    try:
        with archive.open(one_more) as entry:
            while content.tell() <= claimed and (piece := entry.read(PIECE)):
                content.write(piece)
    except Exception as error:  # zlib, zipfile and the disk have many ways to say "damaged"
        raise InputError(f"{name!r} cannot be unpacked ({error})") from error
    if content.tell() != claimed:
        found = "more" if content.tell() > claimed else str(content.tell())
        raise InputError(f"{name!r} claims to unpack to {claimed} bytes, and unpacks to {found}")
    return content.getvalue()
