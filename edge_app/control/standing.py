"""Have I shown it enough, what is it mistaken for, and what should I show next? In plain words, class by class."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from edge_app.pipeline.progress import ENOUGH_OF, REMEMBERED, Standing


class ClassReport(NamedTuple):
    """How a class is doing."""

    label: str
    examples: int
    """Stored."""
    standing: Standing
    confused_with: tuple[tuple[str, int], ...]
    """Other classes that its examples were taken for before they were learnt, and how often; the most frequent first.

    Of the examples taught since the start of the program."""
    advice: str
    """What to show next."""


class Mistakes:
    """What each example was taken for before it was learnt; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: dict[int, tuple[str, str | None]] = {}

    def taught(self, example: int, label: str, before: str | None) -> None:
        """Take in an example."""
        with self._lock:
            self._before[example] = label, before
            if len(self._before) > REMEMBERED:
                del self._before[next(iter(self._before))]

    def keep_only(self, examples: Iterable[tuple[int, str]]) -> None:
        """Follow a correction: what is not in `examples`, (number, class now), was taken back."""
        now = dict(examples)
        with self._lock:
            self._before = {
                number: (now[number], before) for number, (_, before) in self._before.items() if number in now
            }

    def before(self, example: int) -> str | None:
        """Return what an example was taken for; None for unknown, and where it is not known."""
        with self._lock:
            return self._before.get(example, ("", None))[1]

    def of(self, label: str) -> tuple[tuple[str, int], ...]:
        """Return the classes that this one's examples were taken for, the most frequent first."""
        with self._lock:
            wrong = Counter(before for name, before in self._before.values() if name == label and before != label)
        del wrong[None]
        return tuple((name, count) for name, count in wrong.most_common() if name is not None)


def report_of(label: str, examples: int, standing: Standing | None, mistakes: Mistakes, known: int) -> ClassReport:
    """Return the report of a class among `known` classes."""
    stands = standing or Standing(0, 0, 0)
    confused = tuple((name, count) for name, count in mistakes.of(label))
    return ClassReport(label, examples, stands, confused, advice(label, examples, stands, confused, known))


def advice(label: str, examples: int, standing: Standing, confused: tuple[tuple[str, int], ...], known: int) -> str:
    """Return what to show next, a sentence or two."""
    if known < 2:
        return "Teach a second thing: with only one, everything looks like it."
    if standing.enough:
        return "Enough. Teach it again when it is named wrongly."
    if confused and standing.right < standing.predicted:
        other = confused[0][0]
        return f"Often taken for {other}: show {label} and {other} in turn, from the sides on which they differ."
    missing = max(1, ENOUGH_OF - standing.predicted)
    times = "once more" if missing == 1 else f"{missing} more times"
    how = "another side, nearer and farther, other light" if examples < ENOUGH_OF else "as it will be seen later on"
    return f"Show it {times}: {how}."


def ordered(classes: Mapping[str, int], standings: Mapping[str, Standing], mistakes: Mistakes) -> list[ClassReport]:
    """Return the reports of all classes, in the order in which they were first taught."""
    return [report_of(label, count, standings.get(label), mistakes, len(classes)) for label, count in classes.items()]
