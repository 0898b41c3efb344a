"""Entries of zip files that nobody should trust, unpacked into bounded memory.

What the file's directory says of an entry's size is only a claim, and `ZipFile.read` unpacks all that comes before it
cuts it down to the claim: 300 kB took 600 MB. Here an entry is unpacked piece by piece, and given up with the first
byte more than it claims.
"""

import copy
import io
import zipfile

from edge_app.errors import InputError

PIECE = 64 << 10
"""Bytes unpacked at a time."""


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
