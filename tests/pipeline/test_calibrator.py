"""Confidence and limit are computed from the presses, including those that are stored."""

import numpy as np
import pytest

from edge_app.confidence import OCTAVE, calibrate, outcome
from edge_app.messages import Decision
from edge_app.pipeline.accuracy import ScoredExample
from edge_app.pipeline.calibrator import DecisionCalibrator
from edge_app.rejection import Seen, spread_of
from edge_app.storage.records import Prediction

LABELS = ("mug", "pen")


def decision(label: str | None, separation: float = 3.0, novelty: float = -2.0) -> Decision:
    nothing = np.zeros(2, np.int32)
    told = (round(novelty * OCTAVE), round(separation * OCTAVE), 5)
    return Decision(label, LABELS, nothing, nothing, 1, nothing.astype(np.int64), *told)


def judged(label: str, before: Decision) -> ScoredExample:
    if before.label is None:
        return ScoredExample(label, None, Prediction(None, None, 0, 0, 2, before.novelty, before.separation, 5))
    prediction = Prediction(before.label, 1, 2048, 1024, 2, before.novelty, before.separation, before.learnt)
    return ScoredExample(label, before.label, prediction if label in LABELS else None)


def test_before_any_press_the_prior_serves_and_unknown_is_nothing() -> None:
    calibrator = DecisionCalibrator()
    sure, unsure = decision("mug", 3), decision("mug", 0.1)
    assert 0 < calibrator.confidence(unsure) < calibrator.confidence(sure) < 1
    assert calibrator.confidence(sure) == calibrate([]).probability(sure)
    assert calibrator.confidence(decision(None)) == 0.0
    assert calibrator.limit(0.5) == spread_of([]).limit(0.5)
    assert calibrator.limit(0) is None


def test_presses_calibrate_it_and_a_slip_that_was_undone_does_not() -> None:
    calibrator = DecisionCalibrator()
    before = [decision(LABELS[number % 2], 0.5 + number % 3, -1 - number % 3) for number in range(60)]
    said = [LABELS[(number + (number % 5 == 0)) % 2] for number in range(60)]
    for one, label in zip(before, said, strict=True):
        calibrator.taught(judged(label, one))
    outcomes = [one for one in map(outcome, before, said) if one is not None]
    asked = decision("pen")
    wanted = calibrate(outcomes).probability(asked)
    limit = spread_of([Seen(one.evidence.novelty, one.right) for one in outcomes]).limit(0.5)
    assert (calibrator.confidence(asked), calibrator.limit(0.5)) == (pytest.approx(wanted), limit)
    calibrator.taught(judged("cup", asked))
    calibrator.taught(judged("mug", decision(None)))
    assert calibrator.confidence(asked) == pytest.approx(wanted), "a new class, and unknown, say nothing"
    calibrator.follow(judged(said[number], before[number]) for number in range(60) if number % 5)
    assert calibrator.confidence(asked) > wanted, "only right ones are left"
    calibrator.follow([])
    assert calibrator.confidence(asked) == calibrate([]).probability(asked)


def test_what_is_read_from_the_store_calibrates_as_the_presses_did() -> None:
    presses = [judged(LABELS[n % 3 % 2], decision(LABELS[n % 2], n % 4, -n % 5)) for n in range(50)]
    one_by_one, at_once = DecisionCalibrator(), DecisionCalibrator()
    for press in presses:
        one_by_one.taught(press)
    at_once.follow(presses)
    asked = decision("pen")
    assert one_by_one.confidence(asked) == at_once.confidence(asked)
    assert one_by_one.limit(0.7) == at_once.limit(0.7)
    assert one_by_one.preview([0.5]) == at_once.preview([0.5])


def test_predictions_of_an_older_edge_app_are_passed_over() -> None:
    calibrator = DecisionCalibrator()
    calibrator.follow([ScoredExample("mug", "pen", Prediction("pen", 1, 2048, 1024, 2))] * 20)
    assert calibrator.limit(0.5) == spread_of([]).limit(0.5)
    assert calibrator.preview([0.5])[0].wrong == 0
