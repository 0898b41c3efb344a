"""How sure a decision is: from what the columns were excited to, through outcomes of the user's own presses.

Two integers are the evidence of a decision, in 1/1024 of a firing threshold (`Decision.excitation`):

    excitation  of the winning column          lead  excitation less the runner-up's (a silent one counts as 0)

Familiarity = excitation + lead says how much an object is like something taught: low for objects of no taught class.

Confidence is the chance that the decision is right, Platt's logistic (1999) with two inputs, e and l in thresholds:

    p = 1 / (1 + exp(-(b0 + b1 l + b2 e))),  b1, b2 >= 0

Every press of a label after a decision is an outcome: was the decision right? (Presses of a class that was not known
yet are left out: p supposes that a taught class is shown.) The weights maximise the posterior of the outcomes: a
Gaussian prior around PRIOR serves while they are few. A network that has learnt more is right more often, so that early
outcomes lag behind: outcome i of n, with m = i / classes known then, counts (i/n)^3 (m / (m + 20))^2. Equal outcomes in
equal order give equal weights.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.messages import Decision

THRESHOLD = 1024
"""Units of a firing threshold."""
MAX_OUTCOMES = 2000
"""Outcomes that are worth keeping; older ones weigh little."""
PRIOR = (-2.75, 1.3, 0.5)
"""b0, b1, b2 before there are outcomes: what fits all of three data sets, 1 shot to all, of training data."""
PRECISION = (1.0, 2.0, 4.0)
"""Of the prior; as if so many outcomes spoke for it."""
RECENCY = 3
FLUENT = 20
"""Outcomes a class after which what the network will learn changes little."""
NEWTON_STEPS = 30
STEEPEST = 40.0


class Evidence(NamedTuple):
    """What speaks for a decision, in 1/1024 of a firing threshold."""

    excitation: int
    lead: int

    @property
    def familiarity(self) -> int:
        """How much this is like something taught."""
        return self.excitation + self.lead


class Outcome(NamedTuple):
    """A decision on an object whose class was then said."""

    evidence: Evidence
    right: bool
    classes: int
    """Classes known when it was decided."""


class Calibration(NamedTuple):
    """Weights of the logistic: offset b0, lead b1, excitation b2, per threshold."""

    offset: float
    lead: float
    excitation: float

    def probability(self, evidence: Evidence | None) -> float:
        """Return the chance in 0..1 that a decision with this evidence is right; 0 for None, "unknown"."""
        if evidence is None:
            return 0.0
        score = self.offset + (self.lead * evidence.lead + self.excitation * evidence.excitation) / THRESHOLD
        return float(1 / (1 + np.exp(-np.clip(score, -STEEPEST, STEEPEST))))


def evidence(decision: Decision) -> Evidence | None:
    """Return what speaks for a decision; None for "unknown", which names no class."""
    if decision.label is None:
        return None
    best = decision.labels.index(decision.label)
    others = np.delete(decision.excitation, best)
    own = int(decision.excitation[best])
    return Evidence(own, own - max(int(others.max(initial=0)), 0))


def outcome(before: Decision, label: str) -> Outcome | None:
    """Return how a decision came out whose object is now said to be `label`.

    None where there is nothing to learn from: the class was not known yet, or the decision was "unknown".
    """
    found = evidence(before)
    if found is None or label not in before.labels:
        return None
    return Outcome(found, before.label == label, len(before.labels))


def calibrate(outcomes: Sequence[Outcome]) -> Calibration:
    """Return the weights that the outcomes, oldest first, and the prior ask for; the last MAX_OUTCOMES are used."""
    used = outcomes[-MAX_OUTCOMES:]
    prior, precision = np.array(PRIOR), np.array(PRECISION)
    weights = prior.copy()
    if used:
        inputs, right = _inputs(used), np.array([one.right for one in used], float)
        rank = np.arange(1, len(used) + 1)
        fluency = rank / (rank + FLUENT * np.array([one.classes for one in used]))
        count = (rank / len(used)) ** RECENCY * fluency**2
        for _ in range(NEWTON_STEPS):
            weights = _newton_step(weights, inputs, right, count, prior, precision)
    return Calibration(*(float(value) for value in weights))


def _inputs(outcomes: Sequence[Outcome]) -> NDArray[np.float64]:
    rows = [(THRESHOLD, one.evidence.lead, one.evidence.excitation) for one in outcomes]
    inputs: NDArray[np.float64] = np.array(rows, float) / THRESHOLD
    return inputs


def _newton_step(
    weights: NDArray[np.float64],
    inputs: NDArray[np.float64],
    right: NDArray[np.float64],
    count: NDArray[np.float64],
    prior: NDArray[np.float64],
    precision: NDArray[np.float64],
) -> NDArray[np.float64]:
    chance = 1 / (1 + np.exp(-np.clip(inputs @ weights, -STEEPEST, STEEPEST)))
    slope = inputs.T @ (count * (chance - right)) + precision * (weights - prior)
    curvature = (inputs * (count * chance * (1 - chance))[:, None]).T @ inputs + np.diag(precision)
    step = np.linalg.solve(curvature, slope)
    found: NDArray[np.float64] = weights - step * min(1.0, 4 / max(float(np.abs(step).max()), 1e-12))
    found[1:] = np.maximum(found[1:], 0)  # more evidence never makes a decision less sure
    return found
