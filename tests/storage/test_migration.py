"""A database of an older schema: opened, read beside a writer, recovered; `golden/schema-1.sqlite` is one that such a
program wrote (8 taught, 3 relabelled, 8 forgotten, 9 undone, 1 and 2 rehearsed)."""

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_app.storage.database import SCHEMA_VERSION
from edge_app.storage.folder import database_path
from edge_app.storage.recovery import recover
from edge_app.storage.store import Store
from support.simple_network import clean_replay, embedding, open_learner

OLD = Path(__file__).parent / "golden" / "schema-1.sqlite"
LABELS = ["mug", "pen", "cup", "pen", "mug", "pen", "mug"]
NETWORK = "bbfc303144a18e795eea0895d44146308200ceba25b31bbbf91aaf9456cf5a2d"
"""SHA-256 of the network that the old program had."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(OLD, database_path(tmp_path))
    return tmp_path


def version(folder: Path) -> int:
    with closing(sqlite3.connect(database_path(folder))) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_an_old_state_is_opened_and_is_what_it_was(folder: Path) -> None:
    with open_learner(folder) as learner:
        assert [example.label for example in learner.examples()] == LABELS
        assert {example.before for example in learner.examples()} == {None}
        assert hashlib.sha256(learner.network_state()).hexdigest() == NETWORK
        learner.undo()
        assert [example.label for example in learner.examples()] == [*LABELS, "pen"]
        learner.teach(embedding(1, 0), "mug", source="button")
        assert learner.examples()[-1].before is not None
        assert learner.network_state() == clean_replay(folder)
    assert version(folder) == SCHEMA_VERSION
    with open_learner(folder) as learner:
        assert [example.before is None for example in learner.examples()] == [True] * 8 + [False]
    with Store.open(database_path(folder)) as store:
        store.check()


def test_an_old_state_is_read_without_being_changed(folder: Path) -> None:
    before = database_path(folder).read_bytes()
    with open_learner(folder, read_only=True) as learner:
        assert [example.label for example in learner.examples()] == LABELS
        assert hashlib.sha256(learner.network_state()).hexdigest() == NETWORK
        assert learner.thumbnail(2) == b"jpeg 1"
    assert database_path(folder).read_bytes() == before
    assert version(folder) == 1


def test_a_damaged_old_state_is_recovered(folder: Path) -> None:
    with closing(sqlite3.connect(database_path(folder), isolation_level=None)) as db:
        db.execute("UPDATE examples SET source = 'x' WHERE id = 2")
    found = recover(folder)
    assert found is not None
    assert (found.saved, found.lost) == (6, 1)
    with open_learner(folder) as learner:
        assert [example.id for example in learner.examples()] == [1, 3, 4, 5, 6, 7]


def test_the_first_page_of_an_old_state_can_be_put_back(folder: Path) -> None:
    path = database_path(folder)
    data = path.read_bytes()
    path.write_bytes(bytes(4096) + data[4096:])
    found = recover(folder)
    assert found is not None
    assert (found.saved, found.lost) == (7, 0)


def test_predictions_survive_a_recovery(folder: Path) -> None:
    with open_learner(folder) as learner:
        for number in range(4):
            learner.teach(embedding(number, 0), "mug", source="button")
        wanted = {example.id: example.before for example in learner.examples()}
    with closing(sqlite3.connect(database_path(folder), isolation_level=None)) as db:
        db.execute("UPDATE examples SET source = 'x' WHERE id = 2")
        db.execute("UPDATE predictions SET json = '[]' WHERE example = 12")
    assert recover(folder) is not None
    with open_learner(folder) as learner:
        found = {example.id: example.before for example in learner.examples()}
    del wanted[2]
    assert found == wanted | {12: None}, "a damaged prediction costs only itself"
