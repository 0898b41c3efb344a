"""Rows in and out of the tables, one function a kind of change; each returns the ledger as it is afterwards.

All of them run inside a transaction that their caller holds.
"""

import json
import sqlite3
from collections.abc import Iterable

from edge_app.errors import InputError
from edge_app.storage.records import Action, Dream, ExampleChange, Ledger, NewExample, Prediction, checksum

EXAMPLE = "id, label, embedding, time_ns, source, thumbnail"
"""The columns of an example that its checksum covers, in the order in which it covers them."""
EXAMPLE_OF_E = ", ".join(f"e.{name}" for name in f"{EXAMPLE}, checksum".split(", "))
"""The same and the checksum, of a table named e."""


def insert_example(
    db: sqlite3.Connection, ledger: Ledger, new: NewExample, example: int | None = None
) -> tuple[int, Ledger]:
    """Store an example and return its id, by default one that was never used."""
    example = next_id(db, "examples") if example is None else example
    picture = None if new.thumbnail is None else checksum("thumbnails", new.thumbnail)
    values = (example, new.label, new.embedding, new.time_ns, new.source, picture)
    mark = checksum("examples", *values)
    db.execute("INSERT INTO examples VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, mark))
    if new.thumbnail is not None:
        db.execute("INSERT INTO thumbnails VALUES (?, ?)", (example, new.thumbnail))
    if new.before is not None:
        ledger = _insert_prediction(db, ledger, example, new.before)
    return example, ledger.plus(mark)


def _insert_prediction(db: sqlite3.Connection, ledger: Ledger, example: int, before: Prediction) -> Ledger:
    values = (example, before.to_json())
    mark = checksum("predictions", *values)
    db.execute("INSERT INTO predictions VALUES (?, ?, ?)", (*values, mark))
    return ledger.plus(mark)


def delete_predictions(db: sqlite3.Connection, ledger: Ledger, example: int | None = None) -> Ledger:
    """Remove what was decided of an example before it was learnt, or of all there are."""
    where, values = ("", ()) if example is None else (" WHERE example = ?", (example,))
    for (mark,) in db.execute(f"SELECT checksum FROM predictions{where}", values).fetchall():  # noqa: S608 our own names
        ledger = ledger.minus(mark)
    db.execute(f"DELETE FROM predictions{where}", values)  # noqa: S608
    return ledger


def insert_presentation(db: sqlite3.Connection, ledger: Ledger, example: int) -> Ledger:
    """Append a presentation of a stored example to the journal."""
    seq = _next_seq(db)
    mark = checksum("presentations", seq, example)
    db.execute("INSERT INTO presentations VALUES (?, ?, ?)", (seq, example, mark))
    return ledger.plus(mark)


def insert_dream(db: sqlite3.Connection, ledger: Ledger, dream: Dream) -> Ledger:
    """Append a dream of a stored example to the journal."""
    values = (_next_seq(db), *dream)
    mark = checksum("dreams", *values)
    db.execute("INSERT INTO dreams VALUES (?, ?, ?, ?, ?)", (*values, mark))
    return ledger.plus(mark)


def delete_dreams(db: sqlite3.Connection, ledger: Ledger, example: int | None = None) -> Ledger:
    """Remove the dreams of an example, or all there are."""
    where, values = ("", ()) if example is None else (" WHERE example = ?", (example,))
    for (mark,) in db.execute(f"SELECT checksum FROM dreams{where}", values).fetchall():  # noqa: S608 our own names
        ledger = ledger.minus(mark)
    db.execute(f"DELETE FROM dreams{where}", values)  # noqa: S608
    return ledger


def update_example(
    db: sqlite3.Connection, ledger: Ledger, example: int, *, label: str | None, embedding: bytes | None = None
) -> Ledger:
    """Give an example another label (None: forgotten) and, where given, another embedding."""
    row = db.execute(f"SELECT {EXAMPLE}, checksum FROM examples WHERE id = ?", (example,)).fetchone()  # noqa: S608
    if row is None:
        raise InputError(f"there is no example {example}; `edge-app examples` lists them")
    if checksum("examples", *row[:-1]) != row[-1]:
        raise sqlite3.DatabaseError(f"example {example} fails its checksum")
    content = row[2] if embedding is None else embedding
    mark = checksum("examples", example, label, content, *row[3:-1])
    db.execute(
        "UPDATE examples SET label = ?, embedding = ?, checksum = ? WHERE id = ?", (label, content, mark, example)
    )
    return ledger.minus(row[-1]).plus(mark)


def delete_example(db: sqlite3.Connection, ledger: Ledger, example: int) -> Ledger:
    """Remove an example, its presentations, its dreams and its thumbnail."""
    ledger = delete_dreams(db, ledger, example)
    marks = db.execute("SELECT checksum FROM presentations WHERE example = ?", (example,)).fetchall()
    marks += db.execute("SELECT checksum FROM examples WHERE id = ?", (example,)).fetchall()
    ledger = delete_predictions(db, ledger, example)
    db.execute("DELETE FROM presentations WHERE example = ?", (example,))
    db.execute("DELETE FROM thumbnails WHERE example = ?", (example,))
    db.execute("DELETE FROM examples WHERE id = ?", (example,))
    for (mark,) in marks:
        ledger = ledger.minus(mark)
    return ledger


def insert_action(
    db: sqlite3.Connection, ledger: Ledger, kind: str, time_ns: int, changes: Iterable[ExampleChange]
) -> tuple[Action, Ledger]:
    """Append an action to the history and return it."""
    action = Action(next_id(db, "actions"), time_ns, kind, tuple(changes))
    return action, _write_action(db, ledger, action)


def update_action(db: sqlite3.Connection, ledger: Ledger, action: Action, changes: list[ExampleChange]) -> Ledger:
    """Let an action name only `changes` from now on."""
    return _write_action(db, delete_action(db, ledger, action), action._replace(changes=tuple(changes)))


def delete_action(db: sqlite3.Connection, ledger: Ledger, action: Action) -> Ledger:
    """Drop an action from the history."""
    marks = db.execute("SELECT checksum FROM actions WHERE id = ?", (action.id,)).fetchall()
    db.execute("DELETE FROM actions WHERE id = ?", (action.id,))
    for (mark,) in marks:
        ledger = ledger.minus(mark)
    return ledger


def actions_from(rows: Iterable[tuple[int, int, str, str]]) -> list[Action]:
    """Return rows of (id, time_ns, kind, changes) as actions."""
    return [
        Action(i, time, kind, tuple(ExampleChange(*c) for c in json.loads(changes))) for i, time, kind, changes in rows
    ]


def _write_action(db: sqlite3.Connection, ledger: Ledger, action: Action) -> Ledger:
    values = (action.id, action.time_ns, action.kind, json.dumps(action.changes))
    mark = checksum("actions", *values)
    db.execute("INSERT INTO actions VALUES (?, ?, ?, ?, ?)", (*values, mark))
    return ledger.plus(mark)


def _next_seq(db: sqlite3.Connection) -> int:
    """Return the number of the journal's next entry, which is of one table or the other."""
    return max(next_id(db, "presentations"), next_id(db, "dreams"))


def next_id(db: sqlite3.Connection, table: str) -> int:
    """Return the id after the highest that was ever used: an id is never used again, not even a deleted one's."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return int(row[0]) + 1 if row else 1
