"""The learner: teach, correct, classify; the network is always what the journal says."""

import io
import itertools
import os
import resource
import shutil
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.config import StateConfig
from edge_app.errors import InputError, StateBusy, StateNotWritable, UnknownLabel
from edge_app.learner import Learner
from edge_app.learner.importing import PIECE
from edge_app.learner.replay import CHUNK
from edge_app.learner.samples import Sample
from edge_app.storage.folder import database_path
from edge_app.storage.records import Action, Entry, NewExample, Prediction
from edge_app.storage.snapshots import Snapshots
from edge_app.storage.store import HISTORY, Store
from support.simple_network import (
    SIZE,
    SimpleFactory,
    SimpleNetwork,
    clean_replay,
    embedding,
    folder_in_memory,
    open_learner,
    present_again,
    rate_code,
    taught_only,
)

KINDS = ("mug", "pen", "cup")


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


def fill(learner: Learner, count: int = 12) -> list[int]:
    """Teach `count` examples of three classes in turn."""
    return [learner.teach(embedding(i, i % 3), KINDS[i % 3], source="test").example_id for i in range(count)]


def test_teaching_makes_a_class_and_the_network_knows_it_afterwards(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        first = learner.teach(embedding(1), "mug", source="test")
        assert first.before.label is None
        assert first.before.labels == ()
        fill(learner)
        assert learner.labels == ("mug", "pen", "cup")
        assert [learner.classify(embedding(100 + k, k)).label for k in range(3)] == list(KINDS)
        assert learner.teach(embedding(50, 1), "pen", source="test").before.label == "pen"


@pytest.mark.parametrize("label", ["mug", "key"])
def test_several_at_once_are_what_one_after_the_other_gives_and_one_action(tmp_path: Path, label: str) -> None:
    values = [embedding(40 + i, i % 4) for i in range(5)]
    with open_learner(tmp_path / "one by one", clock=lambda: 1) as learner:
        fill(learner, 5)
        single = [learner.teach(one, label, source="test", thumbnail=b"x") for one in values]
        wanted, examples = learner.network_state(), learner.examples()
    with open_learner(tmp_path / "at once", clock=lambda: 1) as learner:
        fill(learner, 5)
        before = learner.network_state()
        many = learner.teach_many([Sample(one, b"x") for one in values], label, source="test")
        assert [(one.example_id, one.label, one.prediction) for one in many] == [
            (one.example_id, one.label, one.prediction) for one in single
        ]
        assert [one.before.spikes.tolist() for one in many] == [one.before.spikes.tolist() for one in single]
        assert (learner.network_state(), learner.examples()) == (wanted, examples)
        assert learner.network_state() == clean_replay(tmp_path / "at once")
        assert len(learner.undo().changes) == 5
        assert learner.network_state() == before == clean_replay(tmp_path / "at once")
        with pytest.raises(InputError, match="nothing was shown"):
            learner.teach_many([], label, source="test")


def test_of_several_that_the_disk_has_no_room_for_none_is_taught(tmp_path: Path) -> None:
    shown = [Sample(embedding(i), np.random.default_rng(i).bytes(20_000)) for i in range(4)]
    with open_learner(tmp_path) as learner:
        fill(learner)
        before = learner.network_state(), learner.examples(), learner.history()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        log = database_path(tmp_path).with_name("examples.sqlite-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 50_000, hard))  # room for two
        try:
            with pytest.raises(StateNotWritable):
                learner.teach_many(shown, "mug", source="test")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (learner.network_state(), learner.examples(), learner.history()) == before
        assert not learner.rebuilding
        learner.teach_many(shown, "mug", source="test")
        assert learner.network_state() == clean_replay(tmp_path)


def test_reopened_network_is_the_same_to_the_bit_with_and_without_snapshot(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        fill(learner)
        before = learner.network_state()
    factory = SimpleFactory()
    with open_learner(tmp_path, factory=factory) as learner:
        assert (factory.loaded, factory.made) == (1, 0)
        assert learner.network_state() == before == clean_replay(tmp_path)
        fill(learner, 5)
        after = learner.network_state()
    for file in (tmp_path / "snapshots").iterdir():
        file.unlink()
    factory = SimpleFactory()
    with open_learner(tmp_path, factory=factory) as learner:
        assert (factory.loaded, factory.made) == (0, 1)
        assert learner.network_state() == after == clean_replay(tmp_path)


def test_a_snapshot_is_followed_by_a_replay_of_what_came_after(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        fill(learner)
        learner.save()
        saved = {file: file.read_bytes() for file in (tmp_path / "snapshots").iterdir()}
        fill(learner, 7)
        after = learner.network_state()
    for file in (tmp_path / "snapshots").iterdir():
        file.unlink()
    for file, data in saved.items():
        file.write_bytes(data)
    steps: list[tuple[int, int]] = []
    factory = SimpleFactory()
    with open_learner(tmp_path, factory=factory, progress=lambda done, total: steps.append((done, total))) as learner:
        assert factory.loaded == 1
        assert steps == [(19, 19)]
        assert learner.network_state() == after


@pytest.mark.parametrize("background", [False, True])
def test_every_correction_is_as_if_it_had_never_been_otherwise(tmp_path: Path, background: bool) -> None:
    shown = [(embedding(i, i % 3), KINDS[i % 3]) for i in range(12)]
    with open_learner(tmp_path) as learner:
        ids = fill(learner)

        def expect(examples: list[tuple[np.ndarray, str]]) -> None:
            learner.wait()
            assert not learner.rebuilding
            assert learner.network_state() == taught_only(examples) == clean_replay(tmp_path)
            assert learner.labels == tuple(dict.fromkeys(label for _, label in examples))

        learner.undo(background=background)
        expect(shown[:-1])
        learner.relabel(ids[0], "pen", background=background)
        now = [(shown[0][0], "pen"), *shown[1:-1]]
        expect(now)
        learner.forget_example(ids[1], background=background)
        del now[1]
        expect(now)
        learner.rename_class("cup", "bowl", background=background)
        now = [(values, "bowl" if label == "cup" else label) for values, label in now]
        expect(now)
        learner.merge_classes("mug", "pen", background=background)
        merged = [(values, "mug" if label == "pen" else label) for values, label in now]
        expect(merged)
        learner.forget_class("bowl", background=background)
        expect([(values, label) for values, label in merged if label != "bowl"])
        for _ in range(2):
            learner.undo(background=background)
        expect(now)


def test_undo_goes_back_through_everything_to_the_beginning(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        states = [learner.network_state()]
        for step in range(4):
            learner.teach(embedding(step, step), f"class {step}", source="test")
            states.append(learner.network_state())
        learner.forget_class("class 1")
        states.append(learner.network_state())
        learner.merge_classes("class 0", "class 2")
        states.append(learner.network_state())
        for state in reversed(states[:-1]):
            learner.undo()
            assert learner.network_state() == state
        with pytest.raises(InputError, match="nothing to undo"):
            learner.undo()
        assert learner.examples() == []


def test_every_change_of_the_network_has_a_revision_of_its_own(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        changes = (
            lambda: learner.teach(embedding(1), "mug", source="test"),
            lambda: learner.teach_many([Sample(embedding(2, 1)), Sample(embedding(3, 1))], "pen", source="test"),
            lambda: learner.rename_class("pen", "pencil"),
            lambda: learner.import_examples(news(5)),
            lambda: learner.merge_classes("mug", "pencil"),
            lambda: learner.forget_class("new 0"),
            learner.undo,
        )
        revisions, states = [learner.revision], [learner.network_state()]
        for change in changes:
            change()
            learner.classify(embedding(7))
            revisions.append(learner.revision)
            states.append(learner.network_state())
        assert all(before != after for before, after in itertools.pairwise(states))
        assert revisions == sorted(set(revisions))


def test_undo_reaches_back_as_far_as_stated_and_what_is_beyond_is_gone_for_good(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        ids = fill(learner, 3)
        learner.forget_example(ids[0])
        for i in range(HISTORY - 1):
            learner.teach(embedding(i, 1), "pen", source="test")
        assert learner.forgotten() == [ids[0]]
        learner.teach(embedding(1, 1), "pen", source="test")
        assert learner.forgotten() == []
        assert len(learner.history()) == HISTORY
        for _ in range(HISTORY):
            learner.undo(background=True)
        learner.wait()
        with pytest.raises(InputError, match="nothing to undo"):
            learner.undo()
        assert [example.id for example in learner.examples()] == ids[1:]
        assert learner.network_state() == clean_replay(tmp_path)


def test_an_id_is_never_used_twice(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        first = fill(learner, 3)
        learner.undo()
        assert learner.teach(embedding(9), "mug", source="test").example_id == first[-1] + 1


def test_a_second_presentation_is_learnt_again_and_leaves_with_its_example(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        ids = fill(learner, 4)
        before = learner.network_state()
        present_again(learner, [ids[2], ids[0]])
        shown = [(embedding(i, i % 3), KINDS[i % 3]) for i in (0, 1, 2, 3, 2, 0)]
        assert learner.network_state() == taught_only(shown) == clean_replay(tmp_path) != before
        learner.forget_example(ids[2])
        assert learner.network_state() == taught_only([shown[i] for i in (0, 1, 3, 5)])
        assert learner.network_state() == clean_replay(tmp_path)


@pytest.mark.parametrize(
    ("action", "error", "words"),
    [
        (lambda learner: learner.relabel(77, "mug"), InputError, "no example 77"),
        (lambda learner: learner.relabel(1, "mug"), InputError, "already"),
        (lambda learner: learner.forget_example(77), InputError, "no example 77"),
        (lambda learner: learner.forget_class("dog"), UnknownLabel, "no class 'dog'; known classes: mug, pen, cup"),
        (lambda learner: learner.rename_class("dog", "cat"), UnknownLabel, "'dog'"),
        (lambda learner: learner.rename_class("mug", "pen"), InputError, "merge"),
        (lambda learner: learner.merge_classes("mug", "dog"), UnknownLabel, "'dog'"),
        (lambda learner: learner.merge_classes("dog", "mug"), UnknownLabel, "'dog'"),
        (lambda learner: learner.merge_classes("mug", "mug"), InputError, "itself"),
        (lambda learner: learner.teach(embedding(1), "", source="t"), InputError, "0 characters"),
        (lambda learner: learner.teach(embedding(1), " mug", source="t"), InputError, "white space"),
        (lambda learner: learner.teach(embedding(1), "a\nb", source="t"), InputError, "control characters"),
        (lambda learner: learner.teach(embedding(1)[:5], "mug", source="t"), InputError, r"uint8 \(5,\)"),
        (lambda learner: learner.teach(embedding(1).astype(float), "mug", source="t"), InputError, "float64"),
        (lambda learner: learner.classify(np.zeros((2, SIZE), np.uint8)), InputError, r"\(2, 32\)"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    tmp_path: Path, action: object, error: type[Exception], words: str
) -> None:
    with open_learner(tmp_path) as learner:
        fill(learner)
        before = learner.network_state(), learner.examples(), learner.history()
        with pytest.raises(error, match=words):
            action(learner)  # type: ignore[operator]
        assert (learner.network_state(), learner.examples(), learner.history()) == before
        assert not learner.rebuilding


def test_one_name_typed_on_two_systems_is_one_class(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        learner.teach(embedding(1), "caf\u00e9", source="test")
        learner.teach(embedding(2), "cafe\u0301", source="test")
        assert learner.labels == ("caf\u00e9",)


class SlowNetwork(SimpleNetwork):
    """Waits in the middle of a replay until the test has seen what it wanted to see."""

    started = threading.Event()
    go_on = threading.Event()
    slow = False
    learnt = 0

    def learn_many(self, counts: np.ndarray, labels: object) -> None:
        if SlowNetwork.slow:
            SlowNetwork.learnt += len(counts) > 100  # chunks, more or less
            self.started.set()
            assert self.go_on.wait(30)
        super().learn_many(counts, labels)  # type: ignore[arg-type]


class SlowFactory(SimpleFactory):
    """Makes SlowNetworks."""

    def new(self) -> SimpleNetwork:
        return SlowNetwork()


@pytest.fixture
def slow_learner(tmp_path: Path) -> Learner:
    SlowNetwork.started, SlowNetwork.go_on, SlowNetwork.slow = threading.Event(), threading.Event(), False
    SlowNetwork.learnt = 0
    learner = open_learner(tmp_path, factory=SlowFactory())
    fill(learner)
    SlowNetwork.slow = True
    yield learner
    SlowNetwork.go_on.set()
    learner.close()


def test_decisions_and_teaching_go_on_while_the_network_is_rebuilt(slow_learner: Learner, tmp_path: Path) -> None:
    old = slow_learner.network_state()
    slow_learner.forget_class("mug", background=True)
    assert SlowNetwork.started.wait(30)
    assert slow_learner.rebuilding
    assert slow_learner.network_state() == old
    assert slow_learner.classify(embedding(100, 0)).label == "mug"
    slow_learner.teach(embedding(60, 7), "key", source="test")
    assert slow_learner.labels == ("mug", "pen", "cup", "key")
    SlowNetwork.go_on.set()
    slow_learner.wait()
    assert not slow_learner.rebuilding
    assert slow_learner.labels == ("pen", "cup", "key")
    assert slow_learner.network_state() == clean_replay(tmp_path)


def test_a_correction_during_a_rebuild_makes_it_start_again(slow_learner: Learner, tmp_path: Path) -> None:
    slow_learner.forget_class("mug", background=True)
    assert SlowNetwork.started.wait(30)
    swapped: list[tuple[str, ...]] = []
    replace = slow_learner._live.replace
    slow_learner._live.replace = lambda trained: (swapped.append(trained.network.labels), replace(trained))[1]  # type: ignore[method-assign]
    slow_learner.rename_class("pen", "pencil", background=True)
    SlowNetwork.go_on.set()
    slow_learner.wait()
    assert swapped == [("pencil", "cup")]  # never a network of half the one journal, half the other
    assert slow_learner.labels == ("pencil", "cup")
    assert slow_learner.network_state() == clean_replay(tmp_path)


def test_closing_gives_a_rebuild_up_and_the_next_start_does_it(slow_learner: Learner, tmp_path: Path) -> None:
    slow_learner.forget_class("mug", background=True)
    assert SlowNetwork.started.wait(30)
    closing = threading.Thread(target=slow_learner.close)
    closing.start()
    SlowNetwork.go_on.set()
    closing.join(30)
    assert not closing.is_alive()
    with open_learner(tmp_path) as learner:
        assert learner.labels == ("pen", "cup")
        assert learner.network_state() == clean_replay(tmp_path)


def news(count: int, kind: int = 5) -> list[NewExample]:
    """Examples as an import brings them."""
    return [NewExample(embedding(200 + i, kind).tobytes(), f"new {i % 8}", i, "file", None) for i in range(count)]


def test_an_import_is_learnt_in_the_order_of_the_journal_and_undone_as_one(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        fill(learner)
        before = learner.network_state()
        steps: list[tuple[int, int] | None] = [learner.rebuild_progress]
        learner._rebuilder._told = lambda done, total: steps.append(learner.rebuild_progress)
        action = learner.import_examples(news(600))
        assert action is not None
        assert learner.network_state() == clean_replay(tmp_path)
        assert steps == [None, *((done, 612) for done in [*range(CHUNK, 612, CHUNK), 612])]
        assert learner.rebuild_progress is None
        assert learner.import_examples(news(600)) is None
        assert learner.undo() == action
        assert learner.network_state() == before == clean_replay(tmp_path)


def test_presses_and_decisions_go_on_while_an_import_is_learnt(slow_learner: Learner, tmp_path: Path) -> None:
    slow_learner.import_examples(news(600), background=True)
    assert SlowNetwork.started.wait(30)
    assert slow_learner.rebuilding
    assert slow_learner.rebuild_progress == (0, 612)
    taught = slow_learner.teach(embedding(60, 7), "key", source="test")  # would wait for ever for the import
    assert taught.before.labels == ("mug", "pen", "cup")
    for i in range(62, 66):
        slow_learner.teach(embedding(i, 7), "key", source="test")
    assert slow_learner.labels == ("mug", "pen", "cup", "key")
    assert slow_learner.classify(embedding(61, 7)).label == "key"
    slow_learner.relabel(taught.example_id, "door", background=True)
    SlowNetwork.go_on.set()
    slow_learner.wait()
    assert slow_learner.labels == ("mug", "pen", "cup", *(f"new {i}" for i in range(8)), "door", "key")
    assert slow_learner.network_state() == clean_replay(tmp_path)


@pytest.mark.parametrize("background", [False, True])
def test_closing_gives_up_what_an_import_has_to_learn_and_the_next_start_does_it(
    slow_learner: Learner, tmp_path: Path, background: bool
) -> None:
    importing = threading.Thread(target=lambda: slow_learner.import_examples(news(20 * CHUNK), background=background))
    importing.start()
    assert SlowNetwork.started.wait(30)
    taught = slow_learner.teach(embedding(60, 7), "key", source="test").example_id
    closing = threading.Thread(target=slow_learner.close)
    closing.start()
    assert slow_learner._rebuilder._stopping.wait(30)
    SlowNetwork.go_on.set()
    closing.join(30)
    importing.join(30)
    assert SlowNetwork.learnt <= 2, "it ended with the chunk that it was at"
    with open_learner(tmp_path) as learner:
        assert len(learner.examples()) == 12 + 20 * CHUNK + 1
        assert learner.examples()[-1].id == taught
        assert learner.network_state() == clean_replay(tmp_path)


def test_closing_refuses_an_import_that_is_not_stored_yet(tmp_path: Path) -> None:
    read, go_on, failures = threading.Event(), threading.Event(), []

    def thumbnail(index: int) -> bytes:
        read.set()
        assert go_on.wait(30)
        return b"picture"

    def import_examples() -> None:
        try:
            learner.import_examples(news(50), thumbnail=thumbnail)
        except StateNotWritable as error:
            failures.append(str(error))

    learner = open_learner(tmp_path)
    fill(learner)
    importing, closing = threading.Thread(target=import_examples), threading.Thread(target=learner.close)
    importing.start()
    assert read.wait(30)
    closing.start()
    assert learner._importer._closed.wait(30)
    go_on.set()
    closing.join(30)
    importing.join(30)
    assert "nothing was imported" in failures[0]
    with open_learner(tmp_path) as learner:
        assert len(learner.examples()) == 12
        assert learner.forgotten() == []
        assert learner.network_state() == clean_replay(tmp_path)


def test_presses_go_on_while_an_import_is_stored_and_undo_takes_each_back_by_itself(tmp_path: Path) -> None:
    learner = open_learner(tmp_path)
    fill(learner, 6)
    taught: list[int] = []

    def thumbnail(index: int) -> bytes:
        if index % PIECE == 0:  # between two pieces
            taught.append(learner.teach(embedding(200 + index, 7), "key", source="button").example_id)
            assert learner.classes().get("news", 0) == 0, "nobody sees half an import"
            assert learner.network_state() == clean_replay(tmp_path)
        return b"picture %d" % index

    def examples() -> list[NewExample]:
        return [new._replace(label="news") for new in news(3 * PIECE)]

    with learner:
        action = learner.import_examples(examples(), thumbnail=thumbnail)
        assert action is not None
        assert len(action.changes) == 3 * PIECE
        assert learner.classes() == {"mug": 2, "pen": 2, "cup": 2, "key": 3, "news": 3 * PIECE}
        assert [example.label for example in learner.examples()[6:]] == (["key"] + ["news"] * PIECE) * 3
        assert learner.network_state() == clean_replay(tmp_path)
        assert learner.thumbnail(action.changes[5].example) == b"picture 5"
        assert learner.undo() == action
        assert "news" not in learner.classes()
        assert learner.forgotten() == []
        assert learner.network_state() == clean_replay(tmp_path)
        assert learner.undo().changes[0].example == taught[-1]
    with open_learner(tmp_path) as learner:
        assert len(learner.examples()) == 8


@pytest.mark.parametrize("failing", [5, PIECE + 5, 2 * PIECE + 5])
def test_an_import_that_fails_in_any_piece_leaves_nothing(tmp_path: Path, failing: int) -> None:
    def thumbnail(index: int) -> bytes:
        if index == failing:
            raise InputError("the picture is damaged")
        return b"picture"

    with open_learner(tmp_path) as learner:
        fill(learner, 6)
        before = learner.network_state(), learner.examples(), learner.history()
        with pytest.raises(InputError, match=f"example {failing}: the picture is damaged; nothing was imported"):
            learner.import_examples(news(3 * PIECE), thumbnail=thumbnail)
        assert (learner.network_state(), learner.examples(), learner.history()) == before
        assert learner.forgotten() == []
        assert learner._store._all("SELECT COUNT(*) FROM thumbnails") == [(0,)]
        learner.import_examples(news(3 * PIECE))
        assert learner.network_state() == clean_replay(tmp_path)


def test_what_an_import_left_that_was_killed_goes_with_the_next_start(tmp_path: Path) -> None:
    live = tmp_path / "live"

    def thumbnail(index: int) -> bytes:
        if index == 2 * PIECE:
            shutil.copytree(live, tmp_path / "killed")
        return b"picture"

    with open_learner(live) as learner:
        fill(learner, 6)
        learner.forget_example(2)
        before = learner.network_state()
        learner.import_examples(news(3 * PIECE), thumbnail=thumbnail)
    with open_learner(tmp_path / "killed", read_only=True) as reader:
        assert (reader.network_state(), len(reader.examples())) == (before, 5)
    with open_learner(tmp_path / "killed") as learner:
        assert learner.network_state() == before == clean_replay(tmp_path / "killed")
        assert learner.forgotten() == [2], "this one undo can bring back"
        assert learner._store._all("SELECT COUNT(*) FROM thumbnails") == [(0,)]
        learner.undo()
        assert len(learner.examples()) == 6


def test_an_import_that_loses_its_room_to_what_is_taught_meanwhile_is_given_up(tmp_path: Path) -> None:
    learner = open_learner(tmp_path)

    def thumbnail(index: int) -> bytes:
        if index == PIECE + 1:
            learner._store.purge(learner._store.forgotten())  # as a press in a full folder does
        return b"picture"

    with learner:
        fill(learner, 6)
        with pytest.raises(StateNotWritable, match="became full: nothing was imported"):
            learner.import_examples(news(2 * PIECE), thumbnail=thumbnail)
        assert len(learner.examples()) == 6
        assert learner.network_state() == clean_replay(tmp_path)


def test_an_import_says_nothing_for_this_device(tmp_path: Path) -> None:
    told = Prediction("mug", 1, 5000, 4000, 3)
    sources = ["page #0123456789abcdef", "import: page", "a\ud800", "\x1b[2J\x1b]0;x\x07"]
    times = [5, -3, 1 << 62, 999]
    examples = [
        NewExample(embedding(i, i).tobytes(), "mug", times[i], sources[i], before=told) for i in range(len(sources))
    ]
    with open_learner(tmp_path, clock=lambda: 1000) as learner:
        learner.import_examples(examples)
        found = learner.examples()
    assert [one.source for one in found] == [
        "import: page #0123456789abcdef",
        "import: page",
        "import: a\\ud800",
        "import: \\u001b[2J\\u001b]0;x\\u0007",
    ]
    assert [one.request for one in found] == [None] * 4
    assert [one.before for one in found] == [None] * 4
    assert [one.time_ns for one in found] == [5, 1000, 1000, 999]
    with open_learner(tmp_path) as learner:
        learner.teach(embedding(9), "mug", source="page #0123456789abcdef")
        assert learner.examples()[-1].request == "0123456789abcdef"


def test_thumbnails_of_an_import_get_the_size_of_the_encoder_s_input(tmp_path: Path) -> None:
    from PIL import Image

    def jpeg(side: int, quality: int = 90) -> bytes:
        stream = io.BytesIO()
        noise = np.random.default_rng(side).integers(0, 255, (side, side, 3), np.uint8)
        Image.fromarray(noise).save(stream, "JPEG", quality=quality)
        return stream.getvalue()

    pictures = [jpeg(64, 50), jpeg(200), jpeg(64, 100), None]
    with open_learner(tmp_path, thumbnail_side=64) as learner:
        learner.import_examples(news(4), thumbnail=lambda index: pictures[index])
        stored = [learner.thumbnail(example.id) for example in learner.examples()]
        assert stored[0] == pictures[0]
        assert stored[3] is None
        for picture in stored[1:3]:
            assert picture is not None
            assert Image.open(io.BytesIO(picture)).size == (64, 64)
            assert len(picture) < 64 * 64 * 2
        for bad in (b"no picture", jpeg(64)[:-300], b"\x89PNG\r\n\x1a\n" + bytes(100)):
            with pytest.raises(InputError, match=r"example 0: a thumbnail|example 0: image data"):
                learner.import_examples([news(6)[-1]], thumbnail=lambda index, bad=bad: bad)
        assert len(learner.examples()) == 4


def test_a_press_does_not_wait_for_ever_for_a_piece_that_a_slow_disk_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, go_on = threading.Event(), threading.Event()
    stage = Store.stage

    def slow(*arguments: object) -> dict[int, int]:
        read.set()
        assert go_on.wait(30)
        return stage(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "stage", slow)
    with open_learner(tmp_path) as learner:
        fill(learner)
        learner._patience_s = 0.01
        importing = threading.Thread(target=lambda: learner.import_examples(news(50)))
        importing.start()
        assert read.wait(30)
        for ask in (
            lambda: learner.teach(embedding(60, 7), "key", source="test"),
            lambda: learner.undo(),
            lambda: learner.history(),
        ):
            with pytest.raises(StateBusy, match="to store something else"):
                ask()
        assert learner.classify(embedding(100, 1)).label == "pen"
        go_on.set()
        importing.join(30)
        learner._patience_s = 30
        learner.teach(embedding(60, 7), "key", source="test")
        assert len(learner.examples()) == 63
        assert learner.network_state() == clean_replay(tmp_path)


class FailingFactory(SimpleFactory):
    """Cannot make a network when it is told to fail."""

    fail = False

    def new(self) -> SimpleNetwork:
        if self.fail:
            raise MemoryError("no room for a second network")
        return super().new()


def test_a_failed_rebuild_is_seen_and_the_next_one_heals(tmp_path: Path) -> None:
    factory = FailingFactory()
    with open_learner(tmp_path, factory=factory) as learner:
        fill(learner)
        factory.fail = True
        learner.forget_class("mug", background=True)
        with pytest.raises(MemoryError, match="no room"):
            learner.wait()
        assert isinstance(learner.failure, MemoryError)
        assert learner.rebuilding
        assert learner.classify(embedding(100, 1)).label == "pen"
        factory.fail = False
        learner.undo(background=True)
        learner.wait()
        assert learner.failure is None
        assert learner.network_state() == clean_replay(tmp_path)


class StumblingNetwork(SimpleNetwork):
    """Fails once, half-way through learning."""

    stumble = False

    def learn_one(self, counts: np.ndarray, label: str) -> None:
        if StumblingNetwork.stumble:
            self.stream += 1
            StumblingNetwork.stumble = False
            raise MemoryError("in the middle of learning")
        super().learn_one(counts, label)


class StumblingFactory(SimpleFactory):
    """Makes StumblingNetworks."""

    def new(self) -> SimpleNetwork:
        return StumblingNetwork()


def test_an_example_that_was_stored_but_half_learnt_is_put_right_by_replay(tmp_path: Path) -> None:
    with open_learner(tmp_path, factory=StumblingFactory()) as learner:
        fill(learner)
        StumblingNetwork.stumble = True
        with pytest.raises(MemoryError):
            learner.teach(embedding(70, 1), "pen", source="test")
        learner.wait()
        assert len(learner.examples()) == 13
        assert learner.network_state() == clean_replay(tmp_path)


def test_teaching_and_classifying_from_many_threads(tmp_path: Path) -> None:
    failures: list[BaseException] = []
    done = threading.Event()

    def guarded(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 the test reports it
            failures.append(error)

    with open_learner(tmp_path, snapshot_every=10) as learner:

        def classify() -> None:
            while not done.is_set():
                decision = learner.classify(embedding(5, 1))
                assert len(decision.labels) == len(decision.spikes)

        def teach(kind: int) -> None:
            for i in range(30):
                learner.teach(embedding(i, kind), KINDS[kind], source="test")
                if i % 10 == 9:
                    learner.forget_example(learner.examples(KINDS[kind])[0].id, background=i % 20 == 9)

        readers = [threading.Thread(target=guarded, args=(classify,)) for _ in range(2)]
        writers = [threading.Thread(target=guarded, args=(lambda kind=kind: teach(kind),)) for kind in range(3)]
        for thread in readers + writers:
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        for thread in readers:
            thread.join()
        learner.wait()
        assert failures == []
        assert len(learner.examples()) == 81
        assert learner.network_state() == clean_replay(tmp_path)


def test_snapshots_are_saved_on_the_way_and_two_are_kept(tmp_path: Path) -> None:
    with open_learner(tmp_path, snapshot_every=5) as learner:
        for i in range(4):
            fill(learner, 6)
            assert learner._saver._thread is not None
            learner._saver.wait()
            assert len(list((tmp_path / "snapshots").iterdir())) == min(i + 1, 2)


def test_opening_and_closing_without_a_change_writes_nothing(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        fill(learner)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with open_learner(tmp_path) as learner:
        learner.classify(embedding(1))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_clock_may_jump_backwards(tmp_path: Path) -> None:
    times = iter([5_000, 4_000, 1, 10**18, 7])
    with open_learner(tmp_path, clock=lambda: next(times)) as learner:
        ids = [learner.teach(embedding(i, i), f"class {i}", source="test").example_id for i in range(5)]
        assert [example.time_ns for example in learner.examples()] == [5_000, 4_000, 1, 10**18, 7]
        assert [example.id for example in learner.examples()] == ids == sorted(ids)
        before = learner.network_state()
    with open_learner(tmp_path) as learner:
        assert learner.labels == tuple(f"class {i}" for i in range(5))
        assert learner.network_state() == before == clean_replay(tmp_path)
        assert learner.undo().changes[0].example == ids[-1]


def test_a_second_learner_is_refused_and_a_reader_is_not(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        fill(learner)
        with pytest.raises(StateBusy, match="process"):
            open_learner(tmp_path)
        with open_learner(tmp_path, read_only=True) as reader:
            assert reader.network_state() == learner.network_state()
            learner.teach(embedding(3, 1), "pen", source="test")
            assert reader.classify(embedding(3, 1)).label == "pen"
            with pytest.raises(StateNotWritable, match="opened read-only"):
                reader.teach(embedding(3, 1), "pen", source="test")
            with pytest.raises(StateNotWritable, match="opened read-only"):
                reader.undo()
            assert len(reader.examples()) == 12
        assert len(learner.examples()) == 13
    open_learner(tmp_path).close()


def test_reading_a_folder_that_was_never_taught_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="edge-app teach"):
        open_learner(tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_learner_refuses_changes(tmp_path: Path) -> None:
    learner = open_learner(tmp_path)
    fill(learner)
    learner.close()
    learner.close()
    with pytest.raises(StateNotWritable, match="closed"):
        learner.teach(embedding(1), "mug", source="test")
    assert learner.classify(embedding(100, 0)).label == "mug"


def test_purging_leaves_nothing_behind(tmp_path: Path) -> None:
    secret = b"S3CRET-PICTURE" * 20
    with open_learner(tmp_path) as learner:
        fill(learner)
        gone = learner.teach(embedding(55, 4), "face", source="camera-of-a-person", thumbnail=secret).example_id
        learner.save()
        learner.forget_class("face")
        assert learner.forgotten() == [gone]
        learner.purge([gone])
        assert learner.forgotten() == []
        assert all(change.example != gone for action in learner.history() for change in action.changes)
        kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
        assert b"S3CRET" not in kept
        assert b"camera-of-a-person" not in kept
        assert embedding(55, 4).tobytes() not in kept
        assert learner.network_state() == clean_replay(tmp_path)
        assert learner.undo().kind == "teach"


def test_a_snapshot_that_was_saved_after_something_was_forgotten_stays_when_that_goes_for_good(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        fill(learner, 3)
        learner.teach(embedding(55, 4), "face", source="test")
        learner.save()
        learner.forget_class("face")
        for i in range(HISTORY - 1):
            learner.teach(embedding(i, 1), "pen", source="test")
        learner.save()
        assert len(list((tmp_path / "snapshots").iterdir())) == 2
        learner.teach(embedding(1, 1), "pen", source="test")
        (kept,) = (tmp_path / "snapshots").iterdir()
        assert b"face" not in kept.read_bytes()
        factory = learner._rebuilder._factory
        learner.undo()
        assert factory.loaded == 1, "it is of use"
        assert learner.network_state() == clean_replay(tmp_path)


def test_what_goes_for_good_by_its_age_goes_from_the_snapshots_too(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        fill(learner, 3)
        learner.teach(embedding(55, 4), "face", source="test")
        learner.save()
        learner.forget_class("face")
        for i in range(HISTORY - 1):
            learner.teach(embedding(i, 1), "pen", source="test")
        assert any(b"face" in file.read_bytes() for file in (tmp_path / "snapshots").iterdir()), "undo may need it"
        learner.teach(embedding(1, 1), "pen", source="test")
        assert learner.forgotten() == []
        assert list((tmp_path / "snapshots").iterdir()) == []
        learner.save()
    assert not any(b"face" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


@pytest.mark.parametrize("fits", [True, False])
def test_what_goes_for_good_for_want_of_room_goes_from_the_snapshots_too(tmp_path: Path, fits: bool) -> None:
    picture = np.random.default_rng(0).bytes(60_000)
    with open_learner(tmp_path, limits=StateConfig(disk_mb=1)) as learner:
        learner.teach(embedding(55, 4), "face", source="test", thumbnail=picture)
        for kept in range(13):
            learner.teach(embedding(kept, kept % 2), "mug", source="test", thumbnail=picture)
        learner.save()
        learner.forget_class("face")
        assert any(b"face" in file.read_bytes() for file in (tmp_path / "snapshots").iterdir())
        if fits:
            learner.teach(embedding(50), "mug", source="test", thumbnail=3 * picture)
        else:
            with pytest.raises(StateNotWritable, match="is full"):
                learner.teach(embedding(50), "mug", source="test", thumbnail=9 * picture)
        assert learner.forgotten() == []
        assert list((tmp_path / "snapshots").iterdir()) == []
        assert learner.network_state() == clean_replay(tmp_path)


def test_a_full_class_refuses(tmp_path: Path) -> None:
    with open_learner(tmp_path, limits=StateConfig(examples_per_class=4)) as learner:
        fill(learner)
        before = learner.network_state()
        with pytest.raises(StateNotWritable, match=r"'mug' is full: 4 .* the cap is 4 .*replace-oldest"):
            learner.teach(embedding(99, 0), "mug", source="test")
        assert learner.network_state() == before
        learner.teach(embedding(99, 5), "key", source="test")


def test_a_full_class_loses_its_oldest_as_if_it_had_never_been(tmp_path: Path) -> None:
    with open_learner(tmp_path, limits=StateConfig(examples_per_class=4, when_full="replace-oldest")) as learner:
        fill(learner)
        before = learner.network_state()
        learner.teach(embedding(99, 0), "mug", source="test")
        learner.wait()
        shown = [(embedding(i, i % 3), KINDS[i % 3]) for i in range(1, 12)]
        assert learner.network_state() == taught_only([*shown, (embedding(99, 0), "mug")]) == clean_replay(tmp_path)
        assert learner.classes() == {"pen": 4, "cup": 4, "mug": 4}
        learner.undo()
        assert learner.network_state() == before


def test_several_fit_into_a_full_class_as_one_would(tmp_path: Path) -> None:
    several = [Sample(embedding(90 + i)) for i in range(3)]
    with open_learner(tmp_path, limits=StateConfig(examples_per_class=4)) as learner:
        fill(learner)
        with pytest.raises(StateNotWritable, match="'mug' is full: 4 examples are stored, 3 would come"):
            learner.teach_many(several, "mug", source="test")
        learner.limits = StateConfig(examples_per_class=4, when_full="replace-oldest")
        learner.teach_many(several, "mug", source="test")
        learner.wait()
        assert learner.classes() == {"pen": 4, "cup": 4, "mug": 4}
        assert learner.network_state() == clean_replay(tmp_path)
        learner.limits = StateConfig(examples_per_class=2, when_full="replace-oldest")
        with pytest.raises(StateNotWritable, match="the cap is 2"):
            learner.teach_many(several, "mug", source="test")


def test_several_into_a_full_folder_let_as_many_of_the_largest_classes_go(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).bytes(60_000)
    with open_learner(tmp_path, limits=StateConfig(disk_mb=1, when_full="replace-oldest")) as learner:
        for kept in range(14):
            learner.teach(embedding(kept, kept % 2), KINDS[kept % 3 == 0], source="test", thumbnail=picture)
        learner.wait()
        before = learner.classes()
        several = [Sample(embedding(90 + i), picture) for i in range(4)]
        learner.teach_many(several, "key", source="test")
        learner.wait()
        after = learner.classes()
        assert after["key"] == 4
        assert sum(before.values()) == sum(after.values())
        assert after["mug"] == before["mug"] - 4  # nine of them, five pens: the largest all along
        assert learner.network_state() == clean_replay(tmp_path)


def test_a_full_folder(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).bytes(60_000)
    with open_learner(tmp_path, limits=StateConfig(disk_mb=1)) as learner:
        for kept in range(12):
            learner.teach(embedding(kept, kept % 2), KINDS[kept % 3 == 0], source="test", thumbnail=picture)
        with pytest.raises(StateNotWritable, match="the cap is 1048576"):  # noqa: PT012 which of the six is the page size's
            for kept in range(6):
                learner.teach(embedding(kept, kept % 2), KINDS[kept % 3 == 0], source="test", thumbnail=picture)
        learner.forget_example(learner.examples()[0].id)
        learner.teach(embedding(50), "mug", source="test", thumbnail=picture)
        assert learner.forgotten() == []  # what undo alone needed went first
        learner.limits = StateConfig(disk_mb=1, when_full="replace-oldest")
        counts = learner.classes()
        assert counts["mug"] != counts["pen"]
        oldest = learner.examples(max(counts, key=lambda label: counts[label]))[0].id
        learner.teach(embedding(52), min(counts, key=lambda label: counts[label]), source="test", thumbnail=picture)
        learner.wait()
        assert oldest not in [example.id for example in learner.examples()]
        assert learner.network_state() == clean_replay(tmp_path)


@pytest.mark.parametrize("values", [{"examples_per_class": 0}, {"disk_mb": 0}, {"when_full": "explode"}])
def test_limits_out_of_range_are_refused_by_name(values: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(values))):
        StateConfig(**values)  # type: ignore[arg-type]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["teach"] * 6 + ["undo", "relabel", "forget", "class", "rename", "merge", "again", "reopen"]),
        st.integers(0, 7),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS)
def test_any_sequence_of_actions_leaves_what_a_clean_replay_gives(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]]
) -> None:
    for folder in folder_in_memory(tmp_path_factory):
        _follow(folder, operations)


def _follow(folder: Path, operations: list[tuple[str, int]]) -> None:  # noqa: C901 one branch an action
    learner = open_learner(folder, snapshot_every=3)
    model: list[tuple[int, str]] = []
    history: list[list[tuple[int, str]]] = []
    twice = False
    try:
        for name, number in operations:
            labels = list(dict.fromkeys(label for _, label in model))
            pick = model[number % len(model)] if model else None
            before = list(model)
            if name == "teach":
                seed = zlib.crc32(str((len(history), number)).encode())
                taught = learner.teach(embedding(seed, number), f"c{number % 4}", source="test")
                model.append((taught.example_id, f"c{number % 4}"))
            elif name == "undo" and history:
                learner.undo(background=bool(number % 2))
                model = history.pop()
                continue
            elif name == "relabel" and pick and pick[1] != "other":
                learner.relabel(pick[0], "other")
                model = [(i, "other" if i == pick[0] else label) for i, label in model]
            elif name == "forget" and pick:
                learner.forget_example(pick[0])
                model.remove(pick)
            elif name == "class" and labels:
                learner.forget_class(labels[number % len(labels)], background=bool(number % 2))
                model = [pair for pair in model if pair[1] != labels[number % len(labels)]]
            elif name == "rename" and labels and "new" not in labels:
                learner.rename_class(labels[-1], "new")
                model = [(i, "new" if label == labels[-1] else label) for i, label in model]
            elif name == "merge" and len(labels) > 1:
                learner.merge_classes(labels[-1], labels[0])
                model = [(i, labels[-1] if label == labels[0] else label) for i, label in model]
            elif name == "again" and pick:
                present_again(learner, [pick[0]])
                twice = True
                continue
            else:
                if name == "reopen":
                    learner.close()
                    learner = open_learner(folder, snapshot_every=3)
                continue
            history.append(before)
        learner.wait()
        assert [(example.id, example.label) for example in learner.examples()] == model
        assert learner.network_state() == clean_replay(folder)
        if not twice:
            values = dict.fromkeys(i for i, _ in model)
            for i in values:
                values[i] = np.frombuffer(learner._store.embedding(i), np.uint8)
            assert learner.network_state() == taught_only([(values[i], label) for i, label in model])
    finally:
        learner.close()


def test_the_rate_code_of_the_tests_is_in_range() -> None:
    assert rate_code(np.array([0, 24, 25, 255], np.uint8)).tolist() == [0, 0, 1, 10]


class LateStore(Store):
    """Somebody teaches just when a rebuild has read the journal to its end."""

    late = None

    def journal(self, after: int = 0, limit: int = -1) -> list[Entry]:
        entries = super().journal(after, limit)
        if not entries and LateStore.late is not None:
            late, LateStore.late = LateStore.late, None
            late()
        return entries


def test_what_is_taught_at_the_very_end_of_a_rebuild_is_not_missed(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        fill(learner)
    shutil.rmtree(tmp_path / "snapshots")  # looking whether one fits reads to the end as well
    store = LateStore.open(database_path(tmp_path))
    with Learner(store, Snapshots(tmp_path / "snapshots"), rate_code, SimpleFactory()) as learner:
        LateStore.late = lambda: learner.teach(embedding(60, 7), "key", source="test")
        learner.forget_class("mug")
        assert LateStore.late is None
        assert learner.labels == ("pen", "cup", "key")
        assert learner.network_state() == clean_replay(tmp_path)


class SlowStore(Store):
    """A disk that takes its time: a commit waits until the test lets it go."""

    begun = threading.Event()
    go_on = threading.Event()

    def commit(self, *args: object, **how: object) -> Action:  # type: ignore[override]
        self.begun.set()
        assert self.go_on.wait(30)
        return super().commit(*args, **how)  # type: ignore[arg-type]


def test_a_decision_never_waits_for_the_disk(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        fill(learner)
    store = SlowStore.open(database_path(tmp_path))
    with Learner(store, Snapshots(tmp_path / "snapshots"), rate_code, SimpleFactory()) as learner:
        teaching = threading.Thread(target=lambda: learner.teach(embedding(80, 6), "key", source="test"))
        teaching.start()
        assert SlowStore.begun.wait(30)
        assert learner.classify(embedding(100, 1)).label == "pen"  # would wait for ever
        assert learner.labels == ("mug", "pen", "cup")  # not learnt before it is stored
        SlowStore.go_on.set()
        teaching.join(30)
        assert learner.labels == ("mug", "pen", "cup", "key")


def test_what_a_power_cut_left_is_removed_at_the_start(tmp_path: Path) -> None:
    open_learner(tmp_path).close()
    kept = {path.name for path in tmp_path.iterdir()} | {".kept", "damaged-1", "before-rebuild-1-abc.sqlite"}
    for name in (".export-abc", ".export-abc.part", ".import-abc", ".kept", "examples.sqlite.new-wal",
                 "before-rebuild-1-abc.sqlite", "before-rebuild-2-abc.tmp"):  # fmt: skip
        (tmp_path / name).write_bytes(b"half")
    for name in ("recovery.tmp", "damaged-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "examples.sqlite").write_bytes(b"half")
    open_learner(tmp_path, read_only=True).close()
    assert (tmp_path / ".export-abc").exists(), "a reader removes nothing"
    open_learner(tmp_path).close()
    assert {path.name for path in tmp_path.iterdir()} == kept


def modes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mode & 0o777
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077])
def test_other_accounts_cannot_read_what_was_taught_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with open_learner(tmp_path / "state") as learner:
            fill(learner)
            learner.save()
            found = modes(tmp_path / "state")
            assert {"examples.sqlite", "examples.sqlite-wal", "examples.sqlite-shm", "lock"} < found.keys()
    finally:
        os.umask(before)
    assert len(found) == 6
    assert all(mode & ~0o640 == 0 and mode & 0o600 == 0o600 for mode in found.values()), found
    assert (tmp_path / "state").stat().st_mode & 0o027 == 0
    assert (tmp_path / "state" / "snapshots").stat().st_mode & 0o027 == 0


def test_files_of_an_older_edge_app_are_taken_from_other_accounts(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        fill(learner)
    for path in tmp_path.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    open_learner(tmp_path, read_only=True).close()
    assert set(modes(tmp_path).values()) >= {0o666}
    open_learner(tmp_path).close()
    found = {name: mode for name, mode in modes(tmp_path).items() if name != "lock"}
    assert set(found.values()) == {0o640}
