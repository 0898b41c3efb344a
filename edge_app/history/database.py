"""The SQLite file of the history: its schema, how it is opened, and what happens to a damaged one.

WAL with synchronous=FULL, as the examples have: a batch is on the disk when its commit returns. Nothing that was taught
depends on this file, so a damaged one is set aside, and a new history begins.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

from edge_app.errors import InputError, StateCorrupt
from edge_app.files import GROUP_READABLE
from edge_app.storage.database import schema_of, transaction
from edge_app.storage.errors import os_errors, sqlite_errors

APPLICATION_ID = 0x45444748  # "EDGH"
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE places (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE labels (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  first_visit INTEGER NOT NULL,  -- visits of this run have this id or a higher one
  encoder TEXT NOT NULL,
  embeddings_from INTEGER NOT NULL  -- embeddings of this visit and later ones are of this encoder
);
CREATE TABLE visits (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run INTEGER NOT NULL,
  place INTEGER NOT NULL REFERENCES places (id),
  label INTEGER REFERENCES labels (id),  -- NULL: unknown
  begin_ns INTEGER NOT NULL,
  duration_ns INTEGER NOT NULL,
  frames INTEGER NOT NULL,
  confidence REAL NOT NULL,
  mean_confidence REAL NOT NULL,
  runner_up INTEGER REFERENCES labels (id),
  novelty INTEGER NOT NULL,
  clock INTEGER NOT NULL,  -- ClockState
  open INTEGER NOT NULL,
  unsure INTEGER NOT NULL,
  taught INTEGER REFERENCES labels (id),
  example INTEGER
);
-- with duration and label: counts are read from the index alone
CREATE INDEX visits_by_time ON visits (begin_ns, place, label, duration_ns);
CREATE INDEX visits_by_label ON visits (label, begin_ns);
CREATE INDEX visits_by_place ON visits (place, begin_ns);
CREATE INDEX visits_unsure ON visits (begin_ns) WHERE unsure = 1;
CREATE INDEX visits_open ON visits (id) WHERE open = 1;
CREATE INDEX visits_by_example ON visits (example) WHERE example IS NOT NULL;
CREATE TABLE pictures (
  visit INTEGER PRIMARY KEY REFERENCES visits (id) ON DELETE CASCADE,
  jpeg BLOB NOT NULL,
  embedding BLOB NOT NULL
);
CREATE TABLE totals (id INTEGER PRIMARY KEY CHECK (id = 1), picture_bytes INTEGER NOT NULL);
INSERT INTO totals VALUES (1, 0);
CREATE TRIGGER picture_added AFTER INSERT ON pictures BEGIN
  UPDATE totals SET picture_bytes = picture_bytes + length(new.jpeg) + length(new.embedding);
END;
CREATE TRIGGER picture_gone AFTER DELETE ON pictures BEGIN
  UPDATE totals SET picture_bytes = picture_bytes - length(old.jpeg) - length(old.embedding);
END;
"""
PRAGMAS = (
    "synchronous = FULL",
    "foreign_keys = ON",
    # overwrites deleted pictures
    "secure_delete = ON",
    # pages: the log stays at 1 MB, so that it takes no disk that the history may not have
    "wal_autocheckpoint = 256",
    "journal_size_limit = 1048576",
    # kB
    "cache_size = -512",
)
ENDS = ("", "-wal", "-shm")


class HistoryDamaged(StateCorrupt):
    """The history's database cannot be read."""


@contextmanager
def history_errors(path: Path, doing: str) -> Iterator[None]:
    """Raise StateNotWritable, StateBusy or HistoryDamaged for an error of SQLite."""
    try:
        with sqlite_errors(path, doing):
            yield
    except StateCorrupt as error:
        raise HistoryDamaged(
            f"{path} is damaged: {error.__cause__ or error} (while trying to {doing}). A running device sets it aside "
            "and begins a new history; what was taught is in another file"
        ) from error


def connect(path: Path) -> sqlite3.Connection:
    """Open the database to write, and create it where it is missing.

    Raises StateNotWritable, StateBusy, HistoryDamaged, and InputError for one of a newer edge-app.
    """
    with os_errors(path.parent, "create the history"), suppress(FileExistsError):
        # created here: SQLite would give it, and its log, a mode by the umask
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, GROUP_READABLE))
    with history_errors(path, "open the history"):
        # isolation_level: transactions are begun by hand; the store's lock keeps threads apart
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            if _is_empty(db):
                _fill(db)
            _check(db, path)
            for pragma in PRAGMAS:
                db.execute(f"PRAGMA {pragma}")
        except BaseException:
            db.close()
            raise
        return db


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open the database to read, beside its writer. Raises InputError where there is none, HistoryDamaged."""
    if not path.is_file():
        raise InputError(f"there is no history: {path} does not exist; a running device with [history] begins it")
    with history_errors(path, "open the history"):
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=5.0
        )
        try:
            _check(db, path)
            db.execute("PRAGMA cache_size = -1024")
        except BaseException:
            db.close()
            raise
        return db


def set_aside(path: Path) -> Path:
    """Rename a damaged database, and its log, out of the way; return its new path. Raises StateNotWritable.

    Only the last damaged one is kept.
    """
    aside = aside_path(path)
    with os_errors(path.parent, "set the damaged history aside"):
        for end in ENDS:
            aside.with_name(aside.name + end).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    return aside


def aside_path(path: Path) -> Path:
    """Return the path to which a damaged database is moved."""
    return path.with_name(f"{path.stem}.damaged{path.suffix}")


def remove_aside(path: Path) -> None:
    """Delete a damaged database that was set aside. Raises StateNotWritable."""
    aside = aside_path(path)
    with os_errors(path.parent, "delete the damaged history"):
        for end in ENDS:
            aside.with_name(aside.name + end).unlink(missing_ok=True)


def _is_empty(db: sqlite3.Connection) -> bool:
    """Whether the file was just created; also after a power cut before its tables were."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    return (application, db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]) == (0, 0)


def _fill(db: sqlite3.Connection) -> None:
    # before the tables, and before the mode: both are stored in the file
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    with transaction(db):
        # another process may have filled it meanwhile
        if _is_empty(db):
            for statement in statements(SCHEMA):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script: `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@cache
def _known() -> set[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as own:
        own.executescript(SCHEMA)
        return schema_of(own)


def _check(db: sqlite3.Connection, path: Path) -> None:
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID or version < 1:
        raise HistoryDamaged(
            f"{path} is empty, or not a history of edge-app (application id {application:#x}, schema {version})"
        )
    if version <= SCHEMA_VERSION and not schema_of(db) <= _known():
        # a file from outside, with a trigger of its own, say
        raise HistoryDamaged(f"{path} holds tables or triggers that edge-app does not make")
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path} was written by a newer edge-app (schema {version}, known is {SCHEMA_VERSION}): update edge-app, "
            "or move the file away to begin a new history"
        )
