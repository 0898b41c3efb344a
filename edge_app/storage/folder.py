"""The state folder: the paths of its files, and the lock that admits one writing process."""

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from edge_app.errors import InputError, StateBusy, StateNotWritable
from edge_app.storage.errors import os_errors

DATABASE = "examples.sqlite"
SNAPSHOTS = "snapshots"
LOCK = "lock"


def database_path(folder: Path) -> Path:
    """Return the path of the database of a state folder."""
    return folder / DATABASE


def snapshots_path(folder: Path) -> Path:
    """Return the path of the snapshots of a state folder."""
    return folder / SNAPSHOTS


def require_state(folder: Path) -> None:
    """Raise InputError when `folder` has no database."""
    if not database_path(folder).is_file():
        raise InputError(
            f"no state in {folder}: {database_path(folder)} does not exist; "
            f"teach something first (`edge-app teach --state {folder} CLASS FILE...`)"
        )


class FolderLock:
    """The lock of a state folder, held from construction to `release` or to the end of the process.

    flock(2) on the file `lock` in the folder: it belongs to the open file, so a second holder in the same process is
    refused as well. The file stays when the lock is released; the process id in it is only used in messages.
    """

    def __init__(self, folder: Path) -> None:
        """Create `folder` where it is missing and lock it.

        Raises StateBusy, naming the holder's process id, when another has the lock, and StateNotWritable when the
        folder cannot be created or written.
        """
        self.folder = folder
        with os_errors(folder, "create or lock the state folder"):
            folder.mkdir(parents=True, exist_ok=True)
            self._file: int | None = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            self._file = None
            if error.errno != errno.EWOULDBLOCK:
                raise StateNotWritable(f"cannot lock {folder}: {error}; use a folder on a local disk") from error
            raise StateBusy(
                f"{folder} is in use by {f'process {holder}' if holder else 'another process'}: "
                "stop it first, or use another folder (classify, examples and export work beside it)"
            ) from error
        with contextlib.suppress(OSError):  # a full disk must not prevent corrections or an export
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Release the lock; may be called twice."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, 0)
        os.close(self._file)
        self._file = None
