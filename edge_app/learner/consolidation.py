"""What is dreamt next: bounded, and decided by what is stored alone."""

import zlib
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
    """Dreams or rehearsals of one example."""
    per_class: int = 60
    """Examples and dreams of a class from which on it is rehearsed instead: it has been seen from enough sides."""

    def __post_init__(self) -> None:
        if not 0 <= self.per_example <= MOST_DREAMS:
            raise InputError(f"dreams = {self.per_example}, expected 0..{MOST_DREAMS} of each example")
        if self.per_class < 0:
            raise InputError(f"per_class = {self.per_class}, expected a number of examples and dreams, at least 0")


class Task(NamedTuple):
    """A dream that is yet to be made, or a rehearsal."""

    example: int
    number: int
    thumbnail: bytes | None
    """What the dream is made from, JPEG; None: the example is rehearsed as it was."""


class Choice(NamedTuple):
    """Whose turn it is."""

    example: int
    number: int
    altered: bool
    """Whether it is dreamt of; else it is rehearsed."""


def choose(dreamers: Sequence[Dreamer], taught: Mapping[str, int], bounds: Bounds) -> Choice | None:
    """Return what to dream of, or to rehearse, next; None: nothing.

    First those with the fewest dreams: of them, the one that was taught first if its class may be dreamt of, else
    rehearsals, in an order in which classes alternate however they were taught. `taught` is the number of examples of
    each class, those without a thumbnail counted.
    """
    seen = Counter(taught)
    for dreamer in dreamers:
        seen[dreamer.label] += dreamer.dreams
    eligible = (d for d in dreamers if d.dreams < bounds.per_example)

    def turn(dreamer: Dreamer) -> tuple[int, bool, int]:
        rehearsed = seen[dreamer.label] >= bounds.per_class
        return dreamer.dreams, rehearsed, scattered(dreamer.example) if rehearsed else dreamer.example

    found = min(eligible, key=turn, default=None)
    return found and Choice(found.example, found.dreams, seen[found.label] < bounds.per_class)


def scattered(example: int) -> int:
    """Return a number that orders examples as if they had been shuffled, no two of 2^32 alike."""
    return zlib.crc32(example.to_bytes(8))


def left(dreamers: Sequence[Dreamer], bounds: Bounds) -> int:
    """Return how many dreams and rehearsals are still to be made."""
    return sum(max(bounds.per_example - dreamer.dreams, 0) for dreamer in dreamers)
