"""Recovery of a damaged database: every row has its checksum, so each can be checked by itself.

The damaged files are copied to `damaged-N/` first and not changed again; the new database is complete before it takes
their place. The history of undo is not recovered.
"""

import filecmp
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from edge_app.errors import StateCorrupt
from edge_app.files import GROUP_FOLDER, sync_folder
from edge_app.storage import acknowledged, database, wal
from edge_app.storage.database import DAMAGE, read_binding, read_number
from edge_app.storage.errors import os_errors, sqlite_errors
from edge_app.storage.folder import DATABASE, FolderLock, database_path, require_state
from edge_app.storage.records import Binding, NewExample, Prediction, checksum
from edge_app.storage.store import Store
from edge_app.storage.transaction import EXAMPLE

MOST_TRIED = 1_000_000
"""Highest id that is tried."""
LOG = "-wal"
WORK = "recovery.tmp"
RECOVERED = "examples.sqlite.recovered"
"""The new database, complete, before it takes the place of the damaged one."""


class Salvage(NamedTuple):
    """The rows that could be read, and the ids of those that could not."""

    binding: Binding | None
    examples: dict[int, NewExample]
    """Id -> example."""
    presented: list[int]
    """Ids in the order of presentation, also of examples that could not be read."""
    traces: set[int]
    """Ids that some row mentions, without those of examples that were forgotten."""
    no_thumbnail: set[int]
    """Ids of examples whose thumbnail could not be read."""
    number: int | None
    """Number of the last change; None: it could not be read."""


class Recovery(NamedTuple):
    """The result of `recover`."""

    saved: int
    lost: int
    """Examples that some row mentions, but that could not be read."""
    thumbnails_lost: int
    changes_lost: int
    """Acknowledged changes at the end of the log of which nothing could be read."""
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
    # the service must not write while files are exchanged
    lock = FolderLock(folder)
    path = database_path(folder)
    try:
        _finish(path)  # of a recovery that a power cut interrupted
        if _is_whole(path):
            return None
        # before anything else: even opening a damaged database may change it
        aside = _copy_aside(path)
        work = folder / WORK
        shutil.rmtree(work, ignore_errors=True)
        with os_errors(folder, "recover the database"), sqlite_errors(path, "recover the database"):
            try:
                salvage = _salvage(aside / path.name, work)  # a copy, which nobody changes meanwhile
                binding = salvage.binding or assumed
                if not salvage.examples or binding is None:
                    what = (
                        "no example can be read"
                        if binding
                        else "the record of the encoder cannot be read: say which it was (--model)"
                    )
                    raise StateCorrupt(f"{path} is beyond repair: {what}. It stays as it is; a copy is in {aside}")
                number = acknowledged.read_acknowledged(path) or 0
                # one more than was acknowledged: the new database must not look as if changes were missing
                _replace(path, _rebuilt(work / "new", binding, salvage, number + 1))
            finally:
                shutil.rmtree(work, ignore_errors=True)
        saved = len(salvage.examples)
        changes_lost = 0 if salvage.number is None else max(0, number - salvage.number)
        lost = len(salvage.traces - salvage.examples.keys())
        return Recovery(saved, lost, len(salvage.no_thumbnail), changes_lost, aside, salvage.binding is None)
    finally:
        lock.release()


def _is_whole(path: Path) -> bool:
    try:
        with Store.reader(path) as store:
            store.check()
    except StateCorrupt:
        return False
    return True


def _salvage(database: Path, work: Path) -> Salvage:
    """Return what can be read of a database in copies of it below `work`.

    With a damaged log there are two: what SQLite makes of it, and what it makes of the log with all of its frames. The
    second has the newest rows; the first fills in for those that the damaged frames hold.
    """
    # copies, because opening them folds the log
    plain, mended = _copied(database, work / "plain"), _copied(database, work / "mended")
    found = read_damaged(plain)
    if not wal.repair(mended.with_name(mended.name + LOG)):
        return found
    newest = read_damaged(mended)
    if not newest.examples:
        return found
    older = {i: one for i, one in found.examples.items() if i in newest.traces and i not in newest.examples}
    return newest._replace(
        binding=newest.binding or found.binding,
        examples=newest.examples | older,
        no_thumbnail=newest.no_thumbnail | (found.no_thumbnail & older.keys()),
    )


def _copied(database: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for end in ("", LOG):
        file = database.with_name(database.name + end)
        if file.exists():
            shutil.copyfile(file, folder / file.name)
    return folder / database.name


def read_damaged(path: Path) -> Salvage:
    """Return every row whose checksum is right of the database at `path`, a copy, which may be changed."""
    with closing(_open_damaged(path)) as db:
        examples: dict[int, NewExample] = {}
        traces: set[int] = set()
        forgotten: set[int] = set()
        no_thumbnail: set[int] = set()
        for example in _ids(db, path.stat().st_size):
            row = _row(db, f"SELECT {EXAMPLE}, checksum FROM examples WHERE id = ?", example)  # noqa: S608
            if row is None:
                continue
            if checksum("examples", *row[:-1]) != row[-1]:
                traces.add(example)
            elif row[1] is None:
                forgotten.add(example)
            else:
                examples[example] = _example(db, row)
                if row[5] is not None and examples[example].thumbnail is None:
                    no_thumbnail.add(example)
        sql = "SELECT seq, example, checksum FROM presentations ORDER BY seq"
        presented = [row[1] for row in _rows(db, sql) if checksum("presentations", *row[:2]) == row[2]]
        traces |= {*presented, *examples} - forgotten
        binding = number = None
        # each by itself: one that is damaged must not cost the other
        with suppress(*DAMAGE, StateCorrupt):
            binding = read_binding(db, path)
        with suppress(*DAMAGE):
            number = read_number(db)
    return Salvage(binding, examples, presented, traces, no_thumbnail, number)


def _open_damaged(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        # the schema is read from page 1 with the first statement
        db.execute("SELECT id FROM examples LIMIT 0")
    except DAMAGE:
        db.close()
        _graft_first_page(path)
        db = sqlite3.connect(path, isolation_level=None)
    return db


def _example(db: sqlite3.Connection, row: tuple[Any, ...]) -> NewExample:
    """Return an example whose row is whole, with what else is whole of it."""
    found = row[5] and _row(db, "SELECT jpeg FROM thumbnails WHERE example = ?", row[0])
    picture = found[0] if found and checksum("thumbnails", found[0]) == row[5] else None
    told = _row(db, "SELECT json, checksum FROM predictions WHERE example = ?", row[0])
    whole = told is not None and checksum("predictions", row[0], told[0]) == told[1]
    before = Prediction.from_json(told[0]) if told and whole else None
    return NewExample(row[2], row[1], row[3], row[4], picture, before)


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
        # from both ends, and by two indexes: a damaged page stops a scan, but not those that do not pass it
        "SELECT id FROM examples",
        "SELECT id FROM examples ORDER BY id DESC",
        "SELECT id FROM examples INDEXED BY examples_by_label WHERE label > ''",
        "SELECT example FROM presentations",
        "SELECT seq FROM sqlite_sequence WHERE name = 'examples'",
    ):
        found.update(row[0] for row in _rows(db, sql) if isinstance(row[0], int) and row[0] > 0)
    # a row takes more than 16 bytes
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
        # SQLite would play the log over the new first page
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for version in (database.SCHEMA_VERSION, 1):  # a small database may lack the pages of later tables
        empty = path.with_name(f"empty-{version}.sqlite")
        database.create(empty, Binding("", "", 1, "", "", {}), version)
        data = empty.read_bytes()
        size = int.from_bytes(data[16:18])
        pages = path.stat().st_size // size
        with path.open("r+b") as file:
            # bytes 28 to 31 are the number of pages: SQLite reads none beyond it
            file.write(data[:28] + pages.to_bytes(4) + data[32:size])
        with suppress(*DAMAGE), closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("SELECT id FROM examples LIMIT 0")
            return


def _rebuilt(folder: Path, binding: Binding, salvage: Salvage, number: int) -> Path:
    """Return a new database with what was read, as change `number`."""
    folder.mkdir()
    presented = [example for example in salvage.presented if example in salvage.examples]
    path = folder / DATABASE
    with Store.create(path, binding) as store:
        store.restore(salvage.examples, _completed(presented, sorted(salvage.examples)), number)
    return path


def _copy_aside(path: Path) -> Path:
    """Return a folder with copies of the damaged files; the last one, if it has the same."""
    files = [path.with_name(path.name + end) for end in ("", LOG, "-shm", acknowledged.END)]
    files = [file for file in files if file.exists()]
    number = 1
    while (aside := path.parent / f"damaged-{number}").exists():
        number += 1
    with os_errors(path.parent, "copy the damaged database aside"):
        last = path.parent / f"damaged-{number - 1}"
        kept = [file for file in files if not file.name.endswith("-shm")]  # SQLite makes that anew with each opening
        # a recovery that fails is repeated: a copy each time would fill the disk
        if number > 1 and all(_same(file, last / file.name) for file in kept):
            return last
        aside.mkdir(mode=GROUP_FOLDER)
        for file in files:
            shutil.copy2(file, aside / file.name)
            with (aside / file.name).open("rb") as copy:
                os.fsync(copy.fileno())
        # on the disk before the damaged files are replaced
        sync_folder(aside)
        sync_folder(path.parent)
    return aside


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


def _replace(path: Path, new: Path) -> None:
    """Put a new database in the place of the damaged one; `_finish` completes what a power cut interrupts."""
    with os_errors(path.parent, "put the recovered database in place"):
        # from here on a power cut leads forward: _finish completes it at the next attempt
        new.rename(path.with_name(RECOVERED))
        sync_folder(path.parent)
    _finish(path)


def _finish(path: Path) -> None:
    new = path.with_name(RECOVERED)
    if not new.exists():
        return
    with os_errors(path.parent, "put the recovered database in place"):
        for end in (LOG, "-shm"):  # first: SQLite would play them into the new database
            path.with_name(path.name + end).unlink(missing_ok=True)
        sync_folder(path.parent)
        new.rename(path)
        sync_folder(path.parent)
