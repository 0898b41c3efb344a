"""Groups visits whose embeddings look alike: average-linkage clustering on cosines, the same on every machine."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_app.history.records import VisitGroup

ALIKE = 0.8
"""Mean cosine of the embeddings of two groups from which they are one; chosen by `calibration/groups.py`."""
SCALE = 1 << 20
"""Cosines are whole numbers of 1/SCALE."""


def cosines(embeddings: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the cosines (m, m) of embeddings (m, n) with one another, in 1/SCALE; 0 beside a vector of zeros."""
    # every product and every sum is a whole number below 2^53, so that float64 is exact in whatever order it adds
    rows = embeddings.astype(np.float64)
    products = rows @ rows.T
    squares = np.diagonal(products)
    # a product of two squares may need more bits, but IEEE rounds the root to the same float64 everywhere
    lengths = np.sqrt(squares)
    found = np.floor(products * SCALE / np.maximum(np.outer(lengths, lengths), 1.0))
    cosines_: NDArray[np.int64] = np.minimum(found, SCALE).astype(np.int64)
    return cosines_


def group(ids: Sequence[int], embeddings: NDArray[np.uint8], alike: float = ALIKE) -> list[VisitGroup]:
    """Return groups of visits that look alike, the largest first, then by their first id; single visits are left out.

    embeddings: (m, n) uint8, one row for each id. Takes m^2 memory and up to m^3 time: give some hundreds at most.
    """
    likeness = cosines(embeddings)
    groups = []
    for members in _clusters(likeness, round(alike * SCALE)):
        if len(members) < 2:
            continue
        inside = likeness[np.ix_(members, members)]
        # argmax takes the first of equals: the order of the ids decides
        typical = int(inside.sum(axis=1).argmax())
        order = np.lexsort((np.arange(len(members)), -inside[typical])).tolist()
        order.remove(typical)
        mean = (int(inside[typical].sum()) - int(inside[typical, typical])) / (len(members) - 1) / SCALE
        groups.append(VisitGroup([ids[members[index]] for index in (typical, *order)], mean))
    return sorted(groups, key=lambda one: (-len(one.visits), min(one.visits)))


def _clusters(likeness: NDArray[np.int64], alike: int) -> list[list[int]]:
    """Merge the two groups of the highest mean likeness again and again, while it is `alike` or more."""
    count = len(likeness)
    sums = likeness.copy()
    sizes = np.ones(count, np.int64)
    members = [[index] for index in range(count)]
    means = likeness.copy()
    # a group is not compared with itself
    np.fill_diagonal(means, -1)
    for _ in range(count - 1):
        # the first of equals, so that the result does not depend on anything else
        first, second = divmod(int(means.argmax()), count)
        if means[first, second] < alike:
            break
        first, second = min(first, second), max(first, second)
        members[first] += members[second]
        members[second] = []
        sums[first] += sums[second]
        sums[:, first] += sums[:, second]
        sizes[first] += sizes[second]
        sizes[second] = 0
        means[second] = means[:, second] = -1
        left = np.flatnonzero(sizes)
        left = left[left != first]
        means[first, left] = means[left, first] = sums[first, left] // (sizes[first] * sizes[left])
    return [sorted(one) for one in members if one]
