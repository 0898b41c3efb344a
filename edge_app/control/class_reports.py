"""Class reports: accuracy of each class, what it is confused with, and advice on what to show next."""

from collections.abc import Mapping
from typing import NamedTuple

from edge_app.pipeline.accuracy import ENOUGH_OF, ClassAccuracy


class ClassReport(NamedTuple):
    """The report on one class."""

    label: str
    examples: int
    """Stored examples."""
    accuracy: ClassAccuracy
    confused_with: tuple[tuple[str, int], ...]
    """(class, count): what its newest examples were taken for before they were learnt, most frequent first."""
    advice: str


def report_of(label: str, examples: int, accuracy: ClassAccuracy | None, known: int) -> ClassReport:
    """Return the report on one of `known` classes."""
    found = accuracy or ClassAccuracy(0, 0, 0)
    confused = tuple((name, count) for name, count in found.confused if name is not None)
    return ClassReport(label, examples, found, confused, advice(label, examples, found, confused, known))


def advice(
    label: str, examples: int, accuracy: ClassAccuracy, confused: tuple[tuple[str, int], ...], known: int
) -> str:
    """Return what to show next, in a sentence or two."""
    if known < 2:
        return "Teach a second thing: with only one, everything looks like it."
    if accuracy.enough:
        return "Enough. Teach it again when it is named wrongly."
    # the most frequent confusion: showing both in turn helps more than showing one again
    if confused and accuracy.right < accuracy.predicted:
        other = confused[0][0]
        return f"Often taken for {other}: show {label} and {other} in turn, from the sides on which they differ."
    missing = max(1, ENOUGH_OF - accuracy.predicted)
    times = "once more" if missing == 1 else f"{missing} more times"
    how = "another side, nearer and farther, other light" if examples < ENOUGH_OF else "as it will be seen later on"
    return f"Show it {times}: {how}."


def class_reports(classes: Mapping[str, int], accuracies: Mapping[str, ClassAccuracy]) -> list[ClassReport]:
    """Return the reports on all classes, given {class: stored examples} in the order of their first example."""
    return [report_of(label, count, accuracies.get(label), len(classes)) for label, count in classes.items()]
