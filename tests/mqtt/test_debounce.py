"""Only decisions that last are published."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.mqtt.debounce import Debouncer

MS = 1_000_000


def told(settle: Debouncer, answers: list[tuple[str | None, int]]) -> list[tuple[str | None, int]]:
    return [(label, ms) for label, ms in answers if settle.see(label, 0.9, ms * MS) == "label"]


def test_a_label_is_told_once_it_has_held() -> None:
    answers = [("a", ms) for ms in range(0, 1000, 100)]
    assert told(Debouncer(0.5), answers) == [("a", 500)]


def test_flicker_is_not_told_and_starts_the_wait_anew() -> None:
    flicker = [("a", 0), ("a", 500), ("b", 600), ("a", 700), ("b", 800), ("b", 1299), ("b", 1300), ("a", 1400)]
    assert told(Debouncer(0.5), flicker) == [("a", 500), ("b", 1300)]


def test_back_to_what_was_told_needs_no_word() -> None:
    assert told(Debouncer(0.5), [("a", 0), ("a", 500), (None, 600), ("a", 900), ("a", 1500)]) == [("a", 500)]


def test_unknown_is_a_label_too_and_zero_tells_every_change() -> None:
    assert told(Debouncer(0), [(None, 0), ("a", 1), ("a", 2), (None, 3)]) == [(None, 0), ("a", 1), (None, 3)]


def test_a_confidence_that_moves_is_told_at_most_every_ten_seconds() -> None:
    settle = Debouncer(0)
    seen = [settle.see("a", 0.5 + step * 0.011, step * 1_000 * MS) for step in range(45)]
    assert [step for step, worth in enumerate(seen) if worth] == [0, 10, 20, 30, 40]
    assert seen[10] == "confidence"
    assert Debouncer(0).see("a", 0.5, 0) == "label"


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 400)), max_size=200))
def test_never_two_within_the_hold_and_never_the_same_twice(steps: list[tuple[str | None, int]]) -> None:
    at, answers = 0, []
    for label, wait in steps:
        at += wait
        answers.append((label, at))
    found = told(Debouncer(0.5), answers)
    assert all(later - earlier >= 500 for (_, earlier), (_, later) in pairwise(found))
    assert all(one != other for (one, _), (other, _) in pairwise(found))
