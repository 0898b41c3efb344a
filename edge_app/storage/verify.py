"""The checks of a database when it is opened: every row, that none is missing, and that no change is."""

import sqlite3
from itertools import zip_longest
from pathlib import Path

from edge_app.storage import database, wal
from edge_app.storage.acknowledged import read_acknowledged
from edge_app.storage.errors import corrupt, os_errors, sqlite_errors
from edge_app.storage.records import Binding, Ledger, checksum
from edge_app.storage.transaction import EXAMPLE

# without thumbnails: at each start they would all have to be read
CHECKED = {
    "examples": EXAMPLE,
    "presentations": "seq, example",
    "dreams": "seq, example, number, embedding",
    "actions": "id, time_ns, kind, changes",
    "predictions": "example, json",
}
# an index that finds other rows than its table would let queries disagree
INDEXES = {
    "examples_by_label": ("examples", "label, id"),
    "presentations_by_example": ("presentations", "example, seq"),
    "sqlite_autoindex_dreams_1": ("dreams", "example, number, seq"),
}
"""Index -> its table and all that it holds, in its order."""


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
        _check_indexes(db, path)
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


def _check_indexes(db: sqlite3.Connection, path: Path) -> None:
    """Raise StateCorrupt unless each index agrees with its table: queries by it would find other rows."""
    for index, (table, columns) in INDEXES.items():
        sql = f"SELECT {columns} FROM {table} {{}} ORDER BY {columns}"  # noqa: S608 our own names
        rows, indexed = (db.execute(sql.format(how)) for how in ("NOT INDEXED", f"INDEXED BY {index}"))
        if any(one != other for one, other in zip_longest(rows, indexed)):
            raise corrupt(path, f"the index {index} does not agree with its table")
