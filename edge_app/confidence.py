"""Confidence: the probability that a decision is right, learnt from how earlier ones turned out.

What speaks for a decision (`Evidence`), in octaves: its separation s from the next class and its familiarity f, which
is minus the novelty; and how much was taught: n examples of the class, k classes. The probability is Platt's logistic
(1999):

    p = 1 / (1 + exp(-x)),    x = b0 + b1 s + b2 f + b3 log2 n + b4 log2 k

Distances in octaves mean the same after one example and after a thousand, so the weights that suit three data sets,
from one shot to all, serve from the first decision on (PRIOR). Every press of a class after a decision is an outcome:
was the decision right? They move the weights: the most probable ones under a Gaussian prior around PRIOR. The prior is
narrow, because examples resemble one another more than they resemble what a camera sees on another day: outcomes on
them are too good. A network that has learnt more is right more often, so early outcomes lag behind: outcome i of m,
with j = i / classes known then, counts (i/m)^3 (j / (j + 60))^2. Equal outcomes in equal order give equal weights.

The record bounds that: where the last outcomes were right less often than was stated, by more than chance explains, no
decision is surer than their share of right ones (each older outcome counts a tenth less). How far the record is
believed grows with how much better it explains the outcomes than the stated probabilities do. A class has a record of
its own, of the decisions that named it. So nobody is "very sure" who was wrong five times of the last six.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.messages import Decision

OCTAVE = 1024
"""Units of novelty and separation."""
FURTHEST = 8 * OCTAVE
"""Novelty and separation beyond this say nothing more."""
MAX_OUTCOMES = 2000
"""Outcomes that are used; older ones hardly count."""
PRIOR = (-0.89, 1.45, 0.08, 0.11, 0.01)
"""b0 .. b4 before there are outcomes: fitted to three data sets, 1 shot to all, on validation splits, more than half of
them of pictures that are unlike the examples (docs/evaluate.md)."""
PRECISION = (16.0, 256.0, 256.0, 256.0, 256.0)
"""Of the prior; as if that many outcomes supported it."""
RECENCY = 3
FLUENT = 60
"""Outcomes a class at which the newest one counts a quarter; fewer come from few places and hours."""
RECORD = 24
"""Outcomes that a record goes back to."""
RECORD_DECAY = 0.9
LEAST_CHANCE = 0.01
"""Probabilities nearer to 0 or 1 are taken as this: one certain outcome that is wrong would outweigh all others."""
SURPRISE = 6.0
"""Log likelihood that a record must gain to be half believed: chance alone hardly gains two."""
NEWTON_STEPS = 30
# beyond it exp() gains nothing, and would overflow at 709
STEEPEST = 40.0


class Evidence(NamedTuple):
    """Evidence for a decision."""

    novelty: int
    """In 1/1024 octave, as the separation."""
    separation: int
    learnt: int
    """Examples of the named class then."""
    classes: int
    """Classes known then."""


class Outcome(NamedTuple):
    """A decision on an object whose class was then said."""

    evidence: Evidence
    right: bool
    named: str
    """The class that was decided, by its present name."""


class Record(NamedTuple):
    """Comparison of the newest outcomes with the stated probabilities."""

    share: float
    """Of right ones."""
    weight: float
    """Trust in the record, 0..1."""

    def bounds(self, chance: float) -> float:
        """Return a probability, no higher than the record allows."""
        return chance + self.weight * (min(chance, self.share) - chance)


class Calibration(NamedTuple):
    """Weights of the logistic, and the records."""

    weights: tuple[float, ...]
    record: Record
    of_class: dict[str, Record]
    """By the named class."""

    def probability(self, decision: Decision) -> float:
        """Return the probability in 0..1 that a decision is right if a taught class is shown; 0 for "unknown"."""
        found = evidence(decision)
        return 0.0 if found is None or decision.label is None else self.of(found, decision.label)

    def of(self, evidence: Evidence, named: str) -> float:
        """Return the probability in 0..1 that class `named` is right, with this evidence for it."""
        chance = float(_logistic(_inputs([evidence]) @ np.array(self.weights))[0])
        # the class's bound first, then that of all: the lower one counts
        own = self.of_class.get(named)
        return self.record.bounds(chance if own is None else own.bounds(chance))


def evidence(decision: Decision) -> Evidence | None:
    """Return what speaks for a decision; None for "unknown", which names no class."""
    if decision.label is None:
        return None
    return Evidence(decision.novelty, decision.separation, decision.learnt, len(decision.labels))


def outcome(before: Decision, label: str) -> Outcome | None:
    """Return how a decision turned out whose object is now said to be `label`.

    None where there is nothing to learn from: the class was not known yet, or the decision was "unknown".
    """
    found = evidence(before)
    # a class that was not known could not be named: that is the rejection's business
    if found is None or before.label is None or label not in before.labels:
        return None
    return Outcome(found, before.label == label, before.label)


def calibrate(outcomes: Sequence[Outcome]) -> Calibration:
    """Return the calibration that the outcomes, oldest first, and the prior give; the last MAX_OUTCOMES are used."""
    used = outcomes[-MAX_OUTCOMES:]
    prior, precision = np.array(PRIOR), np.array(PRECISION)
    if not used:
        return Calibration(PRIOR, Record(1.0, 0.0), {})
    inputs, right = _inputs([one.evidence for one in used]), np.array([one.right for one in used], float)
    rank = np.arange(1, len(used) + 1)
    fluency = rank / (rank + FLUENT * np.array([one.evidence.classes for one in used]))
    count = (rank / len(used)) ** RECENCY * fluency**2
    weights = prior.copy()
    # a fixed number, without a test for convergence: equal outcomes give equal weights
    for _ in range(NEWTON_STEPS):
        weights = _newton_step(weights, inputs, right, count, prior, precision)
    chance = _logistic(inputs @ weights)
    named = np.array([one.named for one in used])
    of_class = {name: _record(chance[named == name], right[named == name]) for name in dict.fromkeys(named.tolist())}
    return Calibration(tuple(float(value) for value in weights), _record(chance, right), of_class)


def _record(chance: NDArray[np.float64], right: NDArray[np.float64]) -> Record:
    """Return the record of the newest outcomes: chance (m,) as they are stated now, right (m,)."""
    chance, right = np.clip(chance[-RECORD:], LEAST_CHANCE, 1 - LEAST_CHANCE), right[-RECORD:]
    count = RECORD_DECAY ** np.arange(len(right))[::-1]
    # Laplace's rule: one right and one wrong more, so that few outcomes claim little
    share = (float(count @ right) + 1) / (float(count.sum()) + 2)
    # as good as stated, or better: nothing to bound
    if share >= float(count @ chance) / float(count.sum()):
        return Record(1.0, 0.0)
    stated = float(count @ np.log(np.where(right > 0, chance, 1 - chance)))
    happened = float(count @ np.log(np.where(right > 0, share, 1 - share)))
    return Record(share, float(_logistic(np.array(happened - stated - SURPRISE))))


def _inputs(found: Sequence[Evidence]) -> NDArray[np.float64]:
    """Return (m, 5): 1, separation and familiarity in octaves, log2 of examples and of classes."""
    table = np.array(found, float).reshape(len(found), len(Evidence._fields))
    novelty, separation, learnt, classes = table.T
    return np.stack(
        [
            np.ones(len(table)),
            np.clip(separation, -FURTHEST, FURTHEST) / OCTAVE,
            -np.clip(novelty, -FURTHEST, FURTHEST) / OCTAVE,
            np.log2(np.maximum(learnt, 1)),
            np.log2(np.maximum(classes, 1)),
        ],
        axis=1,
    )


def _logistic(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    chance: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(scores, -STEEPEST, STEEPEST)))
    return chance


def _newton_step(
    weights: NDArray[np.float64],
    inputs: NDArray[np.float64],
    right: NDArray[np.float64],
    count: NDArray[np.float64],
    prior: NDArray[np.float64],
    precision: NDArray[np.float64],
) -> NDArray[np.float64]:
    chance = _logistic(inputs @ weights)
    slope = inputs.T @ (count * (chance - right)) + precision * (weights - prior)
    curvature = (inputs * (count * chance * (1 - chance))[:, None]).T @ inputs + np.diag(precision)
    step = np.linalg.solve(curvature, slope)
    # steps of at most 4: Newton's method may overshoot far from the solution
    found: NDArray[np.float64] = weights - step * min(1.0, 4 / max(float(np.abs(step).max()), 1e-12))
    found[1:3] = np.maximum(found[1:3], 0)  # more evidence never makes a decision less sure
    return found
