"""Another encoder, rate code or set of parameters: the old state stays until the new one is whole."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import InputError, ModelMismatch, StateBusy, StateNotWritable
from edge_app.learner.rebuild import rebuild
from edge_app.learner.state import check_binding
from edge_app.storage.folder import database_path
from edge_app.storage.store import Store
from support.simple_network import (
    SIZE,
    SimpleFactory,
    binding,
    clean_replay,
    embedding,
    folder_in_memory,
    open_learner,
    present_again,
    rate_code,
)


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with open_learner(tmp_path / "state") as learner:
        for i in range(8):
            learner.teach(
                embedding(i, i % 2), f"class {i % 2}", source="test", thumbnail=bytes([i]) * 9 if i != 3 else None
            )
        learner.forget_example(8)
        present_again(learner, [2])
    return tmp_path / "state"


def encode(picture: bytes) -> np.ndarray:
    """Another encoder: its embeddings are longer by one, and follow from the picture."""
    return np.full(SIZE + 1, picture[0], np.uint8)


OTHER = binding("b")._replace(embedding_size=SIZE + 1)


def test_other_parameters_replay_everything_and_lose_nothing(state: Path) -> None:
    before = clean_replay(state)
    done = rebuild(state, binding(params="2", rate="s"), rate_code, SimpleFactory())
    assert done[:4] == (7, False, 0, None)
    assert done.encoder == "encoder-a"
    factory = SimpleFactory()
    with open_learner(state, factory=factory) as learner:
        assert (factory.made, factory.loaded) == (0, 1)
        assert learner._store.binding == binding(params="2", rate="s")
        assert learner.network_state() == before
        assert learner.undo().kind == "forget"
        assert len(learner.examples()) == 8
        assert all(example.before for example in learner.examples()[:7]), "predicted anew by the network in use"


def test_a_rebuild_with_what_it_had_keeps_what_was_predicted(state: Path) -> None:
    rebuild(state, binding(), rate_code, SimpleFactory())
    with open_learner(state) as learner:
        assert all(example.before for example in learner.examples())


def test_a_rebuild_counts_what_was_recognised_before_it_was_learnt(tmp_path: Path) -> None:
    with open_learner(tmp_path / "plain") as learner:
        for i in range(36):
            learner.teach(embedding(i, i % 3), f"class {i % 3}", source="test", thumbnail=b"x")
        right = sum(
            example.before is not None and example.before.label == example.label for example in learner.examples()[3:]
        )
    same = rebuild(tmp_path / "plain", binding(), rate_code, SimpleFactory())
    assert same.before == same.after == (right, 33)
    assert right > 20
    blind = rebuild(
        tmp_path / "plain", OTHER, _any_size, SimpleFactory(), encode=lambda _: np.full(SIZE + 1, 99, np.uint8)
    )
    assert blind.before == (right, 33)
    assert blind.after.tested == 33
    assert blind.after.right < 20, "all pictures look the same to that encoder"


def test_a_rebuild_predicts_what_teaching_predicts(tmp_path: Path) -> None:
    with open_learner(tmp_path / "plain") as learner:
        for i in range(20):
            learner.teach(embedding(i, i % 3), f"class {i % 3}", source="test")
        taught = [example.before for example in learner.examples()]
    rebuild(tmp_path / "plain", binding(params="2"), rate_code, SimpleFactory())
    with open_learner(tmp_path / "plain", read_only=True) as learner:
        assert [example.before for example in learner.examples()] == taught
        assert None not in taught


def test_another_encoder_learns_from_the_thumbnails(state: Path) -> None:
    with pytest.raises(ModelMismatch, match=r"1 of 7 examples .*--accept-loss"):
        rebuild(state, OTHER, rate_code, SimpleFactory(), encode=encode)
    with pytest.raises(InputError, match="needs its model"):
        rebuild(state, OTHER, rate_code, SimpleFactory())
    assert not list(state.glob("before-rebuild-*"))
    steps: list[tuple[int, int]] = []
    done = rebuild(
        state,
        OTHER,
        _any_size,
        SimpleFactory(),
        encode=encode,
        accept_loss=True,
        progress=lambda *step: steps.append(step),
    )
    assert (done.examples, done.reencoded, done.lost) == (6, True, 1)
    assert steps[:6] == [(i, 6) for i in range(1, 7)]
    with Store.open(database_path(state)) as store:
        assert store.binding == OTHER
        assert [example.id for example in store.examples()] == [1, 2, 3, 5, 6, 7]
        assert store.embedding(5) == bytes([4]) * (SIZE + 1)
        assert store.presentations() == [1, 2, 3, 5, 6, 7, 2]
        assert store.history() == []
        assert store.forgotten() == []
        store.check()
    assert done.kept is not None
    with Store.open(done.kept) as old:
        assert old.binding == binding()
        assert len(old.examples()) == 7
        assert old.embedding(4) == embedding(3, 1).tobytes()


def _any_size(values: np.ndarray) -> np.ndarray:
    return rate_code(values[..., :SIZE])


def test_a_failure_half_way_leaves_the_old_state(state: Path) -> None:
    before = clean_replay(state)
    seen: list[bytes] = []

    def failing(picture: bytes) -> np.ndarray:
        seen.append(picture)
        if len(seen) == 4:
            raise MemoryError("no room for the encoder")
        return encode(picture)

    with pytest.raises(MemoryError, match="no room"):
        rebuild(state, OTHER, _any_size, SimpleFactory(), encode=failing, accept_loss=True)
    assert not list(state.glob("before-rebuild-*"))
    with open_learner(state) as learner:
        assert learner.network_state() == before
        assert len(learner.examples()) == 7


def test_a_thumbnail_that_cannot_be_read_costs_its_example_only_and_is_named(state: Path) -> None:
    def picky(picture: bytes) -> np.ndarray:
        if picture[0] == 4:
            raise InputError("it is not a JPEG")
        return encode(picture)

    db = sqlite3.connect(database_path(state))
    db.execute("UPDATE thumbnails SET jpeg = 'x' WHERE example = 6")
    db.commit()
    db.close()
    words = r"3 of 7 examples cannot .* \(4: it has no thumbnail; 5: it is not a JPEG; 6: .*fails its checksum"
    with pytest.raises(ModelMismatch, match=words):
        rebuild(state, OTHER, _any_size, SimpleFactory(), encode=picky)
    done = rebuild(state, OTHER, _any_size, SimpleFactory(), encode=picky, accept_loss=True)
    assert (done.examples, done.lost) == (4, 3)
    with Store.open(database_path(state)) as store:
        assert [example.id for example in store.examples()] == [1, 2, 3, 7]


def test_a_rebuild_that_cannot_be_stored_leaves_no_copy(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StateNotWritable("the disk is full")

    monkeypatch.setattr(Store, "rebind", full)
    for _ in range(3):
        with pytest.raises(StateNotWritable):
            rebuild(state, OTHER, _any_size, SimpleFactory(), encode=encode, accept_loss=True)
    assert not list(state.glob("before-rebuild-*"))


def test_a_state_in_use_or_missing_is_not_rebuilt(state: Path, tmp_path: Path) -> None:
    with open_learner(state), pytest.raises(StateBusy):
        rebuild(state, binding(params="2"), rate_code, SimpleFactory())
    with pytest.raises(InputError, match="no state"):
        rebuild(tmp_path / "none", binding(params="2"), rate_code, SimpleFactory())
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (binding("b"), r"encoder-a .*the one in use is encoder-b .*rebuild .*6 of 7 have"),
        (binding(rate="s"), "other rate code .*rebuild"),
        (binding(params="2"), "other classifier parameters .*rebuild"),
    ],
)
def test_a_state_of_other_making_is_refused_with_the_way_out(state: Path, wanted: object, words: str) -> None:
    with Store.reader(database_path(state)) as store:
        check_binding(store, binding())
        with pytest.raises(ModelMismatch, match=words):
            check_binding(store, wanted)  # type: ignore[arg-type]
