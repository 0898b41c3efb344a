"""The lights that are on, by the time."""

from typing import get_args

import pytest

from edge_app.devices.lights import PATTERNS, LightPlan
from edge_app.devices.ports import NS_PER_S, Signal

LABELS = ("cup", "cat", "dog")


def test_a_class_has_its_light_and_unknown_none() -> None:
    plan = LightPlan({"cup": 5, "cat": 6})
    assert plan.state(0) == ({5: False, 6: False}, None)
    assert plan.show("cat", LABELS)
    assert plan.state(0) == ({5: False, 6: True}, None)
    assert not plan.show("cat", LABELS)
    assert plan.show(None, LABELS)
    assert plan.state(0) == ({5: False, 6: False}, None)


@pytest.mark.parametrize(
    ("label", "lit"), [(None, set()), ("cup", {1}), ("cat", {2}), ("dog", {1, 2}), ("gone", set())]
)
def test_a_code_counts_from_one(label: str | None, lit: set[int]) -> None:
    plan = LightPlan({}, code=(1, 2))
    plan.show(label, LABELS)
    levels, _ = plan.state(0)
    assert {line for line, on in levels.items() if on} == lit


def test_every_signal_has_a_pattern_of_its_own_that_ends_dark() -> None:
    assert set(PATTERNS) == set(get_args(Signal))
    assert len(set(PATTERNS.values())) == len(PATTERNS)
    assert all(len(pattern) % 2 == 0 for pattern in PATTERNS.values())


def test_the_status_light_blinks_beside_the_decision() -> None:
    plan = LightPlan({"cup": 5, "status": 13})
    plan.show("cup", LABELS)
    plan.blink("learnt", NS_PER_S)
    assert plan.state(NS_PER_S) == ({5: True, 13: True}, round(1.6 * NS_PER_S))
    assert plan.state(round(1.6 * NS_PER_S)) == ({5: True, 13: False}, round(1.8 * NS_PER_S))
    assert plan.state(round(1.8 * NS_PER_S)) == ({5: True, 13: False}, None)


def test_without_a_status_light_all_blink_and_the_decision_comes_back() -> None:
    plan = LightPlan({"cup": 5, "cat": 6})
    plan.show("cup", LABELS)
    plan.blink("learnt", 0)
    assert plan.state(0)[0] == {5: True, 6: True}
    assert plan.state(round(0.7 * NS_PER_S))[0] == {5: False, 6: False}
    plan.show("cat", LABELS)
    assert plan.state(NS_PER_S) == ({5: False, 6: True}, None)


def test_a_new_signal_replaces_the_old() -> None:
    plan = LightPlan({"status": 13})
    plan.blink("learnt", 0)
    plan.blink("error", NS_PER_S // 2)
    assert plan.state(NS_PER_S // 2) == ({13: True}, round(0.58 * NS_PER_S))
