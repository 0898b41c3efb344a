"""The examples and the journal of a state folder: every change is one transaction, durable when the call returns."""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from edge_app.closing import Closing
from edge_app.errors import InputError
from edge_app.storage import database, transaction, verify
from edge_app.storage.acknowledged import Acknowledged
from edge_app.storage.errors import corrupt, sqlite_errors
from edge_app.storage.records import (
    Action,
    Binding,
    Dream,
    Entry,
    Example,
    ExampleChange,
    Kind,
    NewExample,
    Prediction,
    ReplayCandidate,
    checksum,
)
from edge_app.storage.sole_writer import SoleWriter
from edge_app.storage.transaction import EXAMPLE, EXAMPLE_OF_E, Transaction, actions_from

logger = logging.getLogger(__name__)

HISTORY = 100
"""Actions that undo can take back; examples that an older action forgot are deleted for good."""

# presentations and dreams share one numbering, so that sorting by it gives the order in which they were learnt
JOURNAL = f"""
SELECT p.seq, NULL, NULL, NULL, {EXAMPLE_OF_E}
  FROM presentations p CROSS JOIN examples e ON e.id = p.example WHERE p.seq > :after AND e.label IS NOT NULL
UNION ALL
SELECT d.seq, d.number, d.embedding, d.checksum, {EXAMPLE_OF_E}
  FROM dreams d CROSS JOIN examples e ON e.id = d.example WHERE d.seq > :after AND e.label IS NOT NULL
ORDER BY 1 LIMIT :limit"""  # noqa: S608 our own names
"""CROSS JOIN keeps the journal's order, so that nothing is sorted."""

LISTED = """SELECT id, label, time_ns, source, thumbnail IS NOT NULL, json
            FROM examples LEFT JOIN predictions ON predictions.example = examples.id"""


class Store(Closing):
    """The database of one state folder. One writer at a time (folder.FolderLock); not safe to share between threads."""

    def __init__(self, path: Path, db: sqlite3.Connection, acknowledged: int | None, *, read_only: bool) -> None:
        """Take an open connection; read and check every row that the network depends on.

        `acknowledged` is what `read_acknowledged` returned before it was opened. Raises StateCorrupt when a row fails
        its checksum, naming it, or when something is missing; then no file was changed.
        """
        self.path = path
        self.read_only = read_only
        # the learner compares these to know when snapshots may still include a deleted example
        self.purged = 0
        """Examples deleted for good since the store was opened."""
        self.purged_by = 0
        """No network that is up to date with this action has learnt any of them."""
        self._db = db
        self._acknowledged: Acknowledged | None = None
        self._sole_writer: SoleWriter | None = None
        try:
            # one consistent view: of the check, also where another writer has taken the lock's file away, and of a
            # reader until it is closed
            db.execute("BEGIN")
            self.binding = verify.check(db, path, acknowledged)
            if not read_only:
                db.execute("COMMIT")
                # only after every check: nothing is changed in a damaged database
                database.prepare(db, path)
                self._acknowledged = Acknowledged(path, database.read_number(db))
                self._sole_writer = SoleWriter(db, path)  # after prepare: it made the log, which is watched too
        except BaseException:
            if read_only:
                db.close()
            else:
                database.close_unchanged(db, path)
            raise

    @classmethod
    def create(cls, path: Path, binding: Binding) -> Self:
        """Create an empty store. Raises StateNotWritable."""
        database.create(path, binding)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a store to read and write. Raises StateCorrupt, StateNotWritable."""
        # before the database is opened: a writer may add changes, never take them away
        acknowledged = verify.acknowledged(path)
        return cls(path, database.connect(path), acknowledged, read_only=False)

    @classmethod
    def reader(cls, path: Path) -> Self:
        """Open a store as it is now, beside its writer; a change raises StateNotWritable. Raises StateCorrupt."""
        acknowledged = verify.acknowledged(path)
        return cls(path, database.connect_reader(path), acknowledged, read_only=True)

    def close(self, *, unchanged: bool = False) -> None:
        """Close the database; the write-ahead log is folded into it, unless `unchanged`: both may be damaged."""
        # folding the log may fail on a full disk: the next start does it
        with suppress(sqlite3.Error):
            if unchanged and not self.read_only:
                database.close_unchanged(self._db, self.path)
            self._db.close()
        if self._acknowledged is not None:
            self._acknowledged.close()

    # Reading

    def examples(self, label: str | None = None) -> list[Example]:
        """Return the examples in the order in which they were taught, all or of one class."""
        where = " WHERE label = ?" if label is not None else " WHERE label IS NOT NULL"
        found = self._all(LISTED + where + " ORDER BY id", () if label is None else (label,))
        return [_example(row) for row in found]

    def example(self, example: int) -> Example:
        """Return one example. Raises InputError when there is none with that id, or when it was forgotten."""
        found = self._all(LISTED + " WHERE label IS NOT NULL AND id = ?", (example,))
        if not found:
            raise InputError(f"no example {example}; `edge-app examples` lists them")
        return _example(found[0])

    def classes(self) -> dict[str, int]:
        """Return the number of examples of each class, classes in the order of their first example."""
        # MIN(id): the network adds classes in the same order
        sql = "SELECT label, COUNT(*) FROM examples WHERE label IS NOT NULL GROUP BY label ORDER BY MIN(id)"
        return dict(self._all(sql))

    def oldest(self, label: str, count: int = 1) -> list[int]:
        """Return the ids of the first `count` examples of a class."""
        return [i for (i,) in self._all("SELECT id FROM examples WHERE label = ? ORDER BY id LIMIT ?", (label, count))]

    def newest(self, label: str) -> int | None:
        """Return the id of the last example of a class, None when it has none."""
        newest: int | None = self._all("SELECT MAX(id) FROM examples WHERE label = ?", (label,))[0][0]
        return newest

    def next_example(self) -> int:
        """Return the id that the next example will get."""
        with sqlite_errors(self.path, "read the examples"):
            return Transaction(self._db).next_id("examples")

    def embedding(self, example: int) -> bytes:
        """Return the embedding of an example. Raises InputError, StateCorrupt."""
        return bytes(self._row(example)[2])

    def thumbnail(self, example: int) -> bytes | None:
        """Return the thumbnail (JPEG) of an example, None when it has none. Raises InputError, StateCorrupt."""
        mark = self._row(example)[5]
        if mark is None:
            return None
        found = self._all("SELECT jpeg FROM thumbnails WHERE example = ?", (example,))
        if not found or checksum("thumbnails", found[0][0]) != mark:
            raise corrupt(self.path, f"the thumbnail of example {example} is missing, or fails its checksum")
        return bytes(found[0][0])

    def journal(self, after: int = 0, limit: int = -1) -> list[Entry]:
        """Return the presentations after sequence number `after`, dreams and rehearsals among them, in order.

        At most `limit` (-1: all). Forgotten examples, and their dreams, are left out. Raises StateCorrupt.
        """
        entries = []
        for seq, number, dreamt, mark, *row in self._all(JOURNAL, {"after": after, "limit": limit}):
            # checked with each read, not only when the store is opened: disks fail later, too
            if checksum("examples", *row[:-1]) != row[-1]:
                raise corrupt(self.path, f"example {row[0]} fails its checksum")
            if number is not None and checksum("dreams", seq, row[0], number, dreamt) != mark:
                raise corrupt(self.path, f"dream {number} of example {row[0]} fails its checksum")
            kind = Kind.EXAMPLE if number is None else Kind.DREAM if dreamt else Kind.REHEARSAL
            entries.append(Entry(seq, row[1], dreamt or row[2], kind))
        return entries

    def presentations(self) -> list[int]:
        """Return the examples in the order in which they were presented; a rehearsed one is there more than once.

        Dreams are left out.
        """
        sql = "SELECT p.example FROM presentations p JOIN examples e ON e.id = p.example WHERE e.label IS NOT NULL"
        return [example for (example,) in self._all(sql + " ORDER BY p.seq")]

    def contents(self) -> set[tuple[str, bytes]]:
        """Return the (class, embedding) of every example."""
        return set(self._all("SELECT label, embedding FROM examples WHERE label IS NOT NULL"))

    def thumbnail_marks(self) -> list[tuple[str, bytes]]:
        """Return the (class, `thumbnail_mark`) of every example that has a thumbnail."""
        return self._all("SELECT label, thumbnail FROM examples WHERE label IS NOT NULL AND thumbnail IS NOT NULL")

    def last_seq(self) -> int:
        """Return the sequence number of the journal's last presentation, dreams among them; 0: there is none."""
        sql = (
            "SELECT MAX(COALESCE((SELECT MAX(seq) FROM presentations), 0), COALESCE((SELECT MAX(seq) FROM dreams), 0))"
        )
        return int(self._all(sql)[0][0])

    def count_presentations(self) -> int:
        """Return the length of the journal, dreams counted."""
        sql = "SELECT COUNT(*) FROM {} p JOIN examples e ON e.id = p.example WHERE e.label IS NOT NULL"
        return sum(int(self._all(sql.format(table))[0][0]) for table in ("presentations", "dreams"))

    def count_dreams(self) -> int:
        """Return how many dreams the journal holds."""
        sql = "SELECT COUNT(*) FROM dreams d JOIN examples e ON e.id = d.example WHERE e.label IS NOT NULL"
        return int(self._all(sql)[0][0])

    def dreamers(self) -> list[ReplayCandidate]:
        """Return the examples that have a thumbnail, in the order in which they were taught, with their dreams."""
        sql = """SELECT e.id, e.label, COUNT(d.seq) FROM examples e LEFT JOIN dreams d ON d.example = e.id
                 WHERE e.label IS NOT NULL AND e.thumbnail IS NOT NULL GROUP BY e.id ORDER BY e.id"""
        return [ReplayCandidate(*row) for row in self._all(sql)]

    def history(self) -> list[Action]:
        """Return the actions that undo can take back, the oldest first."""
        return actions_from(self._all("SELECT id, time_ns, kind, changes FROM actions ORDER BY id"))

    def last_action(self) -> int:
        """Return the id of the last action that undo can take back; 0: there is none."""
        return int(self._all("SELECT COALESCE(MAX(id), 0) FROM actions")[0][0])

    def used_bytes(self) -> int:
        """Return the bytes in use in the database; pages that deleted rows left free do not count."""
        # not the file's size: SQLite keeps free pages for later rows, and the log comes and goes
        pages = self._all("PRAGMA page_count")[0][0] - self._all("PRAGMA freelist_count")[0][0]
        return int(pages * self._all("PRAGMA page_size")[0][0])

    # Changes

    def commit(
        self,
        kind: str,
        time_ns: int,
        *,
        add: Iterable[NewExample] = (),
        order: Sequence[int] | None = None,
        labels: Mapping[int, str | None] | None = None,
    ) -> Action:
        """Do one action, all or nothing: give the examples in `labels` another label (None: forget), then add examples.

        `order` lists the new examples, by their index in `add`, as they are presented; None means each once.
        Returns the action as undo will see it. Raises StateNotWritable, InputError.
        """
        with self._changing(kind) as change:
            changes = []
            # labels first, so that what leaves to make room precedes the new examples in the action
            for example, label in (labels or {}).items():
                changes.append(ExampleChange(example, self.example(example).label, label))
                change.update_example(example, label=label)
            added = []
            for new in add:
                added.append(change.insert_example(new))
                changes.append(ExampleChange(added[-1], None, new.label))
            for index in range(len(added)) if order is None else order:
                change.insert_presentation(added[index])
            action = change.insert_action(kind, time_ns, changes)
            gone = self._trim_history(change)
        self._note_purged(gone)
        return action

    def stage(self, new: Mapping[int, NewExample], order: Sequence[int], staged: Mapping[int, int]) -> dict[int, int]:
        """Store a piece of an import: without a class, so that nobody sees it before `adopt`.

        `order` lists keys of `new` and of `staged`, which maps the keys of earlier pieces to ids, as they are
        presented. Returns the ids of the new ones. Raises StateNotWritable.
        """
        # a piece that is lost with damage to the log is not missed: the import was not acknowledged
        with self._changing("import", durable=False) as change:
            added: dict[int, int] = {}
            for key in order:
                if key not in staged and key not in added:
                    added[key] = change.insert_example(new[key], hidden=True)
                change.insert_presentation(staged.get(key) or added[key])
        return added

    def adopt(self, kind: str, time_ns: int, labels: Mapping[int, str]) -> Action:
        """Give examples that were staged their classes, by id, as one action. Raises StateNotWritable."""
        with self._changing(kind) as change:
            for example, label in labels.items():
                change.update_example(example, label=label)
            action = change.insert_action(kind, time_ns, [ExampleChange(i, None, label) for i, label in labels.items()])
            gone = self._trim_history(change)
        self._note_purged(gone)
        return action

    def staged(self) -> list[int]:
        """Return the examples that were staged and not adopted: those without a class that no action can bring back."""
        kept = {change.example for action in self.history() for change in action.changes}
        return [example for example in self.forgotten() if example not in kept]

    def discard(self, examples: Sequence[int]) -> None:
        """Delete examples that were staged. Raises StateNotWritable."""
        with self._changing("discard an import", durable=False) as change:
            for example in examples:
                change.delete_example(example)

    def dream(self, dreams: Sequence[Dream]) -> None:
        """Append dreams to the journal, in this order. Raises InputError, StateNotWritable."""
        # a dream can be made again
        with self._changing("dream", durable=False) as change:
            for dream in dreams:
                change.insert_dream(dream._replace(example=self.example(dream.example).id))

    def forget_dreams(self) -> None:
        """Delete all dreams, those of forgotten examples too. Raises StateNotWritable."""
        with self._changing("forget the dreams") as change:
            change.delete_all("dreams")

    def restore(self, examples: Mapping[int, NewExample], order: Sequence[int], number: int) -> None:
        """Store examples under given ids, presented in this order, as change `number`. Raises StateNotWritable."""
        with self._changing("restore") as change:
            change.number = number
            for example, new in sorted(examples.items()):
                change.insert_example(new, example)
            for example in order:
                change.insert_presentation(example)

    def undo(self) -> Action:
        """Take back the last action and return it. Raises InputError when there is none, StateNotWritable."""
        with self._changing("undo") as change:
            # inside the transaction, so that the action cannot change before it is undone
            history = self.history()
            if not history:
                raise InputError("there is nothing to undo: nothing was taught or corrected yet")
            # backwards: an action may have changed an example twice
            for done in reversed(history[-1].changes):
                if done.before is None:
                    change.delete_example(done.example)
                else:
                    change.update_example(done.example, label=done.before)
            change.delete_action(history[-1])
        return history[-1]

    def purge(self, examples: Sequence[int]) -> None:
        """Delete examples for good, forgotten ones included; undo cannot bring them back. Raises StateNotWritable."""
        gone = set(examples)
        # before the deletion: a network up to date with it has not learnt what was forgotten earlier
        last = self.last_action()
        with self._changing("delete") as change:
            for action in self.history():
                kept = [done for done in action.changes if done.example not in gone]
                if len(kept) < len(action.changes):
                    change.update_action(action, kept)
            for example in gone:
                change.delete_example(example)
        self._note_purged([last] * len(gone))
        try:
            # the log still holds the deleted pictures; row [0] is 1 if a reader kept it from being emptied
            cleared = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        except sqlite3.Error:  # the deletion itself is stored
            cleared = False
        if not cleared:
            logger.warning("%s: deleted, but the write-ahead log keeps traces until the next clean stop", self.path)

    def forgotten(self) -> list[int]:
        """Return the examples that are kept for undo only, the oldest first."""
        return [example for (example,) in self._all("SELECT id FROM examples WHERE label IS NULL ORDER BY id")]

    def rebind(
        self,
        binding: Binding,
        embeddings: Callable[[int], bytes] | None = None,
        drop: Sequence[int] = (),
        predictions: Mapping[int, Prediction] | None = None,
    ) -> None:
        """Bind the state to another encoder, rate code or parameters, in one transaction.

        With `embeddings` every example gets the embedding that it returns for its id; the examples in `drop` are
        deleted, and undo's history and all dreams with them. Predictions of another network on the examples are
        deleted; `predictions` replaces all by those of the new one, by example. Raises StateNotWritable, and what
        `embeddings` raises.
        """
        with self._changing("rebuild") as change:
            if embeddings is not None:
                change.delete_all("actions")
                change.delete_all("dreams")
                for example in drop:
                    change.delete_example(example)
                for kept in self.examples():
                    change.update_example(kept.id, label=kept.label, embedding=embeddings(kept.id))
            if predictions is not None or binding.decides_otherwise(self.binding):
                change.delete_all("predictions")
            for example, prediction in (predictions or {}).items():
                change.insert_prediction(example, prediction)
            database.write_binding(self._db, binding)
        self.binding = binding

    def check(self) -> None:
        """Check what opening the store does not: thumbnails and SQLite's own structures. Raises StateCorrupt."""
        with sqlite_errors(self.path, "check the thumbnails"):
            for (example,) in self._db.execute("SELECT id FROM examples").fetchall():
                self.thumbnail(example)
            # (1): the first problem is enough
            verdict = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise corrupt(self.path, f"SQLite's check says: {verdict}")

    def backup(self, target: Path) -> None:
        """Copy the database to the new file `target`. Raises StateNotWritable."""
        database.copy_database(self._db, target)

    # Internal

    def _all(self, sql: str, values: tuple[int | str, ...] | dict[str, int] = ()) -> list[tuple[Any, ...]]:
        with sqlite_errors(self.path, "read the examples"):
            return self._db.execute(sql, values).fetchall()

    def _row(self, example: int) -> tuple[Any, ...]:
        found = self._all(f"SELECT {EXAMPLE}, checksum FROM examples WHERE id = ?", (example,))  # noqa: S608
        if not found:
            raise InputError(f"no example {example}; `edge-app examples` lists them")
        if checksum("examples", *found[0][:-1]) != found[0][-1]:
            raise corrupt(self.path, f"example {example} fails its checksum")
        return found[0]

    @contextmanager
    def _changing(self, doing: str, *, durable: bool = True) -> Iterator[Transaction]:
        """Change the database, all or nothing; `durable`: damage to the change is noticed after a power cut, too.

        The change itself is always durable.
        """
        with sqlite_errors(self.path, f"{doing}: store the change"):
            if self._sole_writer is not None:
                self._sole_writer.check_files()
            with transaction.changing(self._db) as change:
                if self._sole_writer is not None:
                    # inside the transaction: from here on nobody else can write
                    self._sole_writer.check_content()
                yield change
        if self._acknowledged is not None:
            # after the commit: the file may be behind the database, never ahead of it
            self._acknowledged.write(change.number, durable=durable)

    def _note_purged(self, actions: Sequence[int]) -> None:
        """Note for each example that was deleted for good the action that it went with."""
        self.purged += len(actions)
        # 0: max() of one value needs a second
        self.purged_by = max(self.purged_by, *actions, 0)

    def _trim_history(self, change: Transaction) -> list[int]:
        """Delete the actions that are too old for undo; return the action of each example deleted with them."""
        gone = []
        sql = "SELECT id, time_ns, kind, changes FROM actions ORDER BY id DESC LIMIT -1 OFFSET ?"
        for action in actions_from(self._all(sql, (HISTORY,))):
            for done in action.changes:
                # only what the action forgot is kept for it alone
                if done.after is None:
                    change.delete_example(done.example)
                    gone.append(action.id)
            change.delete_action(action)
        return gone


def _example(row: tuple[Any, ...]) -> Example:
    example, label, time_ns, source, has_thumbnail, before = row
    return Example(example, label, time_ns, source, bool(has_thumbnail), before and Prediction.from_json(before))
