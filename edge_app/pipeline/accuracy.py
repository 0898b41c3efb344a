"""Test-then-train accuracy, class by class: is this class taught well enough?

Every example is predicted before it is learnt; the score is how often that prediction was right.
"""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edge_app.storage.records import Example, Prediction

OVER = 10
"""The newest examples of a class over which its accuracy is measured."""
ENOUGH_OF, ENOUGH_RIGHT = 5, 0.8
"""A class is taught well enough after this many predictions, if this fraction of them is right."""


class ScoredExample(NamedTuple):
    """A stored example, with the prediction made before it was learnt."""

    label: str
    predicted: str | None
    """The predicted class, by its present name; None: unknown."""
    prediction: Prediction | None
    """None: nothing was predicted, or its class was new and could not have been."""


def judge(examples: Sequence[Example]) -> list[ScoredExample]:
    """Score the predictions of stored examples, in the order of teaching, by the present names of the classes.

    A predicted class that was renamed or merged since is identified by one of its examples. An example that was
    relabelled is scored by the class it has now.
    """
    # by an example's id, because names change and ids do not
    now = {example.id: example.label for example in examples}
    names = set(now.values())
    known: set[str] = set()
    scored = []
    for example in examples:
        before = example.before
        predicted = None if before is None else before.label
        # a name that still exists stands for itself, even if it was given to another class since
        if before is not None and predicted not in names and before.example is not None:
            predicted = now.get(before.example, predicted)
        # the first example of a class could not be recognised: it counts for nothing
        scored.append(ScoredExample(example.label, predicted, before if example.label in known else None))
        known.add(example.label)
    return scored


class ClassAccuracy(NamedTuple):
    """The accuracy of one class."""

    taught: int
    """Stored examples."""
    predicted: int
    """Predictions counted: of the newest examples, without the very first of the class."""
    right: int
    """Correct ones among them."""
    confused: tuple[tuple[str | None, int], ...] = ()
    """(class, count) of the wrong ones, most frequent first; None: unknown."""

    @property
    def enough(self) -> bool:
        """Whether the class is taught well enough."""
        return self.predicted >= ENOUGH_OF and self.right >= ENOUGH_RIGHT * self.predicted


class _Class:
    def __init__(self) -> None:
        self.taught = 0
        self.last: deque[str | None] = deque(maxlen=OVER)

    def accuracy(self, label: str) -> ClassAccuracy:
        wrong = Counter(predicted for predicted in self.last if predicted != label)
        return ClassAccuracy(self.taught, len(self.last), len(self.last) - wrong.total(), tuple(wrong.most_common()))


class AccuracyTracker:
    """Accuracy of each class over the stored examples; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._classes: dict[str, _Class] = {}

    def follow(self, scored: Iterable[ScoredExample]) -> None:
        """Start again from all stored examples, in the order of teaching."""
        with self._lock:
            self._classes = {}
            for one in scored:
                self._add(one)

    def taught(self, one: ScoredExample) -> None:
        """Add the example that was taught last."""
        with self._lock:
            self._add(one)

    def classes(self) -> dict[str, ClassAccuracy]:
        """Return {class: accuracy}, classes in the order of their first example."""
        with self._lock:
            return {label: found.accuracy(label) for label, found in self._classes.items()}

    def _add(self, one: ScoredExample) -> None:
        found = self._classes.setdefault(one.label, _Class())
        found.taught += 1
        if one.prediction is not None:
            found.last.append(one.predicted)
