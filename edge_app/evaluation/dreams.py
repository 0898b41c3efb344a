"""The order in which a device would dream of what it was taught, and what a network must know for it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge_app.learner.consolidation import ReplayPolicy, scattered

Dreams = Mapping[tuple[int, int], NDArray[np.uint8]]
"""(row, number of the dream) -> spike counts (n_inputs,)."""


@runtime_checkable
class Varying(Protocol):
    """A network that learns from dreams and rehearsals."""

    def learn_variation(self, counts: NDArray[np.uint8], label: str) -> None:
        """Learn that an example of a class could also look like counts (n_inputs,)."""

    def rehearse_one(self, counts: NDArray[np.uint8], label: str) -> None:
        """Go again through an example that was learnt, (n_inputs,)."""


class ReplayStep(NamedTuple):
    """One dream or rehearsal, in the order in which they are made."""

    place: int
    """Of the example, in the order in which they were taught."""
    number: int
    altered: bool
    """Whether it is a dream."""


def dream_steps(labels: Sequence[int], bounds: ReplayPolicy) -> list[ReplayStep]:
    """Return what `Learner.next_dream` would have chosen, of examples of these classes in the order of teaching."""
    seen = Counter(labels)
    made = [0] * len(labels)
    found = []
    for number in range(max(bounds.per_example, bounds.rehearsals)):
        rehearsed = []
        for index, label in enumerate(labels):
            if made[index] != number or not bounds.wants(number, seen[label]):
                continue
            made[index] += 1
            if seen[label] < bounds.per_class:
                found.append(ReplayStep(index, number, altered=True))
            else:
                rehearsed.append(index)
            seen[label] += 1
        rehearsed.sort(key=lambda index: scattered(index + 1))  # the store counts from 1
        found += [ReplayStep(index, number, altered=False) for index in rehearsed]
    return found
