"""When a decision becomes "unknown": a limit on its novelty, from the user's own examples and one setting.

`strictness` goes from 0, a name whenever a column spiked, to 1, unknown unless it looks just like the examples.
Decisions on taught examples, made before they were learnt, show how new a right one is: with the median m of the
novelty of those that were right, and the spread u from there to the ninth tenth,

    limit = m + 4.5 (1 - strictness) u       a decision with a higher novelty is "unknown"

At 1/2 the limit lies well above all that was taught: what is taught in a few poses is used in more. Novelty falls as
more is learnt, so outcome i of n counts (i/n)^2, and novelty above FURTHEST, by which a first or second example may lie
off, counts as FURTHEST. Until there are enough, a prior counts as PRIOR_WEIGHT outcomes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.confidence import OCTAVE
from edge_app.errors import InputError

DEFAULT = 0.5
SPREADS = 4.5
"""From the median to the limit at strictness 0, if that had one."""
PRIOR_MEDIAN, PRIOR_SPREAD, PRIOR_WEIGHT = 1.0 * OCTAVE, 4.0 * OCTAVE, 2.0
"""Right decisions after one example of each class."""
FURTHEST = 3 * OCTAVE
"""Novelty beyond this says nothing more about how new right decisions are."""
RECENCY = 2
NEWEST = 2000
"""Outcomes that are used."""
PREVIEWED = 200
"""Outcomes that a preview replays."""


class Seen(NamedTuple):
    """A decision on an example before it was learnt."""

    novelty: int
    right: bool


class Spread(NamedTuple):
    """How new right decisions are, in 1/1024 octave."""

    median: float
    upper: float
    """From the median to the ninth tenth."""

    def limit(self, strictness: float) -> int | None:
        """Return the greatest novelty that still has a name; None: any has."""
        if strictness <= 0:
            return None
        return int(np.floor(self.median + SPREADS * (1 - strictness) * self.upper))


class RejectionPreview(NamedTuple):
    """The effect of a strictness on the newest examples, each judged by what was known before it."""

    strictness: float
    right: int
    right_rejected: int
    wrong: int
    wrong_rejected: int


def check_strictness(value: float) -> float:
    """Return a strictness, 0..1. Raises InputError for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InputError(
            f"strictness = {value!r}, expected a number from 0 (a name whenever a column spiked) to 1 (unknown unless "
            "it looks just like the examples)"
        )
    return float(value)


def spread_of(seen: Sequence[Seen]) -> Spread:
    """Return the spread that the decisions, oldest first, and the prior give."""
    # bounded: this runs with every press
    used = seen[-NEWEST:]
    right = np.array([one.right for one in used], bool)
    novelty = np.array([min(one.novelty, FURTHEST) for one in used], float)
    count = (np.arange(1, len(used) + 1) / max(len(used), 1)) ** RECENCY
    return _blend(novelty[right], count[right])


def preview(seen: Sequence[Seen], strictness: Sequence[float]) -> list[RejectionPreview]:
    """Replay the last PREVIEWED decisions at each strictness."""
    first = max(len(seen) - PREVIEWED, 0)
    # once, not for every strictness: what was known before each decision is the same
    spreads = [spread_of(seen[:index]) for index in range(first, len(seen))]
    found = []
    for value in strictness:
        limits = [spread.limit(value) for spread in spreads]
        rejected = [limit is not None and one.novelty > limit for one, limit in zip(seen[first:], limits, strict=True)]
        hits = [one.right for one in seen[first:]]
        found.append(
            RejectionPreview(
                value,
                sum(hits),
                sum(no and hit for no, hit in zip(rejected, hits, strict=True)),
                len(hits) - sum(hits),
                sum(no and not hit for no, hit in zip(rejected, hits, strict=True)),
            )
        )
    return found


def _blend(novelty: NDArray[np.float64], count: NDArray[np.float64]) -> Spread:
    weight = float(count.sum())
    # nothing was decided rightly yet
    if weight == 0:
        return Spread(PRIOR_MEDIAN, PRIOR_SPREAD)
    median = _quantile(novelty, count, 0.5)
    upper = _quantile(novelty, count, 0.9) - median
    total = weight + PRIOR_WEIGHT
    return Spread(
        (weight * median + PRIOR_WEIGHT * PRIOR_MEDIAN) / total,
        (weight * upper + PRIOR_WEIGHT * PRIOR_SPREAD) / total,
    )


def _quantile(values: NDArray[np.float64], count: NDArray[np.float64], share: float) -> float:
    """Return a quantile of weighted values, between their midpoints."""
    order = np.argsort(values, kind="stable")
    midpoints = (np.cumsum(count[order]) - count[order] / 2) / count.sum()
    return float(np.interp(share, midpoints, values[order]))
