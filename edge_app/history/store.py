"""The visits in their database: adding, reading, counting, deleting; safe to use from any thread."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import tzinfo
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from edge_app.closing import Closing
from edge_app.errors import InputError, StateBusy, StateNotWritable
from edge_app.history import database, queries
from edge_app.history.counts import Period, Span, count, periods
from edge_app.history.groups import group
from edge_app.history.records import (
    ClockState,
    LabelCount,
    StoredVisit,
    VisitFilter,
    VisitGroup,
    VisitPage,
    VisitRecord,
)
from edge_app.history.visits import UNSURE
from edge_app.storage.database import transaction
from edge_app.storage.records import ExampleChange

MOST_OF_A_PAGE = 1_000
AT_ONCE = 1_000
"""Visits deleted in one transaction: a batch of the recorder waits no longer than for that."""
# by number, not by time: that is the order in which they came, whatever the clock said
OLDEST_VISITS = "DELETE FROM visits WHERE id IN (SELECT id FROM visits ORDER BY id LIMIT ?)", (AT_ONCE,)
OLDEST_PICTURES = "DELETE FROM pictures WHERE visit IN (SELECT visit FROM pictures ORDER BY visit LIMIT ?)", (100,)
MOST_GROUPED = 400
"""Newest unknown visits that are compared with one another."""
SPARE_BYTES = 2 << 20
"""Of the limit on its size: for the write-ahead log, and the pages of the next batch."""
ALL = VisitFilter()


class HistoryStore(Closing):
    """The database of visits of one state folder.

    Readers have a connection of their own and do not wait for a writer. Several programs may write: each waits up to
    five seconds for the other, then StateBusy is raised. All methods raise HistoryDamaged, StateBusy, and those that
    write StateNotWritable.
    """

    def __init__(self, path: Path, writer: sqlite3.Connection | None, reader: sqlite3.Connection) -> None:
        """Take open connections; `writer` None: only to be read."""
        self.path = path
        self._writer = writer
        self._reader = reader
        self._writing, self._reading = threading.RLock(), threading.RLock()
        self._closed = False
        self.revision = 0
        """Raised by each change that this object makes."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the history to read and write, and create it where it is missing. Raises InputError too."""
        writer = database.connect(path)
        try:
            return cls(path, writer, database.connect_reader(path))
        except BaseException:
            writer.close()
            raise

    @classmethod
    def reader(cls, path: Path) -> Self:
        """Open the history to read it, beside its writer. Raises InputError where there is none."""
        return cls(path, None, database.connect_reader(path))

    def close(self) -> None:
        """Close the database."""
        self._closed = True
        with self._reading, suppress(sqlite3.Error):
            self._reader.close()
        with self._writing, suppress(sqlite3.Error):
            if self._writer is not None:
                self._writer.close()

    # Reading

    def page(
        self, wanted: VisitFilter = ALL, *, cursor: str | None = None, limit: int = 50, unsure_first: bool = False
    ) -> VisitPage:
        """Return visits, the newest first, at most `limit` (1..1000), and the cursor of the next page.

        `unsure_first`: all unsure ones before the others. `cursor`: of the page before, asked for with the same filter
        and order; visits that come meanwhile are left out of it. Raises InputError.
        """
        if not 1 <= limit <= MOST_OF_A_PAGE:
            raise InputError(f"limit = {limit}, expected 1 to {MOST_OF_A_PAGE}")
        parts = [("all", wanted)]
        if unsure_first and wanted.unsure is None:
            parts = [("unsure", wanted._replace(unsure=True)), ("sure", wanted._replace(unsure=False))]
        start = None if cursor is None else queries.read_cursor(cursor, [part for part, _ in parts])
        found: list[StoredVisit] = []
        for part, some in parts:
            # the parts before that of the cursor are over
            if (start is None or part == start[0]) and len(found) <= limit:
                found += self._newest(some, start and start[1:], limit + 1 - len(found))
                start = None
        if len(found) <= limit:
            return VisitPage(found, None)
        last = found[limit - 1]
        part = "all" if len(parts) == 1 else "unsure" if last.unsure else "sure"
        return VisitPage(found[:limit], queries.cursor_after(part, last))

    def _newest(self, wanted: VisitFilter, after: tuple[int, int] | None, limit: int) -> list[StoredVisit]:
        where, values = queries.condition(wanted)
        if after is not None:
            where += " AND (v.begin_ns, v.id) < (?, ?)"
            values += after
        sql = f"{queries.ROWS} WHERE {where} {queries.NEWEST_FIRST}"
        return [queries.stored(row) for row in self._read(sql, (*values, limit))]

    def visits(self, wanted: VisitFilter = ALL) -> Iterator[StoredVisit]:
        """Yield all visits of a filter, the newest first; for exports. Reads some at a time."""
        cursor: str | None = None
        while True:
            page = self.page(wanted, cursor=cursor, limit=MOST_OF_A_PAGE)
            yield from page.visits
            cursor = page.cursor
            if cursor is None:
                return

    def visit(self, visit: int) -> StoredVisit:
        """Return one visit. Raises InputError when there is none with that id."""
        rows = self._read(f"{queries.ROWS} WHERE v.id = ?", (visit,))
        if not rows:
            raise InputError(f"no visit {visit}: it was deleted, or is older than the history keeps")
        return queries.stored(rows[0])

    def picture(self, visit: int) -> bytes | None:
        """Return the picture of a visit as JPEG, the encoder's input at its best moment; None: it has none.

        Raises InputError when there is no such visit.
        """
        found = self._of_picture("jpeg", visit)
        return None if found is None else bytes(found)

    def embedding(self, visit: int) -> bytes | None:
        """Return the embedding of the same frame, uint8 (n,) as bytes.

        None: the visit has no picture, or was encoded by another encoder than that of the newest run. Raises
        InputError when there is no such visit.
        """
        found = self._of_picture(f"CASE WHEN {queries.OF_THIS_ENCODER} THEN embedding END", visit)
        return None if found is None else bytes(found)

    def _of_picture(self, value: str, visit: int) -> Any:
        rows = self._read(f"SELECT {value} FROM pictures q WHERE visit = ?", (visit,))  # noqa: S608 our own names
        if not rows:
            self.visit(visit)
            return None
        return rows[0][0]

    def counts(
        self,
        period: Period,
        from_ns: int,
        before_ns: int,
        wanted: VisitFilter = ALL,
        zone: tzinfo | None = None,
    ) -> list[LabelCount]:
        """Return visits and time per label for each hour or day of local time from `from_ns` to `before_ns`.

        A label that was not there is left out. `zone` None: the system's. The filter's own times are not used. Raises
        InputError for too long a time.
        """
        return list(count(periods(from_ns, before_ns, period, zone), _StoredSpans(self, wanted)))

    def total(self, wanted: VisitFilter = ALL) -> int:
        """Return the number of visits; counts them one by one."""
        where, values = queries.condition(wanted)
        return int(self._read(f"SELECT COUNT(*) FROM visits v WHERE {where}", values)[0][0])  # noqa: S608

    def names(self) -> tuple[list[str], list[str]]:
        """Return the places, and the labels, that visits of any time have had, in alphabetical order."""
        places = [name for (name,) in self._read("SELECT name FROM places ORDER BY name")]
        labels = [name for (name,) in self._read("SELECT name FROM labels ORDER BY name")]
        return places, labels

    def groups(self, place: str | None = None, alike: float | None = None) -> list[VisitGroup]:
        """Return the newest unknown visits with a picture, grouped by likeness, the largest group first.

        Those that were taught or dismissed are left out. `alike`: mean cosine within a group at least.
        """
        where, values = queries.condition(VisitFilter(unknown=True, place=place, unsure=True))
        sql = f"""SELECT v.id, q.embedding FROM visits v CROSS JOIN pictures q ON q.visit = v.id WHERE {where}
                  AND {queries.OF_THIS_ENCODER} {queries.NEWEST_FIRST}"""  # noqa: S608
        rows = self._read(sql, (*values, MOST_GROUPED))[::-1]
        if not rows:
            return []
        embeddings = np.frombuffer(b"".join(row[1] for row in rows), np.uint8).reshape(len(rows), -1)
        ids = [row[0] for row in rows]
        return group(ids, embeddings) if alike is None else group(ids, embeddings, alike)

    def used_bytes(self) -> int:
        """Return the size of the database file."""
        return int(self._pragma("page_count")) * int(self._pragma("page_size"))

    # Recording

    def begin_run(self, encoder: str = "") -> int:
        """Return the number of a new run; visits that an earlier run left open are closed.

        `encoder` identifies the model whose embeddings are stored from now on; those of another one are not used.
        """
        with self._changing("begin a run") as db:
            db.execute("UPDATE visits SET open = 0 WHERE open = 1")
            row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'visits'").fetchone()
            first = int(row[0]) + 1 if row else 1
            last = db.execute("SELECT encoder, embeddings_from FROM runs ORDER BY id DESC LIMIT 1").fetchone()
            since = last[1] if last is not None and last[0] == encoder else first
            sql = "INSERT INTO runs (first_visit, encoder, embeddings_from) VALUES (?, ?, ?)"
            run = db.execute(sql, (first, encoder, since)).lastrowid
            # an old run's row has no use: its clock cannot be corrected any more
            db.execute("DELETE FROM runs WHERE id < ?", (run,))
        return int(run or 0)

    def newest_ns(self) -> int:
        """Return the latest wall clock of a stored visit's begin; 0: there is none."""
        return int(self._read("SELECT MAX(begin_ns) FROM visits")[0][0] or 0)

    def add(self, records: Iterable[VisitRecord], run: int, clock: ClockState) -> list[int]:
        """Store visits in one transaction, durable when this returns; return the id of each.

        A record with an id replaces what was stored of that visit; one that was deleted meanwhile stays deleted.
        """
        with self._changing("store visits") as db:
            return [self._put(db, record, run, clock) for record in records]

    def _put(self, db: sqlite3.Connection, record: VisitRecord, run: int, clock: ClockState) -> int:
        one, number = record.visit, record.id
        values = (
            _named(db, "places", one.place),
            None if one.label is None else _named(db, "labels", one.label),
            one.duration_ns,
            one.frames,
            one.confidence,
            one.mean_confidence,
            None if one.runner_up is None else _named(db, "labels", one.runner_up),
            one.novelty,
            record.open,
        )
        if number is None:
            sql = """INSERT INTO visits (place, label, duration_ns, frames, confidence, mean_confidence,
                     runner_up, novelty, open, unsure, begin_ns, run, clock)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
            number = int(db.execute(sql, (*values, one.unsure, one.begin_ns, run, clock)).lastrowid or 0)
        else:
            # not begin_ns, which only `shift` changes; taught or dismissed meanwhile, it is not unsure any more
            sql = """UPDATE visits SET place = ?, label = ?, duration_ns = ?, frames = ?, confidence = ?,
                     mean_confidence = ?, runner_up = ?, novelty = ?, open = ?, unsure = MIN(unsure, ?)
                     WHERE id = ?"""
            if db.execute(sql, (*values, one.unsure, number)).rowcount == 0:
                return number
        if record.picture is not None and record.embedding is not None:
            db.execute("DELETE FROM pictures WHERE visit = ?", (number,))
            db.execute("INSERT INTO pictures VALUES (?, ?, ?)", (number, record.picture, record.embedding))
        return number

    def shift(self, run: int, delta_ns: int, clock: ClockState) -> int:
        """Correct the wall clock of a run's visits after the clock was set; return how many were corrected.

        Times that were written while the clock was synchronised stay as they are.
        """
        with self._changing("correct the times") as db:
            row = db.execute("SELECT first_visit FROM runs WHERE id = ?", (run,)).fetchone()
            if row is None:
                return 0
            sql = "UPDATE visits SET begin_ns = begin_ns + ?, clock = ? WHERE id >= ? AND run = ? AND clock < ?"
            return db.execute(sql, (delta_ns, clock, row[0], run, ClockState.SYNCHRONISED)).rowcount

    def trim(self, most_bytes: int, before_ns: int | None) -> int:
        """Delete what is over the limits, the oldest first; return how many visits were deleted.

        before_ns: visits that began earlier go; None: none for their age. If the file is larger than `most_bytes`, the
        oldest pictures go, and once visits without pictures take more than half of that, the oldest visits.
        """
        gone = 0 if before_ns is None else self.delete(VisitFilter(before_ns=before_ns))
        while (used := self.used_bytes()) > most_bytes - SPARE_BYTES:
            pictures = int(self._read("SELECT picture_bytes FROM totals")[0][0])
            changed = 0
            # pages that are free already may suffice
            if not self._pragma("freelist_count"):
                of_pictures = pictures > 0 and used - pictures < most_bytes // 2
                with self._changing("delete the oldest") as db:
                    changed = db.execute(*(OLDEST_PICTURES if of_pictures else OLDEST_VISITS)).rowcount
                gone += 0 if of_pictures else changed
            self._vacuum()
            if not changed and self.used_bytes() >= used:
                break
        return gone

    # Correcting and deleting

    def taught(self, visits: Iterable[tuple[int, int]], label: str) -> None:
        """Record that the pictures of visits were taught as `label`, and as which examples: (visit, example).

        Visits that are gone are ignored.
        """
        with self._changing("record what was taught") as db:
            taught = _named(db, "labels", label)
            sql = "UPDATE visits SET taught = ?, example = ?, unsure = 0 WHERE id = ?"
            db.executemany(sql, [(taught, example, visit) for visit, example in visits])

    def follow(self, changes: Iterable[ExampleChange]) -> None:
        """Follow what became of examples that visits were taught as: undone, forgotten or given another class.

        A visit whose example is gone is unsure again if it was before.
        """
        with self._changing("follow a correction") as db:
            for change in changes:
                label = None if change.after is None else _named(db, "labels", change.after)
                # the example's number stays: undoing a "forget" brings it back
                sql = """UPDATE visits SET taught = ?,
                         unsure = CASE WHEN ? IS NULL THEN label IS NULL OR mean_confidence < ? ELSE 0 END
                         WHERE example = ?"""
                db.execute(sql, (label, label, UNSURE, change.example))

    def dismiss(self, visits: Sequence[int]) -> int:
        """Make visits count as looked at: no longer unsure; return how many were unsure."""
        with self._changing("dismiss visits") as db:
            return sum(
                db.execute("UPDATE visits SET unsure = 0 WHERE id = ? AND unsure = 1", (one,)).rowcount
                for one in visits
            )

    def rename(self, before: str, after: str) -> None:
        """Give a label another name in all visits, as its class was renamed; joins it with a label of that name."""
        with self._changing("rename a label") as db:
            old = db.execute("SELECT id FROM labels WHERE name = ?", (before,)).fetchone()
            if old is None:
                return
            new = db.execute("SELECT id FROM labels WHERE name = ?", (after,)).fetchone()
            if new is None:
                db.execute("UPDATE labels SET name = ? WHERE id = ?", (after, old[0]))
                return
            for column in ("label", "runner_up", "taught"):
                db.execute(f"UPDATE visits SET {column} = ? WHERE {column} = ?", (new[0], old[0]))  # noqa: S608
            db.execute("DELETE FROM labels WHERE id = ?", old)

    def delete_one(self, visit: int) -> None:
        """Delete a visit with its picture. Raises InputError when there is none with that id."""
        with self._changing("delete a visit") as db:
            gone = db.execute("DELETE FROM visits WHERE id = ?", (visit,)).rowcount
        if not gone:
            raise InputError(f"no visit {visit}: it was deleted before, or is older than the history keeps")
        self._vacuum()

    def delete(self, wanted: VisitFilter) -> int:
        """Delete the visits of a filter with their pictures; return how many. The default filter selects all.

        Then a damaged history that was set aside is deleted as well. Deleted pictures are overwritten.
        """
        where, values = queries.condition(wanted)
        sql = f"DELETE FROM visits WHERE id IN (SELECT v.id FROM visits v WHERE {where} LIMIT ?)"  # noqa: S608
        gone, changed = 0, AT_ONCE
        while changed == AT_ONCE:
            with self._changing("delete visits") as db:
                changed = db.execute(sql, (*values, AT_ONCE)).rowcount
            gone += changed
        if wanted == ALL:
            database.remove_aside(self.path)
        if gone:
            self._vacuum()
        return gone

    # Inside

    @contextmanager
    def _changing(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Yield the writing connection in a transaction."""
        if self._writer is None:
            raise StateNotWritable(f"cannot {doing}: {self.path} was opened to be read only")
        with self._writing, self._usable(doing), transaction(self._writer):
            yield self._writer
        self.revision += 1

    @contextmanager
    def _usable(self, doing: str) -> Iterator[None]:
        """Raise StateBusy once it is closed, and the errors of SQLite as those of the history; under a lock."""
        if self._closed:
            raise StateBusy(f"cannot {doing}: {self.path} has just been closed; try again")
        with database.history_errors(self.path, doing):
            yield

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._reading, self._usable("read the history"):
            return self._reader.execute(sql, values).fetchall()

    def _pragma(self, name: str) -> Any:
        return self._read(f"PRAGMA {name}")[0][0]

    def _vacuum(self) -> None:
        """Give free pages back to the file system, and take deleted content out of the log."""
        assert self._writer is not None  # its callers have changed something
        with self._writing, database.history_errors(self.path, "give space back"):
            # not execute, which frees one page only: the statement has to be stepped without returning rows
            self._writer.executescript("PRAGMA incremental_vacuum")
            # busy while somebody reads: the next one does it
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


class _StoredSpans(NamedTuple):
    """The visits of a filter, as counting needs them."""

    store: HistoryStore
    wanted: VisitFilter

    def totals(self, begin_ns: int, end_ns: int) -> list[tuple[str | None, int, int]]:
        where, values = queries.condition(self.wanted._replace(from_ns=begin_ns, before_ns=end_ns))
        sql = f"""SELECT (SELECT name FROM labels WHERE id = v.label), COUNT(*), SUM(MIN(v.duration_ns, ? - v.begin_ns))
                  FROM visits v WHERE {where} GROUP BY v.label"""  # noqa: S608 our own names
        return self.store._read(sql, (end_ns, *values))

    def crossing(self, begin_ns: int, end_ns: int) -> list[Span]:
        wanted = self.wanted._replace(from_ns=begin_ns, before_ns=end_ns)
        return self._spans(wanted, "v.begin_ns + v.duration_ns > ?", end_ns)

    def reaching(self, time_ns: int) -> list[Span]:
        # visits of one place follow one another: only the last one of each can reach beyond
        places = self.store.names()[0] if self.wanted.place is None else [self.wanted.place]
        found = []
        for place in places:
            last = self.store.page(VisitFilter(place=place, before_ns=time_ns), limit=1).visits
            if last and last[0].end_ns > time_ns:
                one = last[0]
                found += self._spans(self.wanted._replace(from_ns=None, before_ns=None), "v.id = ?", one.id)
        return found

    def _spans(self, wanted: VisitFilter, further: str, value: int) -> list[Span]:
        where, values = queries.condition(wanted)
        sql = f"""SELECT (SELECT name FROM labels WHERE id = v.label), v.begin_ns, v.duration_ns FROM visits v
                  WHERE {where} AND {further}"""  # noqa: S608
        return [Span(*row) for row in self.store._read(sql, (*values, value))]


def _named(db: sqlite3.Connection, table: str, name: str) -> int:
    """Return the id of a name, which is added where it is missing; inside a transaction."""
    row = db.execute(f"SELECT id FROM {table} WHERE name = ?", (name,)).fetchone()  # noqa: S608
    if row is None:
        return int(db.execute(f"INSERT INTO {table} (name) VALUES (?)", (name,)).lastrowid or 0)  # noqa: S608
    return int(row[0])
