"""The checks of a database when it is opened: every row, that none is missing, and that no change is."""

import sqlite3
from pathlib import Path

from edge_app.storage import database, wal
from edge_app.storage.acknowledged import read_acknowledged
from edge_app.storage.errors import corrupt, os_errors, sqlite_errors
from edge_app.storage.records import Binding, Ledger, checksum
from edge_app.storage.transaction import EXAMPLE

CHECKED = {
    "examples": EXAMPLE,
    "presentations": "seq, example",
    "dreams": "seq, example, number, embedding",
    "actions": "id, time_ns, kind, changes",
    "predictions": "example, json",
}


def acknowledged(path: Path) -> int | None:
    """Return the number of the last acknowledged change, before the database at `path` is opened; None: not known.

    Where it is not known the write-ahead log is looked at instead. Raises StateCorrupt when that is damaged.
    """
    number = read_acknowledged(path)
    with os_errors(path, "read the write-ahead log"):
        if number is None and wal.is_damaged(path.with_name(path.name + "-wal")):
            raise corrupt(path, "its write-ahead log is damaged, and changes that were stored are missing")
    return number


def check(db: sqlite3.Connection, path: Path, number: int | None) -> Binding:
    """Check every row but the thumbnails; return the binding. Raises StateCorrupt."""
    binding = database.read_binding(db, path)
    ledger = Ledger(0, 0)
    with sqlite_errors(path, "check the examples"):
        for table, columns in CHECKED.items():
            for row in db.execute(f"SELECT {columns}, checksum FROM {table}"):  # noqa: S608 our own names
                if checksum(table, *row[:-1]) != row[-1]:
                    raise corrupt(path, f"row {row[0]} of the table {table} fails its checksum")
                ledger = ledger.plus(row[-1])
        stored = database.read_ledger(db)
        last = database.read_number(db)
        sizes = db.execute(
            "SELECT LENGTH(embedding) FROM examples UNION SELECT LENGTH(embedding) FROM dreams"
            " WHERE LENGTH(embedding) > 0"
        ).fetchall()
    if stored != ledger:
        written = stored.rows if stored else "an unknown number"
        raise corrupt(path, f"rows are missing or out of date: it has {ledger.rows}, {written} were written")
    if sizes not in ([], [(binding.embedding_size,)]):
        raise corrupt(path, f"embeddings hold {sizes} values, not {binding.embedding_size}")
    if number is not None and last < number:
        raise corrupt(
            path,
            f"the last {number - last} of {number} acknowledged changes are missing: its write-ahead log was damaged, "
            "cut off or removed, or an older copy of the database was put in its place",
        )
    return binding
