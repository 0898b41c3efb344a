"""Levels, pulses and the least times of outputs, on a clock that is an argument."""

import itertools
import random

import pytest

from edge_app.rules.outputs import OutputPlan

MS = 1_000_000


def plan(min_on: int = 0, min_off: int = 0) -> OutputPlan:
    return OutputPlan(("door", "lamp"), min_on_ns=min_on * MS, min_off_ns=min_off * MS)


def on(plan: OutputPlan, ms: float) -> tuple[list[str], float | None]:
    """Return the outputs that are on at a time, and the time of the next change, milliseconds."""
    levels, next_ns = plan.state(round(ms * MS))
    return [name for name, level in levels.items() if level], None if next_ns is None else next_ns / MS


def test_an_output_is_on_while_any_rule_holds_it() -> None:
    outputs = plan()
    assert on(outputs, 0) == ([], None)
    outputs.hold("lamp", "cat", True)
    outputs.hold("lamp", "dog", True)
    assert on(outputs, 1) == (["lamp"], None)
    outputs.hold("lamp", "cat", False)
    assert on(outputs, 2) == (["lamp"], None)
    outputs.hold("lamp", "dog", False)
    assert on(outputs, 3) == ([], None)


def test_a_pulse_ends_by_itself() -> None:
    outputs = plan()
    outputs.pulse("door", 500 * MS)
    assert on(outputs, 10) == (["door"], 510)
    assert on(outputs, 509.9) == (["door"], 510)
    assert on(outputs, 510) == ([], None)


def test_a_second_pulse_begins_the_first_anew() -> None:
    outputs = plan()
    outputs.pulse("door", 500 * MS)
    on(outputs, 0)
    outputs.pulse("door", 500 * MS)
    assert on(outputs, 400) == (["door"], 900)
    outputs.pulse("door", 100 * MS)
    assert on(outputs, 600) == (["door"], 900), "a short one does not cut a long one"
    assert on(outputs, 900) == ([], None)


def test_a_relay_does_not_chatter() -> None:
    outputs = plan(min_on=200, min_off=300)
    outputs.hold("door", "cat", True)
    assert on(outputs, 0) == (["door"], None), "the first change need not wait"
    outputs.hold("door", "cat", False)
    assert on(outputs, 10) == (["door"], 200)
    assert on(outputs, 200) == ([], None)
    outputs.hold("door", "cat", True)
    assert on(outputs, 210) == ([], 500)
    outputs.hold("door", "cat", False)
    assert on(outputs, 220) == ([], None), "what was over before it could begin is not made up for"


def test_a_pulse_that_has_to_wait_keeps_its_length() -> None:
    outputs = plan(min_off=300)
    outputs.pulse("door", 100 * MS)
    on(outputs, 0)
    on(outputs, 100)
    outputs.pulse("door", 100 * MS)
    assert on(outputs, 150) == ([], 400)
    assert on(outputs, 400) == (["door"], 500)
    assert on(outputs, 500) == ([], None)


def test_levels_of_the_start_last_until_the_rules_begin() -> None:
    outputs = OutputPlan(("door", "lamp"), on_at_start=("lamp",), min_on_ns=50 * MS)
    assert on(outputs, 0) == (["lamp"], None)
    outputs.begin()
    assert on(outputs, 1) == ([], None)


@pytest.mark.parametrize("seed", range(20))
def test_changes_are_never_closer_than_the_least_times(seed: int) -> None:
    chance = random.Random(seed)
    outputs = plan(min_on=70, min_off=110)
    changes: list[tuple[float, bool]] = []
    now, level = 0.0, False
    for _ in range(400):
        now += chance.expovariate(1 / 15)
        if chance.random() < 0.05:
            outputs.pulse("door", chance.randrange(1, 200) * MS)
        else:
            outputs.hold("door", "a", chance.random() < 0.5)
        levels, next_ns = outputs.state(round(now * MS))
        assert next_ns is None or next_ns > round(now * MS)
        if levels["door"] != level:
            level = levels["door"]
            changes.append((now, level))
    for (before, was_on), (after, _) in itertools.pairwise(changes):
        assert after - before >= (70 if was_on else 110) - 1e-6
    assert len(changes) > 10


def test_another_output_is_no_output() -> None:
    with pytest.raises(KeyError):
        plan().pulse("window", MS)
