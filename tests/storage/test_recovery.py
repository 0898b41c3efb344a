"""Recovery: every row that is whole is saved, the damaged files are kept, a healthy state is left alone."""

import random
import sqlite3
from pathlib import Path

import pytest

from edge_app.errors import InputError, StateBusy, StateCorrupt
from edge_app.storage.folder import database_path
from edge_app.storage.recovery import recover
from edge_app.storage.store import Store
from support.simple_network import binding, clean_replay, embedding, open_learner, present_again

COUNT = 60


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with open_learner(tmp_path) as learner:
        for i in range(COUNT):
            learner.teach(embedding(i, i % 3), f"class {i % 3}", source=f"{i}", thumbnail=b"picture %d" % i * 99)
        learner.forget_example(7)
        present_again(learner, [4, 2])
    return tmp_path


def _altered(state: Path, statement: str) -> None:
    db = sqlite3.connect(database_path(state))
    db.execute(statement)
    db.commit()
    db.close()


def test_a_healthy_state_is_left_alone(state: Path) -> None:
    before = database_path(state).read_bytes()
    assert recover(state) is None
    assert database_path(state).read_bytes() == before
    assert not list(state.glob("damaged-*"))


def test_one_damaged_row_costs_one_example(state: Path) -> None:
    _altered(state, "UPDATE examples SET embedding = zeroblob(32) WHERE id = 5")
    damaged = database_path(state).read_bytes()
    done = recover(state)
    assert done is not None
    assert (done.saved, done.lost, done.thumbnails_lost, done.binding_assumed) == (COUNT - 2, 1, 0, False)
    assert (done.aside / "examples.sqlite").read_bytes() == damaged
    with open_learner(state) as learner:
        ids = [example.id for example in learner.examples()]
        assert ids == [i for i in range(1, COUNT + 1) if i not in (5, 7)]
        assert learner.thumbnail(6) == b"picture 5" * 99
        assert learner.network_state() == clean_replay(state)
        taught = learner.teach(embedding(1), "class 1", source="after")
        assert taught.example_id == COUNT + 1
    with Store.reader(database_path(state)) as store:
        assert store.presentations()[-3:] == [4, 2, COUNT + 1]


def test_a_damaged_thumbnail_costs_the_thumbnail(state: Path) -> None:
    _altered(state, "UPDATE thumbnails SET jpeg = 'x' WHERE example = 9")
    done = recover(state)
    assert done is not None
    assert (done.saved, done.lost, done.thumbnails_lost) == (COUNT - 1, 0, 1)
    with open_learner(state) as learner:
        assert learner.thumbnail(9) is None


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE presentations",
        "DROP TABLE actions",
        "DROP INDEX examples_by_label",
        "DELETE FROM ledger",
        "DELETE FROM presentations WHERE seq % 3 = 1",
    ],
)
def test_what_can_be_made_anew_costs_nothing(state: Path, statement: str) -> None:
    _altered(state, statement)
    if "INDEX" in statement:
        _altered(state, "DELETE FROM ledger")
    done = recover(state)
    assert done is not None
    assert (done.saved, done.lost) == (COUNT - 1, 0)
    with open_learner(state) as learner:
        assert [example.id for example in learner.examples()] == [i for i in range(1, COUNT + 1) if i != 7]
        with Store.reader(database_path(state)) as store:
            shown = store.presentations()
        assert list(dict.fromkeys(shown)) == sorted(set(shown))
        assert learner.network_state() == clean_replay(state)


def test_a_lost_record_of_the_encoder_is_taken_from_the_model_in_use(state: Path) -> None:
    _altered(state, "DELETE FROM binding")
    with pytest.raises(StateCorrupt, match="--model"):
        recover(state)
    done = recover(state, binding())
    assert done is not None
    assert done.binding_assumed
    open_learner(state).close()


@pytest.mark.parametrize("page", [0, 1, 2])
def test_a_damaged_page_of_the_beginning(state: Path, page: int) -> None:
    path = database_path(state)
    data = bytearray(path.read_bytes())
    data[page * 4096 : (page + 1) * 4096] = bytes(4096)
    path.write_bytes(data)
    with pytest.raises(StateCorrupt):
        open_learner(state)
    done = recover(state, binding())
    assert done is not None
    assert done.saved == COUNT - 1
    assert done.binding_assumed == (page == 1)
    with open_learner(state) as learner:
        assert learner.network_state() == clean_replay(state)


def test_random_damage_saves_what_is_whole_or_says_that_nothing_is(state: Path) -> None:
    path = database_path(state)
    whole = path.read_bytes()
    with Store.reader(path) as store:
        stored = {example.id: (example.label, store.embedding(example.id)) for example in store.examples()}
    chance = random.Random(5)
    saved = []
    for _ in range(25):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            start = chance.randrange(len(data))
            data[start : start + 600] = chance.randbytes(len(data[start : start + 600]))
        path.write_bytes(data)
        try:
            done = recover(state, binding())
        except StateCorrupt:
            assert path.read_bytes() == bytes(data)
            saved.append(0)
            continue
        with Store.reader(path) as store:
            found = {example.id: (example.label, store.embedding(example.id)) for example in store.examples()}
        assert found.items() <= stored.items()
        saved.append(len(found))
        assert done is None or done.saved == len(found)
    assert sum(saved) > 15 * len(stored)


def test_beyond_repair(state: Path) -> None:
    path = database_path(state)
    path.write_bytes(b"\0" * 20_000)
    with pytest.raises(StateCorrupt, match="beyond repair"):
        recover(state, binding())
    assert path.read_bytes() == b"\0" * 20_000
    assert (state / "damaged-1" / "examples.sqlite").read_bytes() == b"\0" * 20_000
    with pytest.raises(InputError, match="no state"):
        recover(state / "other")


def test_a_state_in_use_is_not_recovered(state: Path) -> None:
    with open_learner(state), pytest.raises(StateBusy):
        recover(state)
