"""Saves what can be saved of a damaged database: every row carries its checksum, so each can be judged by itself.

The damaged files are copied to `damaged-N/` and never touched again; the new database is whole before it takes their
place. Undo's history is not saved.
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
"""What sqlite3 raises for a damaged file; its own messages quote damaged bytes."""
MOST_TRIED = 1_000_000
"""Ids that are tried one by one at most."""


class Salvage(NamedTuple):
    """What could be read, and what could not."""

    binding: Binding | None
    examples: dict[int, NewExample]
    """By their ids."""
    order: list[int]
    """Ids in the order of presentation."""
    seen: int
    """Examples of which there is any trace, those that were forgotten not counted."""
    thumbnails_lost: int


class Recovery(NamedTuple):
    """What `recover` did."""

    saved: int
    lost: int
    """Examples of which there is a trace, and no more."""
    thumbnails_lost: int
    aside: Path
    """Where the damaged files are now."""
    binding_assumed: bool
    """The record of the encoder was damaged too: the encoder in use was put in its place."""


def recover(folder: Path, assumed: Binding | None = None) -> Recovery | None:
    """Put a database of all that can be read in the place of a damaged one; None when it is not damaged.

    `assumed` stands in when the record of the encoder is damaged as well. Raises StateCorrupt when nothing can be
    saved, StateBusy, StateNotWritable, InputError.
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
    """Return every row of the database at `path` (a copy: it may be altered) that is whole."""
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
    """Return `presented` with the examples that it lacks put in where they were taught: ids grow with time."""
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

    Scans find ids on several ways, each of which may be cut off by damage; the gaps up to the highest are tried one by
    one, as far as a database of that size can reach (a damaged page may claim any number).
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
    """Yield rows until the first one that cannot be reached."""
    with suppress(*DAMAGE):
        yield from db.execute(sql)


def _row(db: sqlite3.Connection, sql: str, example: int) -> tuple[Any, ...] | None:
    with suppress(*DAMAGE):
        row: tuple[Any, ...] | None = db.execute(sql, (example,)).fetchone()
        return row
    return None


def _graft_first_page(path: Path) -> None:
    """Put the first page of an empty database, which says where the tables begin, in place of a damaged one.

    Every database of ours was made by the same statements, so that its tables begin on the same pages; those that a
    later version added to an older database begin where they found room, and cannot be reached this way.
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
