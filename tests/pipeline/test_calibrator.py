"""How sure an answer is follows from the presses, those that are stored too."""

import numpy as np
import pytest

from edge_app.confidence import THRESHOLD, calibrate, evidence, outcome
from edge_app.messages import Decision
from edge_app.pipeline.accuracy import ScoredExample
from edge_app.pipeline.calibrator import ConfidenceCalibrator
from edge_app.storage.records import Prediction

LABELS = ("mug", "pen")


def decision(label: str | None, excitation: float, lead: float) -> Decision:
    best = LABELS.index(label) if label else 0
    levels = np.full(2, round((excitation - lead) * THRESHOLD), np.int64)
    levels[best] = round(excitation * THRESHOLD)
    return Decision(label, LABELS, np.ones(2, np.int32), np.ones(2, np.int32), 1, levels)


def judged(label: str, before: Decision) -> ScoredExample:
    found = evidence(before)
    if found is None:
        return ScoredExample(label, None, Prediction(None, None, 0, 0, 2))
    known = label in LABELS
    prediction = Prediction(before.label, 1, found.excitation, found.lead, 2)
    return ScoredExample(label, before.label, prediction if known else None)


def test_before_any_press_the_prior_serves_and_unknown_is_nothing() -> None:
    assurance = ConfidenceCalibrator()
    sure, unsure = decision("mug", 4, 3), decision("mug", 1, 0.1)
    assert 0 < assurance.confidence(unsure) < assurance.confidence(sure) < 1
    assert assurance.confidence(sure) == calibrate([]).probability(evidence(sure))
    assert assurance.confidence(decision(None, 0, 0)) == 0.0


def test_presses_calibrate_it_and_a_slip_that_was_undone_does_not() -> None:
    assurance = ConfidenceCalibrator()
    before = [decision(LABELS[number % 2], 2 + number % 3, 1 + number % 3) for number in range(60)]
    said = [LABELS[(number + (number % 5 == 0)) % 2] for number in range(60)]
    for one, label in zip(before, said, strict=True):
        assurance.taught(judged(label, one))
    outcomes = [outcome(one, label) for one, label in zip(before, said, strict=True)]
    asked = decision("pen", 3, 2)
    wanted = calibrate([one for one in outcomes if one is not None]).probability(evidence(asked))
    assert assurance.confidence(asked) == pytest.approx(wanted)
    assurance.taught(judged("cup", asked))
    assurance.taught(judged("mug", decision(None, 0, 0)))
    assert assurance.confidence(asked) == pytest.approx(wanted), "a new class, and unknown, say nothing"
    assurance.follow(judged(said[number], before[number]) for number in range(60) if number % 5)
    assert assurance.confidence(asked) > wanted, "only right ones are left"
    assurance.follow([])
    assert assurance.confidence(asked) == calibrate([]).probability(evidence(asked))


def test_what_is_read_from_the_store_calibrates_as_the_presses_did() -> None:
    presses = [judged(LABELS[n % 3 % 2], decision(LABELS[n % 2], 2 + n % 4, 1)) for n in range(50)]
    one_by_one, at_once = ConfidenceCalibrator(), ConfidenceCalibrator()
    for press in presses:
        one_by_one.taught(press)
    at_once.follow(presses)
    asked = decision("pen", 3, 2)
    assert one_by_one.confidence(asked) == at_once.confidence(asked)
