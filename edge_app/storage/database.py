"""The SQLite file of a state: how it is opened, and its schema.

WAL with synchronous=FULL: a commit is on the disk when it returns. One writer (see folder.py); readers see a
consistent state, and neither wait for the writer nor make it wait.
"""

import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from edge_app.errors import InputError, StateBusy, StateCorrupt
from edge_app.files import GROUP_READABLE, sync_folder
from edge_app.storage.errors import corrupt, os_errors, sqlite_errors
from edge_app.storage.records import Binding, Ledger, checksum

APPLICATION_ID = 0x45444745  # "EDGE", so that file(1) and a reader can tell the file from any other SQLite database

NUMBER = "changes"
"""Name of the number of the last change in sqlite_sequence."""
DAMAGE = (sqlite3.Error, UnicodeDecodeError)
"""Errors of sqlite3 for a damaged file; UnicodeDecodeError because its messages quote damaged bytes."""

SCHEMA = """
CREATE TABLE binding (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE ledger (id INTEGER PRIMARY KEY CHECK (id = 1), rows INTEGER NOT NULL, total BLOB NOT NULL);
CREATE TABLE examples (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  label TEXT,  -- NULL: forgotten, kept while undo can bring it back
  embedding BLOB NOT NULL,
  time_ns INTEGER NOT NULL,
  source TEXT NOT NULL,
  thumbnail BLOB,  -- checksum of the JPEG in the table thumbnails; NULL: there is none
  checksum BLOB NOT NULL
);
CREATE INDEX examples_by_label ON examples (label);
CREATE TABLE presentations (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  example INTEGER NOT NULL REFERENCES examples (id) ON DELETE CASCADE,
  checksum BLOB NOT NULL
);
CREATE INDEX presentations_by_example ON presentations (example);
CREATE TABLE actions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  time_ns INTEGER NOT NULL,
  kind TEXT NOT NULL,
  changes TEXT NOT NULL,  -- JSON: [[example, label before, label after], ...]
  checksum BLOB NOT NULL
);
CREATE TABLE thumbnails (
  example INTEGER PRIMARY KEY REFERENCES examples (id) ON DELETE CASCADE,
  jpeg BLOB NOT NULL
);
"""
"""The first schema, version 1."""
MIGRATIONS = (
    """
CREATE TABLE dreams (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- numbered together with presentations
  example INTEGER NOT NULL REFERENCES examples (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,  -- which alteration of the thumbnail
  embedding BLOB NOT NULL,
  checksum BLOB NOT NULL,
  UNIQUE (example, number)
);
""",
    """
CREATE TABLE predictions (
  example INTEGER PRIMARY KEY REFERENCES examples (id) ON DELETE CASCADE,
  json TEXT NOT NULL,  -- what was decided before it was learnt: records.Prediction
  checksum BLOB NOT NULL
);
""",
)
"""The table that each later version added, in order. A reader replaces a missing table by an empty one in memory."""
SCHEMA_VERSION = 1 + len(MIGRATIONS)


def check_schema(path: Path) -> None:
    """Raise InputError if a database from outside has any table, index, trigger or view that edge-app does not make."""
    with closing(sqlite3.connect(":memory:")) as own:
        own.executescript(f"{SCHEMA} {''.join(MIGRATIONS)}")
        known = schema_of(own)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            db.execute("PRAGMA trusted_schema = OFF")
            found = schema_of(db)
    except DAMAGE as error:
        raise InputError(f"{path.name} is not a database of edge-app: {error}") from error
    for kind, name in sorted(found - known)[:1]:
        raise InputError(
            f"{path.name} is not a database of edge-app: it holds {' '.join(kind.split())[:80]!r} ({name})"
        )


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Copy an open database to the new file `target`, as it is at one moment. Raises StateNotWritable, StateCorrupt."""
    with sqlite_errors(target, "copy the database"), closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def schema_of(db: sqlite3.Connection) -> set[tuple[str, str]]:
    """Return (statement, name) of everything in a database, white space aside."""
    rows = db.execute("SELECT COALESCE(sql, type), name FROM sqlite_master").fetchall()
    return {(" ".join(str(sql).split()), str(name)) for sql, name in rows}


def create(path: Path, binding: Binding, version: int = SCHEMA_VERSION) -> None:
    """Create an empty database of a schema version at `path`, whole or not at all.

    Raises StateNotWritable, and StateBusy when another process has just created one.
    """
    fresh = path.with_name(f"{path.name}.new-{secrets.token_hex(4)}")  # removed by folder.clean after a power cut
    with os_errors(path.parent, "create the database"):
        try:
            # created here: SQLite would give it, and its log, a mode by the umask
            os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, GROUP_READABLE))
            with (
                sqlite_errors(fresh, "create the database"),
                closing(sqlite3.connect(fresh, isolation_level=None)) as db,
            ):
                _fill(db, binding, version)
            _put_in_place(fresh, path)
        except BaseException:
            # Ctrl-C may come while the log is open
            for end in ("", "-wal", "-shm"):
                with suppress(OSError):
                    fresh.with_name(fresh.name + end).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def _fill(db: sqlite3.Connection, binding: Binding, version: int) -> None:
    # before the tables: the mode is stored in the file, and a change of it needs the database for itself
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    # one transaction: executescript would commit each statement
    db.executescript(f"BEGIN; {SCHEMA} {''.join(MIGRATIONS[: version - 1])} COMMIT;")
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {version}")
    with transaction(db):
        write_binding(db, binding)
        write_ledger(db, Ledger(0, 0))


def _put_in_place(fresh: Path, path: Path) -> None:
    """Give a new file its name, unless there is another of that name."""
    try:
        # link, not rename: it fails when the name exists, so of two that create a state at once only one succeeds
        os.link(fresh, path)
    except FileExistsError as error:
        raise StateBusy(f"another process has just created {path}: try again") from error
    except OSError:  # a file system without links
        if path.exists():
            raise
        fresh.rename(path)
    else:
        fresh.unlink()


def connect(path: Path) -> sqlite3.Connection:
    """Open the database for its one writer; nothing is changed. Raises StateNotWritable, StateCorrupt."""
    # before SQLite opens it: closing any descriptor of the file drops SQLite's locks on it (POSIX)
    _check_length(path)
    with sqlite_errors(path, "open the database"):
        # isolation_level: transactions are begun by hand; the learner's lock keeps its threads apart
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            _check_kind(db, path)
            _stand_in(db)
        except BaseException:
            close_unchanged(db, path)
            raise
        return db


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make a database that was checked ready to be changed, and update its schema. Raises StateNotWritable."""
    with sqlite_errors(path, "update the database"):
        # FULL syncs at each commit; secure_delete overwrites deleted pictures. All but the first hold for this
        # connection only
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            db.execute(f"PRAGMA {pragma}")
        # 1 MB: a quarter of SQLite's default, so that folding the log keeps a press waiting less
        db.execute("PRAGMA wal_autocheckpoint = 256")
        if missing := _missing(db):
            for table in missing:
                # the empty table in memory would hide the new one
                db.execute(f"DROP TABLE temp.{table.split()[2]}")
            with transaction(db):
                for table in missing:
                    db.execute(table)
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def close_unchanged(db: sqlite3.Connection, path: Path) -> None:
    """Close a connection without folding the write-ahead log into the database: both may be damaged.

    The last connection folds the log when it is closed. Here that is one that can only read.
    """
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as last:
        with suppress(*DAMAGE):
            # a connection opens its files with the first statement
            last.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        db.close()


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open the database for reading, beside a writer or on a read-only disk. Raises StateCorrupt, StateNotWritable."""
    db = _connect_reader(path)
    with sqlite_errors(path, "read the database"):
        # stand-in tables must not need a disk that can be written
        db.execute("PRAGMA temp_store = MEMORY")
        _stand_in(db)
    return db


def _stand_in(db: sqlite3.Connection) -> None:
    """Let empty tables in memory stand in for those that an older schema lacks."""
    for table in _missing(db):
        db.execute(table.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))


def _missing(db: sqlite3.Connection) -> tuple[str, ...]:
    """Return the statements that create the tables missing in the database's version."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    return MIGRATIONS[max(version - 1, 0) :]


def _connect_reader(path: Path) -> sqlite3.Connection:
    wal = path.with_name(path.name + "-wal")
    with sqlite_errors(path, "read the database"):
        _check_length(path)
        try:
            return _readable(f"{path.absolute().as_uri()}?mode=ro", path)
        except sqlite3.OperationalError as error:
            # errors that the module raises itself have no sqlite_errorname
            if not getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
                raise
        # SQLite cannot create its index beside the file; then nobody writes the database either
        if not wal.exists() or wal.stat().st_size == 0:
            # immutable: SQLite needs neither locks nor an index, and ignores the log, which is empty here
            return _readable(f"{path.absolute().as_uri()}?mode=ro&immutable=1", path)
        return _copied_to_memory(path, wal)


def _copied_to_memory(path: Path, wal: Path) -> sqlite3.Connection:
    """Return a copy in memory of the database and its write-ahead log, for a read-only disk after a power cut."""
    with tempfile.TemporaryDirectory(prefix="edge-app-") as folder, os_errors(Path(folder), "copy the database"):
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(wal, copy.with_name(copy.name + "-wal"))
        with closing(_readable(str(copy), path, uri=False)) as source:
            # in memory: the temporary folder is gone when this returns
            memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            source.backup(memory)
            return memory


def _readable(name: str, path: Path, *, uri: bool = True) -> sqlite3.Connection:
    db = sqlite3.connect(name, uri=uri, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        _check_kind(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _check_kind(db: sqlite3.Connection, path: Path) -> None:
    # an empty file is a valid empty database for SQLite: only this number tells
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise corrupt(path, f"it is empty, or a database of another program (application id {application:#x})")
    if version > SCHEMA_VERSION:
        raise StateCorrupt(
            f"{path} was written by a newer edge-app (schema {version}, known is {SCHEMA_VERSION}): update edge-app"
        )
    if version < 1:
        raise corrupt(path, f"its schema version is {version}, expected at least 1")


def _check_length(path: Path) -> None:
    """Refuse a file that is shorter than its header says.

    Only without a log, in which the missing pages may be. Nobody has the database open then; else closing this file
    would take away the locks that SQLite holds on it in this process.
    """
    if path.with_name(path.name + "-wal").exists() or not path.exists():
        return
    with os_errors(path, "read the database"), path.open("rb") as file:
        header = file.read(100)
        length = file.seek(0, 2)
    # offsets 16 and 28 of SQLite's header: page size, where 1 stands for 65536, and size in pages, both big-endian
    page = int.from_bytes(header[16:18]) or 1
    pages = int.from_bytes(header[28:32])
    if length < pages * (65536 if page == 1 else page):
        raise corrupt(path, f"it is cut off: it has {length} of {pages * page} bytes")


@contextmanager
def transaction(db: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Commit the changes that the body makes, or none of them."""
    db.execute(f"BEGIN {kind}")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # SQLite has rolled back itself when the disk is full
            db.execute("ROLLBACK")
        raise


def read_binding(db: sqlite3.Connection, path: Path) -> Binding:
    """Return the binding of the state. Raises StateCorrupt."""
    with sqlite_errors(path, "read the binding"):
        row = db.execute("SELECT json, checksum FROM binding WHERE id = 1").fetchone()
    if row is None or checksum("binding", row[0]) != row[1]:
        raise corrupt(path, "the row that names the encoder fails its checksum")
    return Binding.from_json(row[0])


def write_binding(db: sqlite3.Connection, binding: Binding) -> None:
    """Store the binding; inside a transaction."""
    text = binding.to_json()
    db.execute("INSERT OR REPLACE INTO binding VALUES (1, ?, ?)", (text, checksum("binding", text)))


def read_ledger(db: sqlite3.Connection) -> Ledger | None:
    """Return the ledger, or None when its row is missing or malformed."""
    row = db.execute("SELECT rows, total FROM ledger WHERE id = 1").fetchone()
    if row is None or not isinstance(row[0], int) or not isinstance(row[1], bytes):
        return None
    # a BLOB, because 128 bits do not fit SQLite's integers
    return Ledger(row[0], int.from_bytes(row[1]))


def write_ledger(db: sqlite3.Connection, ledger: Ledger) -> None:
    """Store the ledger; inside a transaction."""
    total = ledger.total.to_bytes(16)
    db.execute("INSERT OR REPLACE INTO ledger VALUES (1, ?, ?)", (ledger.rows, total))


def read_number(db: sqlite3.Connection) -> int:
    """Return the number of the last change; 0: none since changes are numbered.

    It is kept in SQLite's own table of the highest ids, which older versions of edge-app read and leave as it is.
    """
    row = db.execute("SELECT seq FROM main.sqlite_sequence WHERE name = ?", (NUMBER,)).fetchone()
    return int(row[0]) if row else 0


def write_number(db: sqlite3.Connection, number: int) -> None:
    """Store the number of a change; inside its transaction."""
    # the table has no unique index for INSERT OR REPLACE; "main": the stand-in tables have a sequence of their own
    done = db.execute("UPDATE main.sqlite_sequence SET seq = ? WHERE name = ?", (number, NUMBER))
    if done.rowcount == 0:
        db.execute("INSERT INTO main.sqlite_sequence (name, seq) VALUES (?, ?)", (NUMBER, number))
