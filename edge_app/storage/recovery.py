"""Recovery of a damaged database: every row has its checksum, so each can be checked by itself.

The damaged files are copied to `damaged-N/` first and not changed again; the new database is complete before it takes
their place. The history of undo is not recovered.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from edge_app.errors import StateCorrupt
from edge_app.files import sync_folder
from edge_app.storage import database
from edge_app.storage.errors import os_errors, sqlite_errors
from edge_app.storage.folder import FolderLock, database_path, require_state
from edge_app.storage.records import Binding, NewExample, Prediction, checksum
from edge_app.storage.store import Store
from edge_app.storage.transaction import EXAMPLE

DAMAGE = (sqlite3.Error, UnicodeDecodeError)
"""Errors of sqlite3 for a damaged file; UnicodeDecodeError because its messages quote damaged bytes."""
MOST_TRIED = 1_000_000
"""Highest id that is tried."""


class Salvage(NamedTuple):
    """The rows that could be read, and a count of those that could not."""

    binding: Binding | None
    examples: dict[int, NewExample]
    """Id -> example."""
    order: list[int]
    """Ids in the order of presentation."""
    seen: int
    """Examples that some row mentions, without those that were forgotten."""
    thumbnails_lost: int


class Recovery(NamedTuple):
    """The result of `recover`."""

    saved: int
    lost: int
    """Examples that some row mentions, but that could not be read."""
    thumbnails_lost: int
    aside: Path
    """Folder with the damaged files."""
    binding_assumed: bool
    """The binding was damaged as well, and replaced by the one that the caller gave."""


def recover(folder: Path, assumed: Binding | None = None) -> Recovery | None:
    """Replace a damaged database by one with all rows that can be read; return None if it is not damaged.

    `assumed` is the binding to use when the stored one is damaged as well. Raises StateCorrupt when nothing can be
    read, StateBusy, StateNotWritable, InputError.
    """
    require_state(folder)
    lock = FolderLock(folder)
    path = database_path(folder)
    try:
        if _is_whole(path):
            return None
        aside = _copy_aside(path)
        work = folder / "recovery.tmp"
        shutil.rmtree(work, ignore_errors=True)
        with os_errors(folder, "recover the database"):
            shutil.copytree(aside, work)
            try:
                salvage = read_damaged(work / path.name)
                binding = salvage.binding or assumed
                if not salvage.examples or binding is None:
                    what = (
                        "no example can be read"
                        if binding
                        else "the record of the encoder cannot be read: say which it was (--model)"
                    )
                    raise StateCorrupt(f"{path} is beyond repair: {what}. It stays as it is; a copy is in {aside}")
                _replace(path, _rebuilt(work / "new.sqlite", binding, salvage))
            finally:
                shutil.rmtree(work, ignore_errors=True)
        saved = len(salvage.examples)
        return Recovery(saved, salvage.seen - saved, salvage.thumbnails_lost, aside, salvage.binding is None)
    finally:
        lock.release()


def _is_whole(path: Path) -> bool:
    try:
        with Store.open(path) as store:
            store.check()
    except StateCorrupt:
        return False
    return True


def read_damaged(path: Path) -> Salvage:
    """Return every row whose checksum is right of the database at `path`, a copy, which may be changed."""
    try:
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        db.execute("SELECT id FROM examples LIMIT 0")
    except DAMAGE:
        db.close()
        _graft_first_page(path)
        db = sqlite3.connect(path, isolation_level=None)
    with closing(db):
        examples: dict[int, NewExample] = {}
        traces: set[int] = set()
        forgotten: set[int] = set()
        no_picture = 0
        for example in _ids(db, path.stat().st_size):
            row = _row(db, f"SELECT {EXAMPLE}, checksum FROM examples WHERE id = ?", example)  # noqa: S608
            if row is None:
                continue
            if checksum("examples", *row[:-1]) != row[-1]:
                traces.add(example)
            elif row[1] is None:
                forgotten.add(example)
            else:
                found = row[5] and _row(db, "SELECT jpeg FROM thumbnails WHERE example = ?", example)
                picture = found[0] if found and checksum("thumbnails", found[0]) == row[5] else None
                no_picture += row[5] is not None and picture is None
                told = _row(db, "SELECT json, checksum FROM predictions WHERE example = ?", example)
                whole = told is not None and checksum("predictions", example, told[0]) == told[1]
                before = Prediction.from_json(told[0]) if told and whole else None
                examples[example] = NewExample(row[2], row[1], row[3], row[4], picture, before)
        sql = "SELECT seq, example, checksum FROM presentations ORDER BY seq"
        presented = [row[1] for row in _rows(db, sql) if checksum("presentations", *row[:2]) == row[2]]
        traces |= {*presented, *examples} - forgotten
        binding = None
        with suppress(*DAMAGE, StateCorrupt):
            binding = database.read_binding(db, path)
    order = _completed([example for example in presented if example in examples], sorted(examples))
    return Salvage(binding, examples, order, len(traces), no_picture)


def _completed(presented: list[int], examples: list[int]) -> list[int]:
    """Return `presented` with the missing examples inserted where they were taught: ids grow with time."""
    order: list[int] = []
    missing = [example for example in examples if example not in set(presented)]
    seen: set[int] = set()
    for example in presented:
        if example not in seen:
            seen.add(example)
            while missing and missing[0] < example:
                order.append(missing.pop(0))
        order.append(example)
    return order + missing


def _ids(db: sqlite3.Connection, size: int) -> list[int]:
    """Return all ids that an example may have, in a database of `size` bytes.

    Damage may cut off each of the scans below. The gaps up to the highest id found are tried one by one, up to the
    number of examples that a database of that size can hold: a damaged page may contain any number.
    """
    found: set[int] = set()
    for sql in (
        "SELECT id FROM examples",
        "SELECT id FROM examples ORDER BY id DESC",
        "SELECT id FROM examples INDEXED BY examples_by_label WHERE label > ''",
        "SELECT example FROM presentations",
        "SELECT seq FROM sqlite_sequence WHERE name = 'examples'",
    ):
        found.update(row[0] for row in _rows(db, sql) if isinstance(row[0], int) and row[0] > 0)
    reach = min(max(found, default=0), size // 16 + 1000, MOST_TRIED)
    return sorted(found | set(range(1, reach + 1)))


def _rows(db: sqlite3.Connection, sql: str) -> Iterator[tuple[Any, ...]]:
    """Yield rows until the first that cannot be read."""
    with suppress(*DAMAGE):
        yield from db.execute(sql)


def _row(db: sqlite3.Connection, sql: str, example: int) -> tuple[Any, ...] | None:
    with suppress(*DAMAGE):
        row: tuple[Any, ...] | None = db.execute(sql, (example,)).fetchone()
        return row
    return None


def _graft_first_page(path: Path) -> None:
    """Replace a damaged first page, which says where the tables begin, by that of an empty database.

    All databases are created by the same statements, so their tables begin on the same pages. Tables that a later
    version added to an older database begin elsewhere, and cannot be reached this way.
    """
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for version in (database.SCHEMA_VERSION, 1):  # a small database may lack the pages of later tables
        empty = path.with_name(f"empty-{version}.sqlite")
        database.create(empty, Binding("", "", 1, "", "", {}), version)
        data = empty.read_bytes()
        size = int.from_bytes(data[16:18])
        pages = path.stat().st_size // size
        with path.open("r+b") as file:
            file.write(data[:28] + pages.to_bytes(4) + data[32:size])
        with suppress(*DAMAGE), closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("SELECT id FROM examples LIMIT 0")
            return


def _rebuilt(path: Path, binding: Binding, salvage: Salvage) -> Path:
    with Store.create(path, binding) as store:
        store.restore(salvage.examples, salvage.order)
    return path


def _copy_aside(path: Path) -> Path:
    number = 1
    while (aside := path.parent / f"damaged-{number}").exists():
        number += 1
    with os_errors(path.parent, "copy the damaged database aside"):
        aside.mkdir()
        for suffix in ("", "-wal", "-shm"):
            file = path.with_name(path.name + suffix)
            if file.exists():
                shutil.copy2(file, aside / file.name)
                with (aside / file.name).open("rb") as copy:
                    os.fsync(copy.fileno())
        sync_folder(aside)
        sync_folder(path.parent)
    return aside


def _replace(path: Path, new: Path) -> None:
    with os_errors(path.parent, "put the recovered database in place"), sqlite_errors(path, "replace the database"):
        for suffix in ("-wal", "-shm"):  # first: SQLite would play them into the new database
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        sync_folder(path.parent)
        new.rename(path)
        sync_folder(path.parent)
