"""Wrong presses: some examples are taught under another class's name."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_app.evaluation.splits import presentation_order

_WHICH, _TO_WHAT = 2000, 2001
"""Numbers that keep these seeded orders apart from those of the passes."""


def with_wrong_labels(labels: NDArray[np.intp], names: Sequence[str], share: float, seed: int) -> NDArray[np.intp]:
    """Return labels (m,) of which round(share * m) were moved to another class that occurs, each equally likely.

    names (m,) are the examples' names, which with the seed settle everything. With one class nothing can be wrong.
    """
    there = np.unique(labels)
    wrong = labels.copy()
    if len(there) < 2:
        return wrong
    chosen = presentation_order(names, seed, _WHICH)[: round(share * len(labels))]
    place = {row: rank for rank, row in enumerate(presentation_order(names, seed, _TO_WHAT))}
    for row in chosen:
        own = int(np.searchsorted(there, labels[row]))
        wrong[row] = there[(own + 1 + place[row] % (len(there) - 1)) % len(there)]
    return wrong
