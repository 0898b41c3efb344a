import math

import numpy as np
import pytest

from edge_app.confidence import (
    MAX_OUTCOMES,
    PRIOR,
    THRESHOLD,
    Calibration,
    Evidence,
    Outcome,
    calibrate,
    evidence,
    outcome,
)
from edge_app.messages import Decision


def decision(excitation: list[int], label: str | None = "a") -> Decision:
    labels = tuple("abcdef"[: len(excitation)])
    spikes = np.array(excitation, np.int32) // THRESHOLD
    return Decision(label, labels, spikes, np.zeros(len(labels), np.int32), 0, np.array(excitation, np.int64))


def stream(calibration: Calibration, count: int, seed: int = 0) -> list[Outcome]:
    """Outcomes that come out as a calibration says."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        lead = int(random.integers(0, 4 * THRESHOLD))
        one = Evidence(lead + int(random.integers(0, 6 * THRESHOLD)), lead)
        found.append(Outcome(one, bool(random.random() < calibration.probability(one)), 5))
    return found


def test_evidence_is_excitation_and_the_lead_over_the_runner_up() -> None:
    assert evidence(decision([5000, 100, 3000])) == Evidence(5000, 2000)
    assert evidence(decision([5000, -100])) == Evidence(5000, 5000)
    assert evidence(decision([5000])) == Evidence(5000, 5000)
    assert evidence(decision([100, 200], None)) is None
    assert Evidence(5000, 2000).familiarity == 7000


def test_outcomes_are_of_known_classes_only() -> None:
    before = decision([5000, 100])
    assert outcome(before, "a") == Outcome(Evidence(5000, 4900), True, 2)
    assert outcome(before, "b") == Outcome(Evidence(5000, 4900), False, 2)
    assert outcome(before, "new") is None
    assert outcome(decision([100, 200], None), "a") is None


def test_probability_by_hand() -> None:
    found = Calibration(-2.0, 1.0, 0.5).probability(Evidence(4 * THRESHOLD, THRESHOLD))
    assert found == pytest.approx(1 / (1 + math.exp(-1)))
    assert Calibration(*PRIOR).probability(None) == 0.0


def test_without_outcomes_it_is_the_prior_and_few_move_it_little() -> None:
    assert calibrate([]) == Calibration(*PRIOR)
    one = calibrate([Outcome(Evidence(5 * THRESHOLD, THRESHOLD), False, 1)])
    assert one.offset < PRIOR[0]
    assert abs(one.offset - PRIOR[0]) < 1


def test_many_outcomes_are_learnt() -> None:
    true = Calibration(-4.0, 0.5, 1.2)
    found = calibrate(stream(true, 2000))
    fresh = [one.evidence for one in stream(true, 200, seed=1)]
    gaps = [abs(found.probability(one) - true.probability(one)) for one in fresh]
    prior = [abs(Calibration(*PRIOR).probability(one) - true.probability(one)) for one in fresh]
    assert np.mean(gaps) < np.mean(prior) / 2


def test_late_outcomes_count_more_than_early_ones() -> None:
    one = Evidence(3 * THRESHOLD, THRESHOLD)
    wrong, right = [Outcome(one, False, 2)] * 100, [Outcome(one, True, 2)] * 100
    assert calibrate(wrong + right).probability(one) > 0.7
    assert calibrate(right + wrong).probability(one) < 0.3


def test_outcomes_of_many_classes_that_were_hardly_shown_count_little() -> None:
    one = Evidence(3 * THRESHOLD, THRESHOLD)
    prior = Calibration(*PRIOR).probability(one)
    few, many = (calibrate([Outcome(one, False, classes)] * 50).probability(one) for classes in (2, 50))
    assert few < many < prior
    assert prior - many < (prior - few) / 3


def test_more_evidence_never_makes_it_less_sure() -> None:
    backwards = [Outcome(Evidence(lead + 1000, lead), lead < 2000, 2) for lead in range(0, 4000, 20)]
    found = calibrate(backwards)
    assert found.lead >= 0
    assert found.excitation >= 0


def test_extreme_outcomes_stay_finite_and_old_ones_are_forgotten() -> None:
    huge = [Outcome(Evidence(10**9, 10**9), right, 2) for right in (True, False)] * 50
    assert 0 <= calibrate(huge).probability(Evidence(10**9, 10**9)) <= 1
    late = stream(Calibration(0.0, 1.0, 0.0), MAX_OUTCOMES, seed=1)
    assert calibrate([*huge, *late]) == calibrate(late)
