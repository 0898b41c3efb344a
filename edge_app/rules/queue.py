"""The messages that wait for webhooks, in an SQLite file of the state folder: what was added survives a power cut.

Not the journal's file: whatever happens to this one, nothing that was taught is touched.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from edge_app.closing import Closing
from edge_app.errors import StateNotWritable
from edge_app.files import PRIVATE
from edge_app.storage.errors import os_errors

FILE = "webhooks.sqlite"
MOST_BYTES = 64 << 20
"""Bytes of the messages of one webhook: pictures are large."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook TEXT NOT NULL,
  id TEXT NOT NULL,
  media TEXT NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (webhook, id)
);
CREATE INDEX IF NOT EXISTS messages_by_webhook ON messages (webhook, number);
"""


class Message(NamedTuple):
    """A message for a webhook."""

    webhook: str
    id: str
    """The event's id: a receiver that has seen it does not act again."""
    media: str
    """Content-Type of the body."""
    body: bytes


class MessageQueue(Closing):
    """Messages by webhook, the oldest first; safe to use from any thread. Methods raise StateNotWritable."""

    def __init__(self, folder: Path | None, bounds: Mapping[str, int], *, most_bytes: int = MOST_BYTES) -> None:
        """Open the queue in `folder`, or start it anew if the file is damaged. None: keep it in memory.

        `bounds` says how many messages each webhook keeps; messages of other webhooks are removed.
        """
        self._bounds, self._most_bytes = dict(bounds), most_bytes
        self._lock = threading.Lock()
        path = self._path = Path(":memory:") if folder is None else folder / FILE
        try:
            self._database = self._open(path)
        except sqlite3.OperationalError as error:  # full, read-only, locked: no damage
            raise StateNotWritable(f"cannot open {path}: {error}") from error
        except sqlite3.DatabaseError as error:
            logging.getLogger(__name__).warning("%s is damaged and was put aside: %s", path, error)
            for suffix in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.replace(f"{path}{suffix}", f"{path}.damaged{suffix}")
            self._database = self._open(path)
        self.dropped = 0
        """Messages dropped since the start, because there was no room for them."""
        with self._writing():
            names = tuple(self._bounds)
            marks = ",".join("?" * len(names))
            self._database.execute(f"DELETE FROM messages WHERE webhook NOT IN ({marks})", names)  # noqa: S608

    def _open(self, path: Path) -> sqlite3.Connection:
        if path.name == FILE:
            with os_errors(path.parent, f"open {FILE}"):
                # private: messages may hold pictures
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE))
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            # a commit is on the disk when it returns
            database.execute("PRAGMA synchronous=FULL")
            if database.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("quick_check found damage")
            database.executescript(_SCHEMA)
        except BaseException:
            database.close()
            raise
        return database

    def add(self, messages: Sequence[Message]) -> None:
        """Store messages, together and durably; one whose id its webhook has already is left out.

        Beyond a webhook's bounds its oldest messages are dropped.
        """
        with self._writing():
            self._database.executemany(
                "INSERT OR IGNORE INTO messages (webhook, id, media, body) VALUES (?, ?, ?, ?)", messages
            )
            for webhook in {message.webhook for message in messages}:
                self._make_room(webhook)

    def _make_room(self, webhook: str) -> None:
        rows = self._database.execute(
            "SELECT number, length(body) FROM messages WHERE webhook = ? ORDER BY number DESC", (webhook,)
        )
        held = 0
        for count, (number, size) in enumerate(rows, 1):
            held += size
            # the newest is kept whatever its size
            if count > 1 and (count > self._bounds[webhook] or held > self._most_bytes):
                done = self._database.execute(
                    "DELETE FROM messages WHERE webhook = ? AND number <= ?", (webhook, number)
                )
                self.dropped += done.rowcount
                return

    def next(self, webhook: str, after: int = 0) -> tuple[int, Message] | None:
        """Return the oldest message of a webhook, of those with a number above `after`; None: there is none."""
        with self._reading():
            row = self._database.execute(
                "SELECT number, webhook, id, media, body FROM messages WHERE webhook = ? AND number > ? "
                "ORDER BY number LIMIT 1",
                (webhook, after),
            ).fetchone()
        return None if row is None else (row[0], Message(*row[1:]))

    def remove(self, number: int) -> None:
        """Remove a message that was delivered or given up."""
        with self._writing():
            self._database.execute("DELETE FROM messages WHERE number = ?", (number,))

    def waiting(self, webhook: str) -> int:
        """Return how many messages of a webhook wait."""
        with self._reading():
            found = self._database.execute("SELECT count(*) FROM messages WHERE webhook = ?", (webhook,)).fetchone()
        return int(found[0])

    @contextmanager
    def _reading(self, doing: str = "read") -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StateNotWritable(f"cannot {doing} {self._path}: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._reading("write"):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
