"""A bounded number of examples, kept in equal parts of every class seen, to be shown again."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edge_app.evaluation.splits import presentation_order
from edge_app.evaluation.trial import Rows

_KEPT, _REPLAYED = 3002, 4000


class Rehearsal:
    """At most `size` rows, as many of each class as of any other, give or take one; which, the seed says."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed
        self._kept: dict[int, list[int]] = defaultdict(list)

    def keep(self, examples: Iterable[int], rows: Rows) -> None:
        """Take in new rows; older classes give up places for new ones."""
        for row in examples:
            self._kept[int(rows.labels[row])].append(int(row))
        for rank, label in enumerate(sorted(self._kept)):
            places = self.size // len(self._kept) + (rank < self.size % len(self._kept))
            kept = self._kept[label]
            order = presentation_order([rows.names[row] for row in kept], self.seed, _KEPT)
            self._kept[label] = [kept[i] for i in order[:places]]

    def replay(self, rows: Rows, number: int) -> NDArray[np.intp]:
        """Return all that is kept, mixed; `number` tells one replay's order from another's."""
        kept = [row for label in sorted(self._kept) for row in self._kept[label]]
        order = presentation_order([rows.names[row] for row in kept], self.seed, _REPLAYED + number)
        return np.array([kept[i] for i in order], np.intp)
