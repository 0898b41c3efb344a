"""Files with passwords and keys, which other accounts must not read."""

import codecs
import os
import stat
from pathlib import Path

from edge_app.errors import InputError

LONGEST = 4096


def read_secret(key: str, path: Path, *, at_least: int = 1, at_most: int = LONGEST) -> bytes:
    """Return the content of a secret file, without surrounding white space.

    `key` is the configuration key that names the file. Raises InputError if it cannot be read, if others may read it,
    or if its length is out of range.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(at_most + 1)
    except OSError as error:
        raise InputError(f"{key} = {str(path)!r} cannot be read: {error.strerror or error}") from error
    if mode & 0o077:
        raise InputError(
            f"{key} = {str(path)!r} has mode {mode:04o}, so other accounts may read it; expected 0600: chmod 600 {path}"
        )
    secret = content.removeprefix(codecs.BOM_UTF8).strip()
    if not at_least <= len(secret) <= at_most:
        raise InputError(f"{key} = {str(path)!r} holds {len(secret)} bytes, expected {at_least} to {at_most}")
    return secret


def check_readable(key: str, path: str) -> str | None:
    """Return the path of a file that a library reads by itself, None for "". Raises InputError if it is unreadable."""
    if not path:
        return None
    try:
        with Path(path).open("rb"):
            return path
    except OSError as error:
        raise InputError(f"{key} = {path!r} cannot be read: {error.strerror or error}") from error
