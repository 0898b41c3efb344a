"""The order in which a device would dream of what it was taught, and what a network must know for it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge_app.learner.consolidation import Bounds

Dreams = Mapping[tuple[int, int], NDArray[np.uint8]]
"""(row, number of the dream) -> spike counts (n_inputs,)."""


@runtime_checkable
class Varying(Protocol):
    """A network that learns from dreams."""

    def learn_variation(self, counts: NDArray[np.uint8], label: str) -> None:
        """Learn that an example of a class could also look like counts (n_inputs,)."""


class Step(NamedTuple):
    """One dream, in the order in which they are made."""

    place: int
    """Of the example, in the order in which they were taught."""
    number: int


def dream_steps(labels: Sequence[int], bounds: Bounds) -> list[Step]:
    """Return what `Learner.next_dream` would have dreamt of: examples of these classes, in the order of teaching."""
    seen = Counter(labels)
    found = []
    for number in range(bounds.per_example):
        for index, label in enumerate(labels):
            if seen[label] < bounds.per_class:
                seen[label] += 1
                found.append(Step(index, number))
    return found
