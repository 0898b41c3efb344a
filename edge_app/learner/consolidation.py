"""What is dreamt next: bounded, and decided by what is stored alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_app.errors import InputError
from edge_app.storage.records import Dreamer

MOST_DREAMS = 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is dreamt. Raises InputError for a value out of its range."""

    per_example: int = 1
    """Dreams of one example."""
    per_class: int = 60
    """Examples and dreams of a class from which on it is not dreamt of: it has been seen often enough."""

    def __post_init__(self) -> None:
        if not 0 <= self.per_example <= MOST_DREAMS:
            raise InputError(f"dreams = {self.per_example}, expected 0..{MOST_DREAMS} of each example")
        if self.per_class < 0:
            raise InputError(f"per_class = {self.per_class}, expected a number of examples and dreams, at least 0")


class Task(NamedTuple):
    """A dream that is yet to be made."""

    example: int
    number: int
    thumbnail: bytes
    """What it is made from, JPEG."""


def choose(dreamers: Sequence[Dreamer], taught: Mapping[str, int], bounds: Bounds) -> Dreamer | None:
    """Return the example to dream of: of those with the fewest dreams the one that was taught first; None: none.

    `taught` is the number of examples of each class, those without a thumbnail counted.
    """
    seen = Counter(taught)
    for dreamer in dreamers:
        seen[dreamer.label] += dreamer.dreams
    eligible = (d for d in dreamers if d.dreams < bounds.per_example and seen[d.label] < bounds.per_class)
    return min(eligible, key=lambda d: (d.dreams, d.example), default=None)


def left(dreamers: Sequence[Dreamer], taught: Mapping[str, int], bounds: Bounds) -> int:
    """Return how many dreams are still to be made."""
    wanted: Counter[str] = Counter()
    seen = Counter(taught)
    for dreamer in dreamers:
        wanted[dreamer.label] += max(bounds.per_example - dreamer.dreams, 0)
        seen[dreamer.label] += dreamer.dreams
    return sum(min(count, max(bounds.per_class - seen[label], 0)) for label, count in wanted.items())
