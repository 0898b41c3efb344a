"""The run: the pipeline's stages, stepped through a script."""

from typing import Any

import numpy as np
import pytest

from edge_app.demo.run import DecidedShot, DemoEvent, TaughtShot, UndoneShot
from edge_app.demo.script import ADDED, SLIP, TAUGHT, UNDO
from edge_app.devices.ports import NS_PER_S
from edge_app.errors import DeviceError


def test_every_frame_is_decided_and_every_press_learnt(make_setup: Any) -> None:
    setup = make_setup(shots=2, frames=8)
    events = setup.play()
    assert sum(isinstance(event, DecidedShot) for event in events) == len(setup.script.beats)
    taught = [event for event in events if isinstance(event, TaughtShot)]
    assert len(taught) == 2 * len(TAUGHT) + 2
    assert len(setup.learner.examples()) == 2 * len(TAUGHT) + 1
    assert setup.learner.labels[-1] == ADDED
    assert len(setup.indicator.shown) == len(setup.script.beats)
    assert [signal for _, signal in setup.indicator.blinks] == ["learnt"] * len(taught) + ["undone"]


def test_what_is_learnt_is_stored_as_on_a_device(make_setup: Any) -> None:
    setup = make_setup(shots=1, frames=1)
    setup.play()
    stored = setup.learner.examples()
    assert {example.source for example in stored} == {f"button {name}" for name in (*TAUGHT, "new")}
    assert all(example.has_thumbnail for example in stored)
    assert [example.before is not None for example in stored] == [True] * len(stored)


def test_a_press_teaches_the_frame_shown_at_the_press(events: list[DemoEvent]) -> None:
    newest = None
    for event in events:
        if isinstance(event, DecidedShot):
            newest = event
        elif isinstance(event, TaughtShot) and event.beat.chapter == "teach":
            assert event.frame is newest.frame
            assert event.beat.shot.name == event.event.label == newest.beat.shot.name
            assert event.before is newest.event.decision
            assert event.event.before == event.before.label


def test_the_press_comes_before_the_next_decision(events: list[DemoEvent]) -> None:
    kinds = [type(event) for event in events if event.beat.chapter == "teach"]
    assert kinds == [DecidedShot, TaughtShot] * (len(kinds) // 2)


def test_the_slip_is_taken_back_exactly(events: list[DemoEvent]) -> None:
    slip = next(event for event in events if isinstance(event, TaughtShot) and event.beat.chapter == "slip")
    undone = next(event for event in events if isinstance(event, UndoneShot))
    assert (slip.beat.shot.name, slip.event.label) == SLIP
    assert undone.exact
    assert not np.array_equal(undone.taught.spikes, undone.before.spikes)
    changed = undone._replace(after=undone.taught)
    assert not changed.exact


def test_a_frame_is_timed_stage_by_stage(events: list[DemoEvent]) -> None:
    decided = next(event for event in events if isinstance(event, DecidedShot))
    assert decided.ms == (2.0, 2.0, 2.0)
    assert decided.ms.total == 6.0


def test_the_same_seed_is_the_same_run(make_setup: Any) -> None:
    runs = []
    for seed in (3, 3, 4):
        decided = [event for event in make_setup(seed=seed).play() if isinstance(event, DecidedShot)]
        runs.append([(e.event.time_ns, e.beat.shot.name, e.event.label, *e.event.decision.spikes) for e in decided])
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0][1][0] - runs[0][0][0] == pytest.approx(NS_PER_S, abs=NS_PER_S // 5)


def test_a_script_that_asks_for_the_impossible_is_refused(make_setup: Any) -> None:
    setup = make_setup(shots=1, frames=1)
    setup.run.pipeline.buttons._buttons.press(UNDO, at_ns=setup.script.start_ns + NS_PER_S // 2)
    with pytest.raises(DeviceError, match="the script is wrong"):
        setup.play()
