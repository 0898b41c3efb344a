"""That a database is still the one that was opened, and that nobody else has changed it."""

import os
import sqlite3
from pathlib import Path

from edge_app.errors import StateBusy, StateNotWritable


class SoleWriter:
    """Notices when files of an open database are removed, or another program writes it in spite of the lock."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._version = self._data_version()
        self._files = self._identities()

    def check_files(self) -> None:
        """Raise StateNotWritable when a file was removed or replaced: what is stored in it would be lost."""
        try:
            found = self._identities()
        except OSError:
            found = ()
        if found != self._files:
            raise StateNotWritable(
                f"{self._path} was removed or replaced while it was open: nothing can be stored. Put the folder back, "
                "or start this program again to begin a new one"
            )

    def check_content(self) -> None:
        """Raise StateBusy when another connection has changed the database; inside a transaction."""
        if self._data_version() != self._version:
            raise StateBusy(
                f"another program has changed {self._path} while it was open here. Nothing was stored; start this "
                "program again"
            )

    def _identities(self) -> tuple[tuple[int, int], ...]:
        # the log too: a commit goes there first. Not -shm, which SQLite makes anew
        found = [os.stat(self._path.with_name(self._path.name + end)) for end in ("", "-wal")]
        return tuple((one.st_dev, one.st_ino) for one in found)

    def _data_version(self) -> int:
        """Return a number that another connection's change alters, and one of this connection's does not."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])
