"""The state folder: the paths of its files, and the lock that admits one writing process."""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from pathlib import Path

from edge_app.errors import InputError, StateBusy, StateNotWritable
from edge_app.files import GROUP_FOLDER, GROUP_READABLE, foreign_owner
from edge_app.storage.errors import os_errors

DATABASE = "examples.sqlite"
HISTORY = "history.sqlite"
"""The database of visits: beside the examples, and independent of them."""
SNAPSHOTS = "snapshots"
LOCK = "lock"
CLASS_REFERENCES, OFFERS_SEEN, STRICTNESS = "class-references.json", "offers-seen.json", "strictness.json"
RULES, PLACES = "rules.json", "places.json"
"""Files that belong to the examples: classes of buttons and lights, answered offers, the strictness that was set, the
rules that were switched on or off, and the places that were set."""
EXPORT_PREFIX, IMPORT_PREFIX, RESTORE_PREFIX = ".export-", ".import-", ".restore-"
"""Of temporary files in the state folder during an export or a backup, an import, and a restore."""
# .new*: databases that were being created; recovery.tmp: see recovery.py; before-rebuild: see learner/rebuild.py
LEFTOVERS = (
    f"{EXPORT_PREFIX}*",
    f"{IMPORT_PREFIX}*",
    f"{RESTORE_PREFIX}*",
    "recovery.tmp",
    f"{DATABASE}.new*",
    "before-rebuild-*.tmp",
)
"""Temporary files that a power cut leaves."""


def database_path(folder: Path) -> Path:
    """Return the path of the database of a state folder."""
    return folder / DATABASE


def history_path(folder: Path) -> Path:
    """Return the path of the database of visits of a state folder."""
    return folder / HISTORY


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


def clean(folder: Path) -> None:
    """Remove temporary files that a power cut left; only for the writer of the state."""
    for pattern in LEFTOVERS:
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):  # a read-only disk: the files do no harm
                # rmtree follows no link, but a link itself has to be unlinked
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def restrict(folder: Path) -> None:
    """Take from other accounts the right to read what was taught, which an older edge-app may have given them."""
    for pattern in (f"{DATABASE}*", f"{SNAPSHOTS}/*.snapshot"):
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):  # a read-only disk
                mode = stat.S_IMODE(path.stat().st_mode)
                if mode & ~GROUP_FOLDER:
                    path.chmod(mode & GROUP_FOLDER)


class FolderLock:
    """The lock of a state folder, held from construction to `release` or to the end of the process.

    flock(2) on the file `lock` in the folder: it belongs to the open file, so a second holder in the same process is
    refused as well. The file stays when the lock is released; the process id in it is only used in messages.
    """

    def __init__(self, folder: Path) -> None:
        """Create `folder` where it is missing and lock it.

        Raises StateBusy, naming the holder's process id, when another has the lock; StateNotWritable when the folder
        cannot be created or written, or belongs to another account than root's while this is root.
        """
        self.folder = folder
        with os_errors(folder, "create or lock the state folder"):
            # the mode is given at creation: nobody may read it meanwhile
            folder.mkdir(mode=GROUP_FOLDER, parents=True, exist_ok=True)
            # files of root's would lock the owner's own service out (privileges.py takes its account instead)
            if os.geteuid() == 0 and (owner := foreign_owner(folder)) is not None:
                raise StateNotWritable(f"{folder} belongs to the account {owner.st_uid}: root does not work in it")
        self._file: int | None = self._take()

    def check(self) -> None:
        """Take the lock again if somebody has removed its file. Raises StateBusy when another process has it then."""
        if self._file is None:
            return
        # the lock belongs to the open file: once its name is removed, another process can lock a new file of that name
        held = os.fstat(self._file)
        with contextlib.suppress(OSError):
            found = os.lstat(self.folder / LOCK)
            if (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino):
                return
        if self.folder.is_dir():  # else the store refuses to be changed
            again = self._take()
            os.close(self._file)
            self._file = again

    def _take(self) -> int:
        with os_errors(self.folder, "create or lock the state folder"):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(self.folder / LOCK, flags, GROUP_READABLE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # for people only: the process may have ended, and its number may be another's
            holder = os.pread(file, 32, 0).decode("ascii", "replace").strip()
            os.close(file)
            # a network file system without locks
            if error.errno != errno.EWOULDBLOCK:
                raise StateNotWritable(f"cannot lock {self.folder}: {error}; use a folder on a local disk") from error
            raise StateBusy(
                f"{self.folder} is in use by {f'process {holder}' if holder else 'another process'}: "
                "stop it first, or use another folder (classify, examples and export work beside it)"
            ) from error
        with contextlib.suppress(OSError):  # a full disk must not prevent corrections or an export
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode("ascii"), 0)
        return file

    def release(self) -> None:
        """Release the lock; may be called twice."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, 0)
        os.close(self._file)
        self._file = None
