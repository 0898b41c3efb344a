"""How sure an answer is follows from the presses of the running program."""

import numpy as np
import pytest

from edge_app.confidence import THRESHOLD, calibrate, evidence, outcome
from edge_app.messages import Decision
from edge_app.pipeline.assurance import Assurance

LABELS = ("mug", "pen")


def decision(label: str | None, excitation: float, lead: float) -> Decision:
    best = LABELS.index(label) if label else 0
    levels = np.full(2, round((excitation - lead) * THRESHOLD), np.int64)
    levels[best] = round(excitation * THRESHOLD)
    return Decision(label, LABELS, np.ones(2, np.int32), np.ones(2, np.int32), 1, levels)


def test_before_any_press_the_prior_serves_and_unknown_is_nothing() -> None:
    assurance = Assurance()
    sure, unsure = decision("mug", 4, 3), decision("mug", 1, 0.1)
    assert 0 < assurance.confidence(unsure) < assurance.confidence(sure) < 1
    assert assurance.confidence(sure) == calibrate([]).probability(evidence(sure))
    assert assurance.confidence(decision(None, 0, 0)) == 0.0


def test_presses_calibrate_it_and_a_slip_that_was_undone_does_not() -> None:
    assurance = Assurance()
    before = [decision(LABELS[number % 2], 2 + number % 3, 1 + number % 3) for number in range(60)]
    for number, one in enumerate(before):
        assurance.taught(number, LABELS[(number + (number % 5 == 0)) % 2], one)
    outcomes = [outcome(one, LABELS[(number + (number % 5 == 0)) % 2]) for number, one in enumerate(before)]
    asked = decision("pen", 3, 2)
    wanted = calibrate([one for one in outcomes if one is not None]).probability(evidence(asked))
    assert assurance.confidence(asked) == pytest.approx(wanted)
    kept = [number for number in range(60) if number % 5]
    assurance.keep_only((number, LABELS[number % 2]) for number in kept)
    surer = assurance.confidence(asked)
    assert surer > wanted, "only right ones are left"
    assurance.taught(99, "cup", asked)
    assert assurance.confidence(asked) == surer, "a class that was not known says nothing"
    assurance.keep_only([])
    assert assurance.confidence(asked) == calibrate([]).probability(evidence(asked))
