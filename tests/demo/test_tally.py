"""What the events add up to."""

import json

import numpy as np
import pytest

from edge_app.demo.device import Event, Learnt, Milliseconds, Named
from edge_app.demo.script import ADDED, TAUGHT
from edge_app.demo.tally import Score, Tally
from edge_app.messages import Decision, Frame

FRAME = Frame(np.zeros((2, 2, 3), np.uint8), 0, 0)
MS = Milliseconds(0.5, 3.0, 1.0)


def decision(label: str | None, *labels: str) -> Decision:
    return Decision(
        label,
        labels,
        np.zeros(len(labels), np.int32),
        np.zeros(len(labels), np.int32),
        0,
        np.zeros(len(labels), np.int64),
    )


def tally_of(*events: Event) -> Tally:
    tally = Tally()
    for event in events:
        tally.add(event)
    return tally


def learnt(said: str | None, label: str, *, new: bool = False) -> Learnt:
    return Learnt("teach", FRAME, label, label, new, 1, decision(said, label), 2.0)


def test_a_score_says_right_total_and_percent() -> None:
    assert str(Score(57, 64)) == "57 of 64 (89 %)"
    assert str(Score()) == "0 of 0"
    assert Score().accuracy is None


def test_the_first_example_of_a_class_is_no_test() -> None:
    tally = tally_of(learnt(None, "cup", new=True), learnt("cup", "cup"), learnt("cat", "cup"))
    assert tally.test_then_train == (1, 2)
    assert tally.examples == 3


def test_naming_counts_right_wrong_and_unknown() -> None:
    said = ("cup", "cat", None, "cup")
    tally = tally_of(*(Named("name", FRAME, "cup", decision(label, "cup", "cat"), MS) for label in said))
    result = tally.to_dict()["naming"]
    assert result["accuracy"] == 0.5
    assert result["unknown_rate"] == 0.25
    assert result["per_class"]["cup"] == {"accuracy": 0.5, "right": 2, "total": 4}
    assert tally.confused == {("cup", "cat"): 1, ("cup", None): 1}


def test_the_added_class_counts_once_it_is_known() -> None:
    before, after = decision("cup", "cup"), decision(ADDED, "cup", ADDED)
    tally = tally_of(
        Named("add", FRAME, ADDED, before, MS),
        Named("add", FRAME, ADDED, after, MS),
        Named("add", FRAME, "cup", after, MS),
    )
    assert tally.added == (1, 1)
    assert tally.others == (0, 1)


def test_leads_compare_right_names_with_those_of_strangers() -> None:
    said = decision("cup", "cup", "cat")
    events = [Named("name", FRAME, "cup", said._replace(margin=margin), MS) for margin in (3, 4, 9)]
    events.append(Named("name", FRAME, "cat", said._replace(margin=99), MS))
    assert tally_of(*events).leads() is None
    events.append(Named("stranger", FRAME, "photographer", said._replace(margin=1), MS))
    assert tally_of(*events).leads() == (4.0, 1.0)


def test_times_are_medians_and_95th_percentiles() -> None:
    events = [Named("name", FRAME, "cup", decision("cup", "cup"), Milliseconds(1, 2, value)) for value in range(101)]
    assert tally_of(*events).milliseconds()["decide"] == {"p50": 50.0, "p95": 95.0}
    assert tally_of(*events).milliseconds()["frame"] == {"p50": 53.0, "p95": 98.0}


def test_a_whole_run_is_json(events: list[Event]) -> None:
    result = json.loads(json.dumps(tally_of(*events).to_dict()))
    assert result["examples"] == 2 * len(TAUGHT) + 1
    assert result["test_then_train"]["total"] == len(TAUGHT)
    assert result["naming"]["total"] == 8
    assert result["undo_exact"] is True
    assert sum(result["never_taught"].values()) == 6
    assert set(result["median_lead"]) == {"right", "never_taught"}
    assert result["ms"]["frame"]["p50"] == pytest.approx(6.0)
