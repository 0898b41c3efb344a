"""Dreams: chosen by what is stored alone, bounded, and gone with their examples as if there had never been any."""

import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_app.config import ConsolidationConfig, StateConfig
from edge_app.errors import StateCorrupt, StateNotWritable
from edge_app.learner import Learner
from edge_app.learner.consolidation import ReplayTask, choose, left, scattered, schedule, schedule_new
from edge_app.learner.learner import MAX_REHEARSALS
from edge_app.storage.folder import database_path
from edge_app.storage.records import Dream, Kind, ReplayCandidate
from edge_app.storage.recovery import recover
from edge_app.storage.store import Store
from support.simple_network import clean_replay, embedding, export, folder_in_memory, open_learner, taught_only

CONFIG = ConsolidationConfig(dreams=2, per_class=100, rehearsals=2)
JPEG = b"a picture"


def teach(learner: Learner, seed: int, label: str, thumbnail: bytes | None = JPEG) -> int:
    return learner.teach(embedding(seed, len(label)), label, source="test", thumbnail=thumbnail).example_id


def dreamt(task: ReplayTask) -> NDArray[np.uint8]:
    """Return a stand-in for the encoder's embedding of a dream."""
    return embedding(1000 * task.example + task.number, 9)


def limited(dreams: int, per_class: int, rehearsals: int) -> ConsolidationConfig:
    return ConsolidationConfig(dreams=dreams, per_class=per_class, rehearsals=rehearsals)


def dream(learner: Learner, config: ConsolidationConfig = CONFIG) -> ReplayTask | None:
    task = learner.next_dream(config)
    if task is not None:
        if task.thumbnail is None:
            assert learner.learn_rehearsals(config, limit=1) == 1
        else:
            assert learner.learn_dream(task, dreamt(task))
    return task


def dream_all(learner: Learner, config: ConsolidationConfig = CONFIG) -> list[tuple[int, int]]:
    made = []
    while (task := dream(learner, config)) is not None:
        made.append((task.example, task.number))
    return made


# Choice


def test_the_one_with_the_fewest_dreams_comes_first_and_of_those_the_oldest() -> None:
    dreamers = [ReplayCandidate(3, "mug", 1), ReplayCandidate(4, "pen", 0), ReplayCandidate(7, "mug", 0)]
    assert choose(dreamers, {"mug": 2, "pen": 1}, CONFIG) == (4, 0, True)
    assert choose([dreamers[0], dreamers[2]], {"mug": 2}, CONFIG) == (7, 0, True)
    assert choose([ReplayCandidate(3, "mug", 2), ReplayCandidate(4, "mug", 2)], {"mug": 2}, CONFIG) is None
    assert choose([], {}, CONFIG) is None
    assert choose(dreamers, {"mug": 2, "pen": 1}, limited(0, 100, 0)) is None


def test_a_class_that_was_seen_often_enough_is_rehearsed_after_the_others_dreams() -> None:
    dreamers = [ReplayCandidate(1, "mug", 0), ReplayCandidate(2, "pen", 0)]
    assert choose(dreamers, {"mug": 10, "pen": 1}, limited(4, 10, 2)) == (2, 0, True)
    assert choose(dreamers[:1], {"mug": 10}, limited(4, 10, 2)) == (1, 0, False)
    assert choose([ReplayCandidate(2, "pen", 1)], {"pen": 9}, limited(4, 10, 2)) == (2, 1, False)
    assert choose([ReplayCandidate(2, "pen", 2)], {"pen": 9}, limited(4, 10, 2)) is None
    assert choose([ReplayCandidate(2, "pen", 2)], {"pen": 2}, limited(4, 10, 2)) == (2, 2, True)


def test_rehearsals_alternate_between_classes_that_were_taught_one_after_the_other() -> None:
    labels = {i: "mug" if i <= 50 else "pen" for i in range(1, 101)}
    order, dreamers = [], [ReplayCandidate(i, label, 0) for i, label in labels.items()]
    while (found := choose(dreamers, {"mug": 50, "pen": 50}, limited(1, 50, 1))) is not None:
        order.append(labels[found.example])
        dreamers[found.example - 1] = dreamers[found.example - 1]._replace(dreams=1)
    assert sum(label == "mug" for label in order[:40]) in range(12, 29)
    assert len({scattered(i) for i in range(10_000)}) == 10_000


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=8),
    st.integers(0, 4),
    st.integers(0, 12),
    st.integers(0, 4),
)
def test_choices_one_by_one_follow_the_schedule(
    examples: list[tuple[str, int]], per_example: int, per_class: int, rehearsals: int
) -> None:
    config = limited(per_example, per_class, rehearsals)
    dreamers = [ReplayCandidate(i, label, dreams) for i, (label, dreams) in enumerate(examples)]
    taught = {label: 1 + sum(d.label == label for d in dreamers) for label in "abc"}
    planned, made = list(schedule(dreamers, taught, config)), []
    assert left(dreamers, taught, config) == len(planned)
    while (found := choose(dreamers, taught, config)) is not None:
        assert found.number == dreamers[found.example].dreams
        dreamers[found.example] = dreamers[found.example]._replace(dreams=found.number + 1)
        made.append(found)
    assert made == planned


def test_a_new_schedule_is_that_of_a_device_whose_examples_are_numbered_from_1() -> None:
    labels, config = ["mug", "mug", "pen", "mug", "pen"], limited(2, 4, 3)
    dreamers = [ReplayCandidate(i, label, 0) for i, label in enumerate(labels, start=1)]
    expected = [(example - 1, *rest) for example, *rest in schedule(dreamers, Counter(labels), config)]
    assert schedule_new(labels, config) == expected
    assert {altered for _, _, altered in expected} == {True, False}


# Dreaming


def test_dreams_are_learnt_in_rounds_until_all_are_made(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        ids = [teach(learner, 1, "mug"), teach(learner, 2, "pen"), teach(learner, 3, "mug", thumbnail=None)]
        before = learner.network_state()
        assert learner.dreams(CONFIG) == (0, 4)
        assert dream_all(learner) == [(ids[0], 0), (ids[1], 0), (ids[0], 1), (ids[1], 1)]
        assert learner.dreams(CONFIG) == (4, 0)
        assert learner.network_state() == clean_replay(tmp_path) != before
        assert learner.next_dream(CONFIG) is None
        teach(learner, 4, "cup")
        assert learner.dreams(CONFIG) == (4, 2)
    with open_learner(tmp_path) as learner:
        assert learner.dreams(CONFIG) == (4, 2)
        assert learner.network_state() == clean_replay(tmp_path)


def test_what_was_seen_often_enough_is_rehearsed_as_it_was(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        ids = [teach(learner, seed, "mug") for seed in (1, 2)]
        made = [(ids[0], 0), (ids[1], 0)]
        made.sort(key=lambda one: scattered(one[0]))
        assert dream_all(learner, limited(1, 2, 1)) == made
        examples = [(embedding(seed, 3), "mug") for seed in (1, 2)]
        rehearsals = [(examples[one - 1][0], "mug", Kind.REHEARSAL) for one, _ in made]
        assert learner.network_state() == taught_only([*examples, *rehearsals]) == clean_replay(tmp_path)
        learner.forget_example(ids[0])
        assert learner.network_state() == taught_only([examples[1], (*examples[1], Kind.REHEARSAL)])
    with open_learner(tmp_path) as learner:
        assert learner.network_state() == clean_replay(tmp_path)
        assert learner.dreams(limited(1, 2, 1)) == (1, 0)


def test_undo_takes_the_example_back_with_its_dreams_and_nothing_else(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        first = teach(learner, 1, "mug")
        dream_all(learner)
        kept = learner.network_state()
        teach(learner, 2, "pen")
        dream_all(learner)
        learner.undo()
        assert learner.network_state() == kept == clean_replay(tmp_path)
        assert learner.dreams(CONFIG) == (2, 0)
        learner.relabel(first, "cup")
        dreams = [(dreamt(ReplayTask(first, number, JPEG)), "cup", Kind.DREAM) for number in (0, 1)]
        assert learner.network_state() == taught_only([(embedding(1, 3), "cup"), *dreams])


def test_a_forgotten_example_comes_back_with_its_dreams(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        first = teach(learner, 1, "mug")
        teach(learner, 2, "pen")
        dream_all(learner)
        before = learner.network_state()
        learner.forget_example(first)
        assert learner.dreams(CONFIG) == (2, 0)
        learner.undo()
        assert learner.network_state() == before
        assert learner.dreams(CONFIG) == (4, 0)
        learner.forget_class("mug")
        learner.purge([first])
        assert learner.dreams(CONFIG) == (2, 0)
        with Store.reader(database_path(tmp_path)) as store:
            assert {example for (example,) in store._db.execute("SELECT example FROM dreams")} == {first + 1}


def test_a_dream_whose_example_went_or_was_dreamt_of_meanwhile_is_dropped(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        teach(learner, 1, "mug")
        task = learner.next_dream(CONFIG)
        assert task is not None
        assert learner.learn_dream(task, dreamt(task))
        assert not learner.learn_dream(task, dreamt(task))
        second = learner.next_dream(CONFIG)
        assert second is not None
        learner.undo()
        before = learner.network_state()
        assert not learner.learn_dream(second, dreamt(second))
        assert learner.network_state() == before == clean_replay(tmp_path)


def test_dreams_can_be_forgotten_as_if_there_had_never_been_any(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        teach(learner, 1, "mug")
        teach(learner, 2, "pen")
        before = learner.network_state()
        made = dream_all(learner)
        dreaming = learner.network_state()
        learner.forget_dreams()
        assert learner.network_state() == before
        assert dream_all(learner) == made, "the same dreams can be dreamt again"
        assert learner.network_state() == dreaming
        assert [action.kind for action in learner.history()] == ["teach", "teach"], "undo does not know dreams"


def test_dreams_leave_half_of_the_room_to_examples(tmp_path: Path) -> None:
    with open_learner(tmp_path, limits=StateConfig(disk_mb=1)) as learner:
        teach(learner, 1, "mug", b"x" * 400_000)
        assert learner.next_dream(CONFIG) is not None
        teach(learner, 2, "mug", b"x" * 200_000)
        assert learner.next_dream(CONFIG) is None


def test_a_reader_decides_by_the_dreams_and_makes_none(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        teach(learner, 1, "mug")
        dream_all(learner)
        state = learner.network_state()
    with open_learner(tmp_path, read_only=True) as reader:
        assert reader.network_state() == state
        assert reader.dreams(CONFIG) == (2, 0)
        with pytest.raises(StateNotWritable, match="opened read-only"):
            reader.next_dream(CONFIG)
        with pytest.raises(StateNotWritable, match="opened read-only"):
            reader.forget_dreams()


def test_dreams_do_not_travel_and_do_not_stand_in_the_way(tmp_path: Path) -> None:
    with open_learner(tmp_path / "a") as learner:
        teach(learner, 1, "mug")
        export(learner._store, tmp_path / "before.zip")
        dream_all(learner)
        export(learner._store, tmp_path / "after.zip")
        first = dreamt(ReplayTask(1, 0, JPEG))
        assert learner.teach(first, "mug", source="test").example_id == 2
    assert (tmp_path / "before.zip").read_bytes() == (tmp_path / "after.zip").read_bytes()


@pytest.mark.parametrize(
    "damage", ["UPDATE dreams SET embedding = zeroblob(32)", "DELETE FROM dreams WHERE number = 1"]
)
def test_a_damaged_dream_is_noticed_and_costs_no_example(tmp_path: Path, damage: str) -> None:

    with open_learner(tmp_path) as learner:
        teach(learner, 1, "mug")
        plain = learner.network_state()
        dream_all(learner)
    db = sqlite3.connect(database_path(tmp_path))
    db.execute(damage)
    db.commit()
    db.close()
    with pytest.raises(StateCorrupt):
        open_learner(tmp_path)
    done = recover(tmp_path)
    assert done is not None
    assert (done.saved, done.lost, done.thumbnails_lost) == (1, 0, 0)
    with open_learner(tmp_path) as learner:
        assert learner.network_state() == plain
        assert learner.dreams(CONFIG) == (0, 2)


def presentation(task: ReplayTask, example: NDArray[np.uint8]) -> tuple[int, NDArray[np.uint8], Kind]:
    if task.thumbnail is None:
        return task.example, example, Kind.REHEARSAL
    return task.example, dreamt(task), Kind.DREAM


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["teach"] * 4 + ["dream"] * 5 + ["undo", "undo", "relabel", "forget", "class", "merge", "reopen"]
        ),
        st.integers(0, 7),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTIONS)
def test_after_any_actions_the_network_is_as_if_what_was_taken_back_had_never_been(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int]]
) -> None:
    for folder in folder_in_memory(tmp_path_factory):
        _follow(folder, actions)


def _follow(folder: Path, actions: list[tuple[str, int]]) -> None:
    learner = open_learner(folder, snapshot_every=3)
    shown: list[tuple[int, NDArray[np.uint8], Kind]] = []
    """Every presentation that was ever made, by its example, and as what."""
    embeddings: dict[int, NDArray[np.uint8]] = {}
    labels: dict[int, str] = {}
    history: list[dict[int, str]] = []
    try:
        for name, number in actions:
            known = list(dict.fromkeys(labels.values()))
            before = dict(labels)
            if name == "teach":
                seed = zlib.crc32(str((len(shown), number)).encode())
                values = embedding(seed, number)
                taught = learner.teach(values, f"c{number % 4}", source="test", thumbnail=JPEG)
                shown.append((taught.example_id, values, Kind.EXAMPLE))
                embeddings[taught.example_id] = values
                labels[taught.example_id] = taught.label
            elif name == "dream":
                if (task := dream(learner, limited(3, 4, 2))) is not None:
                    shown.append(presentation(task, embeddings[task.example]))
                continue
            elif name == "undo" and history:
                learner.undo(background=bool(number % 2))
                labels = history.pop()
                continue
            elif name == "relabel" and labels and (one := list(labels)[number % len(labels)]):
                if labels[one] == "other":
                    continue
                learner.relabel(one, "other", background=bool(number % 2))
                labels[one] = "other"
            elif name == "forget" and labels:
                one = list(labels)[number % len(labels)]
                learner.forget_example(one)
                del labels[one]
            elif name == "class" and known:
                learner.forget_class(known[number % len(known)])
                labels = {i: label for i, label in labels.items() if label != known[number % len(known)]}
            elif name == "merge" and len(known) > 1:
                learner.merge_classes(known[-1], known[0])
                labels = {i: known[-1] if label == known[0] else label for i, label in labels.items()}
            else:
                if name == "reopen":
                    learner.close()
                    learner = open_learner(folder, snapshot_every=3)
                continue
            history.append(before)
        learner.wait()
        expected = taught_only([(values, labels[i], kind) for i, values, kind in shown if i in labels])
        assert learner.network_state() == expected == clean_replay(folder)
    finally:
        learner.close()


def test_rehearsals_are_stored_together_and_give_the_same_network_as_one_by_one(tmp_path: Path) -> None:
    config = limited(1, 2, 3)
    states, commits = [], []
    for name, limit in (("one by one", 1), ("together", MAX_REHEARSALS)):
        with open_learner(tmp_path / name, clock=lambda: 1) as learner:
            for number in range(12):
                teach(learner, number, ("mug", "pen", "cup")[number % 3])
            count, commit = 0, learner._store.dream

            def counted(dreams: Sequence[Dream], commit: Callable[[Sequence[Dream]], None] = commit) -> None:
                nonlocal count
                count += 1
                commit(dreams)

            learner._store.dream = counted  # type: ignore[method-assign]
            while (task := learner.next_dream(config)) is not None:
                if task.thumbnail is None:
                    assert 1 <= learner.learn_rehearsals(config, limit) <= limit
                else:
                    assert learner.learn_rehearsals(config, limit) == 0, "a dream comes first"
                    assert learner.learn_dream(task, dreamt(task))
            assert learner.learn_rehearsals(config, limit) == 0
            states.append((learner.network_state(), learner._store.journal(), learner.dreams(config)))
            commits.append(count)
            assert learner.network_state() == clean_replay(tmp_path / name)
    assert states[0] == states[1]
    done = states[0][2][0]
    assert commits[0] == done
    assert commits[1] <= 1 + done // MAX_REHEARSALS + sum(entry.kind is Kind.DREAM for entry in states[0][1])
