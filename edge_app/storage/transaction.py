"""Changes to the tables: one method for each kind of row; the ledger follows every row that comes or goes."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from edge_app.errors import InputError
from edge_app.storage import database
from edge_app.storage.records import Action, Dream, ExampleChange, NewExample, Prediction, checksum

EXAMPLE = "id, label, embedding, time_ns, source, thumbnail"
"""The columns of an example that its checksum covers, in the order in which it covers them."""
EXAMPLE_OF_E = ", ".join(f"e.{name}" for name in f"{EXAMPLE}, checksum".split(", "))
"""The same and the checksum, of a table named e."""
OF_EXAMPLES = ("presentations", "dreams", "predictions")
"""Tables whose rows belong to an example, and go with it."""


@contextmanager
def changing(db: sqlite3.Connection) -> Iterator["Transaction"]:
    """Yield an open transaction; commit it with its ledger and its number, or roll it back. Raises sqlite3.Error."""
    with database.transaction(db):
        change = Transaction(db)
        yield change
        # in the same transaction: ledger and rows can never disagree
        database.write_ledger(db, change.ledger)
        database.write_number(db, change.number)


class Transaction:
    """An open transaction, with the ledger as it is after the changes so far."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Take the connection of an open transaction."""
        self._db = db
        ledger = database.read_ledger(db)
        if ledger is None:
            raise sqlite3.DatabaseError("the ledger is missing")
        self.ledger = ledger
        self.number = database.read_number(db) + 1
        """Number of this change, counted over the life of the database."""

    def insert_example(self, new: NewExample, example: int | None = None, *, hidden: bool = False) -> int:
        """Store an example and return its id, by default one that was never used; `hidden`: without its class."""
        example = self.next_id("examples") if example is None else example
        picture = None if new.thumbnail is None else checksum("thumbnails", new.thumbnail)
        label = None if hidden else new.label
        self._insert("examples", example, label, new.embedding, new.time_ns, new.source, picture)
        if new.thumbnail is not None:
            self._db.execute("INSERT INTO thumbnails VALUES (?, ?)", (example, new.thumbnail))
        if new.before is not None:
            self.insert_prediction(example, new.before)
        return example

    def insert_prediction(self, example: int, prediction: Prediction) -> None:
        """Store what was decided on an example before it was learnt."""
        self._insert("predictions", example, prediction.to_json())

    def update_example(self, example: int, *, label: str | None, embedding: bytes | None = None) -> None:
        """Give an example another label (None: forgotten) and, where given, another embedding. Raises InputError."""
        sql = f"SELECT {EXAMPLE}, checksum FROM examples WHERE id = ?"  # noqa: S608 our own names
        row = self._db.execute(sql, (example,)).fetchone()
        if row is None:
            raise InputError(f"no example {example}; `edge-app examples` lists them")
        # otherwise a damaged row would get a new checksum that fits
        if checksum("examples", *row[:-1]) != row[-1]:
            raise sqlite3.DatabaseError(f"example {example} fails its checksum")
        content = row[2] if embedding is None else embedding
        mark = checksum("examples", example, label, content, *row[3:-1])
        self._db.execute(
            "UPDATE examples SET label = ?, embedding = ?, checksum = ? WHERE id = ?", (label, content, mark, example)
        )
        self.ledger = self.ledger.minus(row[-1]).plus(mark)

    def delete_example(self, example: int) -> None:
        """Remove an example and all that belongs to it."""
        # by hand, not by ON DELETE CASCADE: the ledger needs the checksum of each row that goes
        for table in OF_EXAMPLES:
            self._delete(table, "example", example)
        # no checksum of its own: it is in the example's row, so that opening need not read all pictures
        self._db.execute("DELETE FROM thumbnails WHERE example = ?", (example,))
        self._delete("examples", "id", example)

    def insert_presentation(self, example: int) -> None:
        """Append a presentation of a stored example to the journal."""
        self._insert("presentations", self._next_seq(), example)

    def insert_dream(self, dream: Dream) -> None:
        """Append a dream of a stored example to the journal."""
        self._insert("dreams", self._next_seq(), *dream)

    def delete_all(self, table: str) -> None:
        """Remove all rows of `table`: dreams, predictions or actions."""
        self._delete(table)

    def insert_action(self, kind: str, time_ns: int, changes: Iterable[ExampleChange]) -> Action:
        """Append an action to the history and return it."""
        action = Action(self.next_id("actions"), time_ns, kind, tuple(changes))
        self._write_action(action)
        return action

    def update_action(self, action: Action, changes: list[ExampleChange]) -> None:
        """Let an action name only `changes` from now on; without any it goes."""
        self.delete_action(action)
        if changes:
            self._write_action(action._replace(changes=tuple(changes)))

    def delete_action(self, action: Action) -> None:
        """Drop an action from the history."""
        self._delete("actions", "id", action.id)

    def next_id(self, table: str) -> int:
        """Return the id after the highest that was ever used: not even a deleted row's id is used again."""
        # stored predictions, logs and open pages name examples by id
        row = self._db.execute("SELECT seq FROM main.sqlite_sequence WHERE name = ?", (table,)).fetchone()
        return int(row[0]) + 1 if row else 1

    def _write_action(self, action: Action) -> None:
        self._insert("actions", action.id, action.time_ns, action.kind, json.dumps(action.changes))

    def _insert(self, table: str, *values: str | int | bytes | None) -> None:
        mark = checksum(table, *values)
        places = ", ".join("?" * (len(values) + 1))
        self._db.execute(f"INSERT INTO {table} VALUES ({places})", (*values, mark))  # noqa: S608 our own names
        self.ledger = self.ledger.plus(mark)

    def _delete(self, table: str, column: str = "", value: int = 0) -> None:
        """Delete the rows with that value in `column`, by default all."""
        where, values = (f" WHERE {column} = ?", (value,)) if column else ("", ())
        for (mark,) in self._db.execute(f"SELECT checksum FROM {table}{where}", values).fetchall():  # noqa: S608
            self.ledger = self.ledger.minus(mark)
        self._db.execute(f"DELETE FROM {table}{where}", values)  # noqa: S608

    def _next_seq(self) -> int:
        """Return the number of the journal's next entry: presentations and dreams are numbered together."""
        return max(self.next_id("presentations"), self.next_id("dreams"))


def actions_from(rows: Iterable[tuple[int, int, str, str]]) -> list[Action]:
    """Return rows of (id, time_ns, kind, changes) as actions."""
    return [
        Action(i, time, kind, tuple(ExampleChange(*c) for c in json.loads(changes))) for i, time, kind, changes in rows
    ]
