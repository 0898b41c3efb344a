import numpy as np
import pytest

from edge_app.confidence import (
    MAX_OUTCOMES,
    OCTAVE,
    PRIOR,
    Calibration,
    Evidence,
    Outcome,
    Record,
    calibrate,
    evidence,
    outcome,
)
from edge_app.messages import Decision

NO_RECORD = Record(1.0, 0.0)
PLAIN = Calibration(PRIOR, NO_RECORD, {})


def decision(label: str | None = "a", separation: float = 2.0, familiarity: float = 1.0, classes: int = 5) -> Decision:
    labels, nothing = tuple("abcdefghij"[:classes]), np.zeros(classes, np.int32)
    novelty = round(-familiarity * OCTAVE)
    return Decision(
        label, labels, nothing, nothing, 0, nothing.astype(np.int64), novelty, round(separation * OCTAVE), 4
    )


def found(separation: float = 2.0, familiarity: float = 1.0, classes: int = 5, learnt: int = 4) -> Evidence:
    return Evidence(round(-familiarity * OCTAVE), round(separation * OCTAVE), learnt, classes)


def stream(calibration: Calibration, count: int, seed: int = 0) -> list[Outcome]:
    """Outcomes that come out as a calibration says."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        one = found(random.uniform(0, 3), random.uniform(-2, 3))
        made.append(Outcome(one, bool(random.random() < calibration.of(one, "a")), "a"))
    return made


def test_evidence_is_what_the_decision_says_of_its_example() -> None:
    assert evidence(decision()) == Evidence(-OCTAVE, 2 * OCTAVE, 4, 5)
    assert evidence(decision(None)) is None


def test_outcomes_are_of_known_classes_only() -> None:
    before = decision(classes=2)
    assert outcome(before, "a") == Outcome(found(classes=2), True, "a")
    assert outcome(before, "b") == Outcome(found(classes=2), False, "a")
    assert outcome(before, "new") is None
    assert outcome(decision(None), "a") is None


def test_probability_by_hand() -> None:
    plain = Calibration((-1.0, 0.5, 0.25, 0.5, -0.5), NO_RECORD, {})
    score = -1.0 + 0.5 * 2 + 0.25 * 1 + 0.5 * np.log2(8) - 0.5 * np.log2(4)
    assert plain.of(found(learnt=8, classes=4), "a") == pytest.approx(1 / (1 + np.exp(-score)))
    assert plain.probability(decision(None)) == 0.0


def test_without_outcomes_it_is_the_prior_and_few_move_it_little() -> None:
    assert calibrate([]) == PLAIN
    one = calibrate([Outcome(found(classes=1), False, "a")])
    assert one.weights[0] < PRIOR[0]
    assert abs(one.weights[0] - PRIOR[0]) < 0.5


def test_many_outcomes_are_learnt() -> None:
    true = Calibration((-3.0, 0.7, 0.6, PRIOR[3], PRIOR[4]), NO_RECORD, {})
    learnt = calibrate(stream(true, 2000))
    fresh = [one.evidence for one in stream(true, 200, seed=1)]
    gaps = [abs(learnt.of(one, "a") - true.of(one, "a")) for one in fresh]
    prior = [abs(PLAIN.of(one, "a") - true.of(one, "a")) for one in fresh]
    assert np.mean(gaps) < np.mean(prior) / 2


def test_late_outcomes_count_more_than_early_ones() -> None:
    one = found(1.0)
    wrong, right = [Outcome(one, False, "a")] * 100, [Outcome(one, True, "a")] * 100
    assert calibrate(wrong + right).of(one, "b") > 0.7
    assert calibrate(right + wrong).of(one, "b") < 0.4


def test_outcomes_of_many_classes_that_were_hardly_shown_count_little() -> None:
    few, many = (np.array(calibrate([Outcome(found(classes=k), False, "a")] * 20).weights) for k in (2, 50))
    moved_few, moved_many = np.abs(few - PRIOR).max(), np.abs(many - PRIOR).max()
    assert 0 < moved_many < moved_few / 3


def test_more_evidence_never_makes_it_less_sure() -> None:
    backwards = [Outcome(found(step / 50, step / 50), step < 100, "a") for step in range(200)]
    learnt = calibrate(backwards)
    assert min(learnt.weights[1:3]) >= 0


def test_nobody_is_very_sure_who_was_wrong_five_times_of_the_last_six() -> None:
    certain = found(6, 5, learnt=50)
    good = [Outcome(found(3, 3), True, "a")] * 40
    bad = [Outcome(found(3, 3), right, "b") for right in (True, False, False, False, False, False)]
    assert calibrate(good).of(certain, "a") > 0.95
    for history in (bad, good + bad):
        assert calibrate(history).of(certain, "a") < 0.7
        assert calibrate(history).of(certain, "b") < 0.3


def test_one_mistake_among_many_is_no_record() -> None:
    certain = found(6, 5, learnt=50)
    history = [Outcome(found(3, 3), number != 35, "a") for number in range(40)]
    assert calibrate(history).of(certain, "b") > 0.9


def test_a_class_has_a_record_of_its_own() -> None:
    history = []
    for number in range(60):
        history.append(Outcome(found(3, 3), True, "a"))
        if number % 6 == 0:
            history.append(Outcome(found(3, 3), False, "b"))
    calibration = calibrate(history)
    assert calibration.of(found(3, 3), "a") > 0.8
    assert calibration.of(found(3, 3), "b") < 0.3


def test_the_record_bounds_and_never_raises() -> None:
    assert Record(0.2, 1.0).bounds(0.9) == pytest.approx(0.2)
    assert Record(0.2, 0.5).bounds(0.9) == pytest.approx(0.55)
    assert Record(0.2, 1.0).bounds(0.1) == pytest.approx(0.1)


def test_extreme_outcomes_stay_finite_and_old_ones_are_forgotten() -> None:
    huge = [Outcome(Evidence(10**9, -(10**9), 10**6, 1000), right, "a") for right in (True, False)] * 50
    assert 0 <= calibrate(huge).of(Evidence(10**9, 10**9, 0, 0), "a") <= 1
    late = stream(PLAIN, MAX_OUTCOMES, seed=1)
    assert calibrate([*huge, *late]) == calibrate(late)
