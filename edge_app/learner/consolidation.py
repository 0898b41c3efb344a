"""The choice of the next dream or rehearsal, from the stored examples alone."""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from edge_app.config import ConsolidationConfig
from edge_app.storage.records import ReplayCandidate


class ReplayTask(NamedTuple):
    """A dream or a rehearsal to learn."""

    example: int
    number: int
    thumbnail: bytes | None
    """The picture to alter, JPEG; None: a rehearsal, of the example unchanged."""


class ReplayChoice(NamedTuple):
    """The example that is next."""

    example: int
    number: int
    altered: bool
    """True: a dream; False: a rehearsal."""


def schedule(
    candidates: Iterable[ReplayCandidate], examples: Mapping[str, int], config: ConsolidationConfig
) -> Iterator[ReplayChoice]:
    """Yield all dreams and rehearsals that are left, in the order in which they are to be learnt.

    Examples with the fewest dreams come first: of them the dreams, in the order of teaching, then the rehearsals, in an
    order in which classes alternate. `examples` is the number of examples of each class, without thumbnails included.
    """
    ordered = sorted(candidates, key=lambda candidate: candidate.example)
    # counted on while the schedule is made: each step depends on those before it
    done = {candidate.example: candidate.dreams for candidate in ordered}
    seen = Counter(examples)
    for candidate in ordered:
        seen[candidate.label] += candidate.dreams
    for number in range(max(config.dreams, config.rehearsals)):
        rehearsed = []
        for example, label, _ in ordered:
            # docs/consolidation.md has the measurements behind this bound
            altered = seen[label] < config.per_class
            if done[example] != number or number >= (config.dreams if altered else config.rehearsals):
                continue
            done[example] += 1
            seen[label] += 1
            if altered:
                yield ReplayChoice(example, number, altered)
            else:
                # collected, because rehearsals follow the dreams of a round and are shuffled
                rehearsed.append(example)
        yield from (ReplayChoice(example, number, False) for example in sorted(rehearsed, key=scattered))


def choose(
    candidates: Iterable[ReplayCandidate], examples: Mapping[str, int], config: ConsolidationConfig
) -> ReplayChoice | None:
    """Return the next dream or rehearsal; None if none is left."""
    return next(schedule(candidates, examples, config), None)


def left(candidates: Iterable[ReplayCandidate], examples: Mapping[str, int], config: ConsolidationConfig) -> int:
    """Return how many dreams and rehearsals are left."""
    return sum(1 for _ in schedule(candidates, examples, config))


def schedule_new(labels: Sequence[str], config: ConsolidationConfig) -> list[ReplayChoice]:
    """Return the whole schedule of examples that have no dreams yet, taught in this order; their ids count from 0."""
    candidates = [ReplayCandidate(number, label, 0) for number, label in enumerate(labels, start=1)]
    return [choice._replace(example=choice.example - 1) for choice in schedule(candidates, Counter(labels), config)]


def scattered(example: int) -> int:
    """Return a number that orders examples as if shuffled; different for all examples below 2^32."""
    # no random numbers: the order must be the same on every device and after every start
    return zlib.crc32(example.to_bytes(8))
