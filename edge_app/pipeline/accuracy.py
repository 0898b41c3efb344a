"""Have I shown it enough? Each taught example is first predicted: how often that was right, class by class."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edge_app.storage.records import Example, Prediction

OVER = 10
"""Examples of a class that the answer rests on: the last ones taught."""
ENOUGH_OF, ENOUGH_RIGHT = 5, 0.8
"""Shown enough: at least so many predicted, and this part of them right."""


class ScoredExample(NamedTuple):
    """A stored example, and how what was decided of it before it was learnt came out."""

    label: str
    predicted: str | None
    """The class, by its name now; None: unknown."""
    prediction: Prediction | None
    """None: nothing was decided of it, or its class was new, which nobody could know."""


def judge(examples: Sequence[Example]) -> list[ScoredExample]:
    """Return how the predictions of stored examples, in the order in which they were taught, came out as things are.

    A class that was renamed or merged since is known by an example of it. An example that is of another class now was
    a slip, or its class is another: it is judged by the class that it has.
    """
    now = {example.id: example.label for example in examples}
    names = set(now.values())
    known: set[str] = set()
    judged = []
    for example in examples:
        before = example.before
        predicted = None if before is None else before.label
        if before is not None and predicted not in names and before.example is not None:
            predicted = now.get(before.example, predicted)
        judged.append(ScoredExample(example.label, predicted, before if example.label in known else None))
        known.add(example.label)
    return judged


class ClassAccuracy(NamedTuple):
    """How a class is doing."""

    taught: int
    """Examples of it that are stored."""
    predicted: int
    """The last ones taught that count here: not a class's very first, which nobody could know."""
    right: int
    """Of those, how many were named rightly before they were learnt."""
    confused: tuple[tuple[str | None, int], ...] = ()
    """What the others were taken for, and how often, the most frequent first; None: unknown."""

    @property
    def enough(self) -> bool:
        """Whether it has been shown enough."""
        return self.predicted >= ENOUGH_OF and self.right >= ENOUGH_RIGHT * self.predicted


class _Class:
    def __init__(self) -> None:
        self.taught = 0
        self.last: deque[str | None] = deque(maxlen=OVER)

    def standing(self, label: str) -> ClassAccuracy:
        wrong = Counter(predicted for predicted in self.last if predicted != label)
        return ClassAccuracy(self.taught, len(self.last), len(self.last) - wrong.total(), tuple(wrong.most_common()))


class AccuracyTracker:
    """Test-then-train accuracy of each class, of all that is stored; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._classes: dict[str, _Class] = {}

    def follow(self, judged: Iterable[ScoredExample]) -> None:
        """Begin anew with everything that is stored, in the order in which it was taught."""
        with self._lock:
            self._classes = {}
            for one in judged:
                self._take(one)

    def taught(self, one: ScoredExample) -> None:
        """Take in the example that was taught last."""
        with self._lock:
            self._take(one)

    def standings(self) -> dict[str, ClassAccuracy]:
        """Return {class: how it is doing}, classes in the order of their first example."""
        with self._lock:
            return {label: found.standing(label) for label, found in self._classes.items()}

    def _take(self, one: ScoredExample) -> None:
        found = self._classes.setdefault(one.label, _Class())
        found.taught += 1
        if one.prediction is not None:
            found.last.append(one.predicted)
