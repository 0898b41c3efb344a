"""The figures that the events add up to."""

import json

import numpy as np
import pytest

from edge_app.demo.run import DecidedShot, DemoEvent, StageTimes, TaughtShot
from edge_app.demo.script import ADDED, TAUGHT, Beat
from edge_app.demo.tally import Score, Tally
from edge_app.messages import Decision, Frame
from edge_app.pipeline.events import Decided, Taught
from edge_app.simulation.scene import Shot

FRAME = Frame(np.zeros((2, 2, 3), np.uint8), 0, 0)
MS = StageTimes(0.5, 3.0, 1.0)


def decision(label: str | None, *labels: str) -> Decision:
    return Decision(
        label,
        labels,
        np.zeros(len(labels), np.int32),
        np.zeros(len(labels), np.int32),
        0,
        np.zeros(len(labels), np.int64),
    )


def tally_of(*events: DemoEvent) -> Tally:
    tally = Tally()
    for event in events:
        tally.add(event)
    return tally


def beat(chapter: str, truth: str) -> Beat:
    return Beat(chapter, Shot(truth, 0, "test", 0))


def decided(chapter: str, truth: str, said: Decision, ms: StageTimes = MS) -> DecidedShot:
    event = Decided(said.label, said, 0.5, 0, 0, 0, 0, 0, fresh=True, changed=False)
    return DecidedShot(beat(chapter, truth), FRAME, event, ms)


def taught(said: str | None, label: str, *known: str) -> TaughtShot:
    event = Taught(1, label, said, 0.5, "button", 0, 0)
    return TaughtShot(beat("teach", label), FRAME, event, decision(said, *known), 2.0)


def test_a_score_says_right_total_and_percent() -> None:
    assert str(Score(57, 64)) == "57 of 64 (89 %)"
    assert str(Score()) == "0 of 0"
    assert Score().accuracy is None


def test_the_first_example_of_a_class_is_no_test() -> None:
    tally = tally_of(taught(None, "cup"), taught("cup", "cup", "cup"), taught("cat", "cup", "cup", "cat"))
    assert tally.test_then_train == (1, 2)
    assert tally.examples == 3


def test_naming_counts_right_wrong_and_unknown() -> None:
    said = ("cup", "cat", None, "cup")
    tally = tally_of(*(decided("name", "cup", decision(label, "cup", "cat")) for label in said))
    result = tally.to_dict()["naming"]
    assert result["accuracy"] == 0.5
    assert result["unknown_rate"] == 0.25
    assert result["per_class"]["cup"] == {"accuracy": 0.5, "right": 2, "total": 4}
    assert tally.confused == {("cup", "cat"): 1, ("cup", None): 1}


def test_the_added_class_counts_once_it_is_known() -> None:
    before, after = decision("cup", "cup"), decision(ADDED, "cup", ADDED)
    tally = tally_of(
        decided("add", ADDED, before),
        decided("add", ADDED, after),
        decided("add", "cup", after),
    )
    assert tally.added == (1, 1)
    assert tally.others == (0, 1)


def test_margins_compare_right_decisions_with_those_on_strangers() -> None:
    said = decision("cup", "cup", "cat")
    events = [decided("name", "cup", said._replace(margin=margin)) for margin in (3, 4, 9)]
    events.append(decided("name", "cat", said._replace(margin=99)))
    assert tally_of(*events).margins() is None
    events.append(decided("stranger", "photographer", said._replace(margin=1)))
    assert tally_of(*events).margins() == (4.0, 1.0)


def test_times_are_medians_and_95th_percentiles() -> None:
    events = [decided("name", "cup", decision("cup", "cup"), StageTimes(1, 2, value)) for value in range(101)]
    assert tally_of(*events).milliseconds()["decide"] == {"p50": 50.0, "p95": 95.0}
    assert tally_of(*events).milliseconds()["frame"] == {"p50": 53.0, "p95": 98.0}


def test_a_whole_run_is_json(events: list[DemoEvent]) -> None:
    result = json.loads(json.dumps(tally_of(*events).to_dict()))
    assert result["examples"] == 2 * len(TAUGHT) + 1
    assert result["test_then_train"]["total"] == len(TAUGHT)
    assert result["naming"]["total"] == 8
    assert result["undo_exact"] is True
    assert sum(result["never_taught"].values()) == 6
    assert set(result["median_margin"]) == {"right", "never_taught"}
    assert result["ms"]["frame"]["p50"] == pytest.approx(6.0)
