"""The choice of the next dream or rehearsal, from the stored examples alone."""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_app.errors import InputError
from edge_app.storage.records import ReplayCandidate

MOST_DREAMS = 16


@dataclass(frozen=True, slots=True)
class ReplayPolicy:
    """Limits on dreams and rehearsals. Raises InputError for a value out of range."""

    per_example: int = 1
    """Dreams of one example."""
    per_class: int = 60
    """A class with this many examples and dreams is rehearsed instead: it varies enough."""
    rehearsals: int = 4
    """Rehearsals of one example, including dreams."""

    def __post_init__(self) -> None:
        if not 0 <= self.per_example <= MOST_DREAMS:
            raise InputError(f"dreams = {self.per_example}, expected 0..{MOST_DREAMS} of each example")
        if self.per_class < 0:
            raise InputError(f"per_class = {self.per_class}, expected a number of examples and dreams, at least 0")
        if not 0 <= self.rehearsals <= MOST_DREAMS:
            raise InputError(f"rehearsals = {self.rehearsals}, expected 0..{MOST_DREAMS} of each example")

    def wants(self, dreams: int, seen: int) -> bool:
        """Whether an example with `dreams` dreams, of a class presented `seen` times, gets another one."""
        return dreams < (self.per_example if seen < self.per_class else self.rehearsals)


class ReplayTask(NamedTuple):
    """A dream or a rehearsal to learn."""

    example: int
    number: int
    thumbnail: bytes | None
    """The picture to alter, JPEG; None: rehearse the example unchanged."""


class ReplayChoice(NamedTuple):
    """The example that is next."""

    example: int
    number: int
    altered: bool
    """True: a dream; False: a rehearsal."""


def schedule(
    candidates: Iterable[ReplayCandidate], examples: Mapping[str, int], policy: ReplayPolicy
) -> Iterator[ReplayChoice]:
    """Yield all dreams and rehearsals that are left, in the order in which they are to be learnt.

    Examples with the fewest dreams come first: of them the dreams, in the order of teaching, then the rehearsals, in an
    order in which classes alternate. `examples` is the number of examples of each class, without thumbnails included.
    """
    ordered = sorted(candidates, key=lambda candidate: candidate.example)
    done = {candidate.example: candidate.dreams for candidate in ordered}
    seen = Counter(examples)
    for candidate in ordered:
        seen[candidate.label] += candidate.dreams
    for number in range(max(policy.per_example, policy.rehearsals)):
        rehearsed = []
        for example, label, _ in ordered:
            if done[example] != number or not policy.wants(number, seen[label]):
                continue
            altered = seen[label] < policy.per_class
            done[example] += 1
            seen[label] += 1
            if altered:
                yield ReplayChoice(example, number, altered)
            else:
                rehearsed.append(example)
        yield from (ReplayChoice(example, number, False) for example in sorted(rehearsed, key=scattered))


def choose(
    candidates: Iterable[ReplayCandidate], examples: Mapping[str, int], policy: ReplayPolicy
) -> ReplayChoice | None:
    """Return the next dream or rehearsal; None if none is left."""
    return next(schedule(candidates, examples, policy), None)


def left(candidates: Iterable[ReplayCandidate], examples: Mapping[str, int], policy: ReplayPolicy) -> int:
    """Return how many dreams and rehearsals are left."""
    return sum(1 for _ in schedule(candidates, examples, policy))


def schedule_new(labels: Sequence[str], policy: ReplayPolicy) -> list[ReplayChoice]:
    """Return the whole schedule of examples that have no dreams yet, taught in this order; their ids count from 0."""
    candidates = [ReplayCandidate(number, label, 0) for number, label in enumerate(labels, start=1)]
    return [choice._replace(example=choice.example - 1) for choice in schedule(candidates, Counter(labels), policy)]


def scattered(example: int) -> int:
    """Return a number that orders examples as if shuffled; different for all examples below 2^32."""
    return zlib.crc32(example.to_bytes(8))
