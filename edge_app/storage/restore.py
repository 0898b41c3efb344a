"""Puts the contents of a backup in the place of a state; the old state is kept aside.

A backup is unpacked beside the state and checked from end to end first. Then its folder gets the name READY, and from
that moment on the restore is carried out, after a power cut by the next program that opens the state to write:

1. what the state consists of is moved to OLD,
2. READY is renamed to MOVING, and its files are moved to their places,
3. OLD is renamed to before-restore-N.

Each step can be repeated. Until the first move the state is the old one; no file of either is ever written to.
"""

import os
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from edge_app.closing import Closing
from edge_app.errors import InputError, StateCorrupt
from edge_app.files import GROUP_FOLDER, sync_folder
from edge_app.storage import acknowledged
from edge_app.storage.backup import COMPANIONS, Backup
from edge_app.storage.database import check_schema
from edge_app.storage.errors import os_errors
from edge_app.storage.folder import DATABASE, HISTORY, RESTORE_PREFIX, RULES, SNAPSHOTS
from edge_app.storage.records import Binding
from edge_app.storage.store import Store

READY, MOVING, OLD = "restore.ready", "restore.moving", "restore.old"
ASIDE = "before-restore-"
STATE: tuple[str, ...] = (
    *(DATABASE + end for end in ("", "-wal", "-shm", acknowledged.END)),
    SNAPSHOTS,
    # not the switches of the rules: they are the device's, and another group's places have rules too
    *(one for one in COMPANIONS if one != RULES),
    # also if the backup has none: its visits name examples of the state that is replaced
    *(HISTORY + end for end in ("", "-wal", "-shm")),
)
"""Files and folders of a state that a restore replaces."""
DOING = "restore the backup"


class RestoredState(NamedTuple):
    """The state in a backup."""

    program: str
    """Version of the edge-app that wrote it."""
    created_ns: int
    encoder_name: str
    binding: Binding
    classes: dict[str, int]
    """Examples by class."""
    config: str
    """The configuration as TOML, without secrets."""


class StagedRestore(Closing):
    """A backup that was unpacked and checked; `close` removes it unless it was committed."""

    def __init__(self, folder: Path, backup: Backup) -> None:
        """Unpack a backup below `folder` and check every row. Raises InputError, StateNotWritable."""
        self._folder = folder
        with os_errors(folder, DOING):
            self._path = Path(tempfile.mkdtemp(dir=folder, prefix=RESTORE_PREFIX))
            try:
                # mkdtemp allows the owner alone; `next_database` lets the group read here until the end of the restore
                self._path.chmod(GROUP_FOLDER)
                backup.unpack(self._path)
                self.state = _checked(self._path / DATABASE, backup)
                # before the folder is renamed to READY: a power cut must not leave it with empty files
                for path in self._path.iterdir():
                    _sync_file(path)
                sync_folder(self._path)
            except BaseException:
                self.close()
                raise

    def commit(self) -> None:
        """Have the restore carried out by `complete_restore`; only while the state's lock is held."""
        with os_errors(self._folder, DOING):
            shutil.rmtree(self._folder / READY, ignore_errors=True)  # of a restore that nobody carried out
            # one step decides: before it nothing has changed, after it any program completes the restore
            self._path.rename(self._folder / READY)
            sync_folder(self._folder)

    def close(self) -> None:
        """Remove what was unpacked, unless it was committed."""
        shutil.rmtree(self._path, ignore_errors=True)


def complete_restore(folder: Path) -> Path | None:
    """Carry out a restore that was committed; return where the old state is, None if there was none.

    Only while the state's lock is held, and before its database is opened. Raises StateNotWritable.
    """
    ready, moving, old = folder / READY, folder / MOVING, folder / OLD
    if not any(path.is_dir() for path in (ready, moving, old)):
        return None
    with os_errors(folder, DOING):
        # in this order, so that an interrupted restore continues with the step that it had reached
        if ready.is_dir():
            old.mkdir(mode=GROUP_FOLDER, exist_ok=True)
            for name in STATE:
                if os.path.lexists(folder / name):
                    (folder / name).rename(old / name)
            # both folders: a move between them is one entry less here and one more there
            sync_folder(old)
            sync_folder(folder)
            ready.rename(moving)
            sync_folder(folder)
        if moving.is_dir():
            for path in list(moving.iterdir()):
                if path.name == RULES and (folder / RULES).exists():
                    path.unlink()
                else:
                    path.rename(folder / path.name)
            sync_folder(folder)
            moving.rmdir()
        return _keep_aside(old)


def next_database(folder: Path) -> Path:
    """Return the database that the next program will use that opens the state to write; it may not exist."""
    waiting = (folder / name / DATABASE for name in (READY, MOVING))
    return next((path for path in waiting if path.is_file()), folder / DATABASE)


def _keep_aside(old: Path) -> Path | None:
    # there was no state before: nothing to keep
    if not any(old.iterdir()):
        old.rmdir()
        return None
    number = 1
    while (aside := old.with_name(f"{ASIDE}{number}")).exists():
        number += 1
    old.rename(aside)
    sync_folder(old.parent)
    return aside


def _checked(database: Path, backup: Backup) -> RestoredState:
    """Check a database that was unpacked, and bring it up to date. Raises InputError, StateNotWritable."""
    check_schema(database)
    try:
        with closing(Store.open(database)) as store:
            store.check()
            classes, binding = store.classes(), store.binding
    except StateCorrupt as error:
        raise InputError(f"{backup.path} cannot be restored: {error}") from error
    return RestoredState(backup.program, backup.created_ns, backup.encoder_name, binding, classes, backup.config)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
