"""What is dreamt next: bounded, and decided by what is stored alone."""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_app.errors import InputError
from edge_app.storage.records import ReplayCandidate

MOST_DREAMS = 16


@dataclass(frozen=True, slots=True)
class ReplayPolicy:
    """How much is dreamt. Raises InputError for a value out of its range."""

    per_example: int = 1
    """Dreams of one example."""
    per_class: int = 60
    """Examples and dreams of a class from which on it is rehearsed instead: it has been seen from enough sides."""
    rehearsals: int = 4
    """Of one example, dreams of it counted."""

    def __post_init__(self) -> None:
        if not 0 <= self.per_example <= MOST_DREAMS:
            raise InputError(f"dreams = {self.per_example}, expected 0..{MOST_DREAMS} of each example")
        if self.per_class < 0:
            raise InputError(f"per_class = {self.per_class}, expected a number of examples and dreams, at least 0")
        if not 0 <= self.rehearsals <= MOST_DREAMS:
            raise InputError(f"rehearsals = {self.rehearsals}, expected 0..{MOST_DREAMS} of each example")

    def wants(self, dreams: int, seen: int) -> bool:
        """Whether an example with so many dreams, of a class seen so often, is to be dreamt of, or rehearsed."""
        return dreams < (self.per_example if seen < self.per_class else self.rehearsals)


class ReplayTask(NamedTuple):
    """A dream that is yet to be made, or a rehearsal."""

    example: int
    number: int
    thumbnail: bytes | None
    """What the dream is made from, JPEG; None: the example is rehearsed as it was."""


class ReplayChoice(NamedTuple):
    """Whose turn it is."""

    example: int
    number: int
    altered: bool
    """Whether it is dreamt of; else it is rehearsed."""


def choose(dreamers: Sequence[ReplayCandidate], taught: Mapping[str, int], bounds: ReplayPolicy) -> ReplayChoice | None:
    """Return what to dream of, or to rehearse, next; None: nothing.

    First those with the fewest dreams: of them, the one that was taught first if its class may be dreamt of, else
    rehearsals, in an order in which classes alternate however they were taught. `taught` is the number of examples of
    each class, those without a thumbnail counted.
    """
    seen = Counter(taught)
    for dreamer in dreamers:
        seen[dreamer.label] += dreamer.dreams
    eligible = (d for d in dreamers if bounds.wants(d.dreams, seen[d.label]))

    def turn(dreamer: ReplayCandidate) -> tuple[int, bool, int]:
        rehearsed = seen[dreamer.label] >= bounds.per_class
        return dreamer.dreams, rehearsed, scattered(dreamer.example) if rehearsed else dreamer.example

    found = min(eligible, key=turn, default=None)
    return found and ReplayChoice(found.example, found.dreams, seen[found.label] < bounds.per_class)


def scattered(example: int) -> int:
    """Return a number that orders examples as if they had been shuffled, no two of 2^32 alike."""
    return zlib.crc32(example.to_bytes(8))


def left(dreamers: Sequence[ReplayCandidate], taught: Mapping[str, int], bounds: ReplayPolicy) -> int:
    """Return how many dreams and rehearsals are still to be made."""
    seen = Counter(taught)
    for dreamer in dreamers:
        seen[dreamer.label] += dreamer.dreams
    made = Counter({dreamer.example: dreamer.dreams for dreamer in dreamers})
    before = made.total()
    for number in range(max(bounds.per_example, bounds.rehearsals)):
        for dreamer in dreamers:
            if made[dreamer.example] == number and bounds.wants(number, seen[dreamer.label]):
                made[dreamer.example] += 1
                seen[dreamer.label] += 1
    return made.total() - before
