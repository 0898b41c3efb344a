"""Errors of SQLite and of the operating system, as errors that name the file, the cause and the way out."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_app.errors import EdgeAppError, StateBusy, StateCorrupt, StateNotWritable

NOT_WRITABLE = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
    errno.EFBIG: "the file may not grow further (a file-size limit, `ulimit -f`): raise the limit",
    errno.EROFS: "it is on a read-only file system: remount it writable (`mount -o remount,rw`), or see why it "
    "became read-only (`dmesg`)",
    errno.EACCES: "permission denied: run as the user that owns it, or change its permissions",
    errno.EPERM: "permission denied: run as the user that owns it, or change its permissions",
    errno.EIO: "the disk reports input/output errors: it may be failing; copy the folder elsewhere",
    errno.EMFILE: "the program has too many files open: try again, or raise its limit (`LimitNOFILE` of the service)",
    errno.ENFILE: "the system has too many files open: close programs",
    errno.ENOMEM: "the system is out of memory: close programs",
}

SQLITE_REASONS = {
    "SQLITE_FULL": NOT_WRITABLE[errno.ENOSPC],
    "SQLITE_READONLY": "it cannot be written (read-only file system or permissions)",
    "SQLITE_CANTOPEN": "a file in the folder cannot be created or opened (permissions, or a read-only file system)",
    "SQLITE_PERM": NOT_WRITABLE[errno.EACCES],
    "SQLITE_IOERR": "the disk refused to write (full, over a file-size limit, or failing)",
}

RECOVER = "`edge-app recover --state {folder}` sets the file aside and keeps every example that can still be read"


@contextmanager
def os_errors(path: Path, doing: str) -> Iterator[None]:
    """Raise StateNotWritable for an OSError while something is written below `path`."""
    try:
        yield
    except OSError as error:
        raise not_writable(error, f"cannot {doing} in {path}") from error


def not_writable(error: EdgeAppError | OSError, what: str) -> EdgeAppError:
    """Return an OSError as StateNotWritable, with its reason and the way out; an EdgeAppError as it is."""
    if isinstance(error, EdgeAppError):
        return error
    reason = NOT_WRITABLE.get(error.errno or 0, str(error))
    return StateNotWritable(f"{what}: {reason}; what was stored before is unchanged")


@contextmanager
def sqlite_errors(path: Path, doing: str) -> Iterator[None]:
    """Raise StateNotWritable, StateBusy or StateCorrupt for an error of SQLite in the database at `path`."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a mistake in this program, not a fault of the file
    except sqlite3.Error as error:
        raise translated(error, path, doing) from error
    except UnicodeDecodeError as error:  # sqlite3 cannot decode its own message when that quotes damaged bytes
        raise corrupt(path, f"it holds text that is not valid UTF-8 (while trying to {doing})") from error


def translated(error: sqlite3.Error, path: Path, doing: str) -> EdgeAppError:
    """Return the error of edge-app for an error of SQLite."""
    name = getattr(error, "sqlite_errorname", None) or ""
    # extended codes such as SQLITE_IOERR_WRITE belong to the family SQLITE_IOERR
    family = "_".join(name.split("_")[:2])
    if family in {"SQLITE_BUSY", "SQLITE_LOCKED"}:
        return StateBusy(f"cannot {doing}: another program is writing {path}; try again when it has finished")
    # a failed read is damage; a failed write means that the disk is full or cannot be written
    if family in SQLITE_REASONS and not name.startswith(("SQLITE_IOERR_READ", "SQLITE_IOERR_SHORT_READ")):
        reason = SQLITE_REASONS[family]
        return StateNotWritable(f"cannot {doing} in {path}: {reason}; what was stored before is unchanged ({name})")
    return corrupt(path, f"{error} ({name or type(error).__name__}, while trying to {doing})")


def corrupt(path: Path, what: str) -> StateCorrupt:
    """Return the error for a damaged database: what is wrong, and how to save what can be saved."""
    return StateCorrupt(f"{path} is damaged: {what}. Nothing was changed. {RECOVER.format(folder=path.parent)}")
