"""The loop, with simulated parts."""

from typing import Any

import numpy as np

from edge_app.demo.device import Event, Learnt, Named, Undone, run_demo
from edge_app.demo.script import ADDED, SLIP, TAUGHT
from edge_app.devices.ports import NS_PER_S


def test_every_frame_is_named_and_every_press_learnt(make_setup: Any) -> None:
    setup, events = make_setup(shots=2, frames=8), []
    run_demo(setup.device, setup.script, events.append)
    assert sum(isinstance(event, Named) for event in events) == len(setup.script.beats)
    learnt = [event for event in events if isinstance(event, Learnt)]
    assert len(learnt) == 2 * len(TAUGHT) + 2
    assert len(setup.learner.examples) == 2 * len(TAUGHT) + 1
    assert setup.learner.labels[-1] == ADDED
    assert len(setup.indicator.shown) == len(setup.script.beats)
    assert [signal for _, signal in setup.indicator.blinks] == ["learnt"] * len(learnt) + ["undone"]


def test_a_press_teaches_the_frame_shown_at_the_press(events: list[Event]) -> None:
    newest = None
    for event in events:
        if isinstance(event, Named):
            newest = event
        elif isinstance(event, Learnt) and event.chapter == "teach":
            assert event.frame is newest.frame
            assert event.truth == event.label == newest.truth
            assert np.array_equal(event.before.spikes, newest.decision.spikes)


def test_the_press_comes_before_the_next_frame_is_named(events: list[Event]) -> None:
    kinds = [type(event) for event in events if event.chapter == "teach"]
    assert kinds == [Named, Learnt] * (len(kinds) // 2)


def test_the_slip_is_taken_back_exactly(events: list[Event]) -> None:
    slip = next(event for event in events if isinstance(event, Learnt) and event.chapter == "slip")
    undone = next(event for event in events if isinstance(event, Undone))
    assert (slip.truth, slip.label) == SLIP
    assert undone.exact
    assert not np.array_equal(undone.taught.spikes, undone.before.spikes)
    changed = undone._replace(after=undone.taught)
    assert not changed.exact


def test_a_frame_is_timed_stage_by_stage(events: list[Event]) -> None:
    named = next(event for event in events if isinstance(event, Named))
    assert named.ms == (2.0, 2.0, 2.0)
    assert named.ms.total == 6.0


def test_the_same_seed_is_the_same_run(make_setup: Any) -> None:
    runs = []
    for seed in (3, 3, 4):
        setup, events = make_setup(seed=seed), []
        run_demo(setup.device, setup.script, events.append)
        runs.append(
            [(e.frame.time_ns, e.truth, e.decision.label, *e.decision.spikes) for e in events if isinstance(e, Named)]
        )
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert runs[0][1][0] - runs[0][0][0] == NS_PER_S
