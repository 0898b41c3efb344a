"""Have I shown it enough, what is it mistaken for, and what should I show next? In plain words, class by class."""

from collections.abc import Mapping
from typing import NamedTuple

from edge_app.pipeline.accuracy import ENOUGH_OF, ClassAccuracy


class ClassReport(NamedTuple):
    """How a class is doing."""

    label: str
    examples: int
    """Stored."""
    standing: ClassAccuracy
    confused_with: tuple[tuple[str, int], ...]
    """Other classes that its last examples were taken for before they were learnt, and how often, the most frequent
    first."""
    advice: str
    """What to show next."""


def report_of(label: str, examples: int, standing: ClassAccuracy | None, known: int) -> ClassReport:
    """Return the report of a class among `known` classes."""
    stands = standing or ClassAccuracy(0, 0, 0)
    confused = tuple((name, count) for name, count in stands.confused if name is not None)
    return ClassReport(label, examples, stands, confused, advice(label, examples, stands, confused, known))


def advice(
    label: str, examples: int, standing: ClassAccuracy, confused: tuple[tuple[str, int], ...], known: int
) -> str:
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


def ordered(classes: Mapping[str, int], standings: Mapping[str, ClassAccuracy]) -> list[ClassReport]:
    """Return the reports of all classes, in the order in which they were first taught."""
    return [report_of(label, count, standings.get(label), len(classes)) for label, count in classes.items()]
