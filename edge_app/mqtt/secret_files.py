"""Files with passwords and keys, which nobody else may read."""

import stat
from pathlib import Path

from edge_app.errors import InputError

LONGEST = 4096


def read_secret(key: str, path: Path, *, at_least: int = 1, at_most: int = LONGEST) -> bytes:
    """Return what is in a secret file, without white space around it.

    `key` names the file in messages. Raises InputError when it cannot be read, is open to others, or has not the right
    length.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            content = file.read(at_most + 1)
    except OSError as error:
        raise InputError(f"{key} = {str(path)!r} cannot be read: {error.strerror or error}") from error
    if mode & 0o077:
        raise InputError(
            f"{key} = {str(path)!r} has mode {mode:04o}, so that others may read it, expected 0600: chmod 600 {path}"
        )
    secret = content.strip()
    if not at_least <= len(secret) <= at_most:
        raise InputError(f"{key} = {str(path)!r} holds {len(secret)} bytes, expected {at_least} to {at_most}")
    return secret


def check_readable(key: str, path: str) -> str | None:
    """Return a path for a library that reads it itself, None for none. Raises InputError when it cannot be read."""
    if not path:
        return None
    try:
        with Path(path).open("rb"):
            return path
    except OSError as error:
        raise InputError(f"{key} = {path!r} cannot be read: {error.strerror or error}") from error
