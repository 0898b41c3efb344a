"""What the demo's events add up to."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from edge_app.demo.device import Event, Learnt, Named, Undone
from edge_app.demo.script import ADDED


class Score(NamedTuple):
    """So many right of so many."""

    right: int = 0
    total: int = 0

    def plus(self, right: bool) -> "Score":
        """Return the score with one more."""
        return Score(self.right + right, self.total + 1)

    @property
    def accuracy(self) -> float | None:
        """The fraction that was right; None before the first."""
        return self.right / self.total if self.total else None

    def __str__(self) -> str:
        """Return for example `57 of 64 (89 %)`."""
        accuracy = self.accuracy
        return f"{self.right} of {self.total}" + ("" if accuracy is None else f" ({100 * accuracy:.0f} %)")


class Tally:
    """Counts events as they come."""

    def __init__(self) -> None:
        self.test_then_train = Score()
        """Each taught example was first named; those of a class not known before are left out: nobody could."""
        self.named = Score()
        self.per_class: dict[str, Score] = {}
        self.confused: Counter[tuple[str, str | None]] = Counter()
        """(truth, label) of the frames that were not named right."""
        self.unknown = 0
        """Of the frames to name, those that were called unknown."""
        self.added = Score()
        """The class that was added by one press."""
        self.others = Score()
        """The other classes, meanwhile."""
        self.stranger: Counter[str | None] = Counter()
        """What the thing that was never taught was called."""
        self._leads: dict[bool, list[int]] = {True: [], False: []}
        self.undo_exact: bool | None = None
        self.examples = 0
        self._ms: list[tuple[float, ...]] = []
        self._learn_ms: list[float] = []

    def add(self, event: Event) -> None:
        """Count one event."""
        if isinstance(event, Named):
            self._ms.append((*event.ms, event.ms.total))
            self._add_named(event)
        elif isinstance(event, Learnt):
            self._learn_ms.append(event.ms)
            self.examples += 1
            if event.chapter == "teach" and not event.new:
                self.test_then_train = self.test_then_train.plus(event.before.label == event.label)
        elif isinstance(event, Undone):
            self.examples -= 1
            self.undo_exact = event.exact

    def _add_named(self, event: Named) -> None:
        truth = event.truth or ""
        if event.chapter == "name":
            self.named = self.named.plus(event.right)
            self.per_class[truth] = self.per_class.get(truth, Score()).plus(event.right)
            self._leads[True] += [event.decision.margin] if event.right else []
            self.unknown += event.decision.label is None
            if not event.right:
                self.confused[truth, event.decision.label] += 1
        elif event.chapter == "add" and ADDED in event.decision.labels:
            if truth == ADDED:
                self.added = self.added.plus(event.right)
            else:
                self.others = self.others.plus(event.right)
        elif event.chapter == "stranger":
            self.stranger[event.decision.label] += 1
            self._leads[False].append(event.decision.margin)

    def leads(self) -> tuple[float, float] | None:
        """Return the median lead in OUT spikes of right names, and of those given to what was never taught."""
        right, stranger = self._leads[True], self._leads[False]
        return (float(np.median(right)), float(np.median(stranger))) if right and stranger else None

    def milliseconds(self) -> dict[str, dict[str, float]]:
        """Return median and 95th percentile of each stage, of the whole frame, and of a press, in ms."""
        stages = dict(zip(("preprocess", "encode", "decide", "frame"), np.array(self._ms).T, strict=False))
        if self._learn_ms:
            stages["learn"] = np.array(self._learn_ms)
        return {
            name: {f"p{p}": round(float(np.percentile(values, p)), 3) for p in (50, 95)}
            for name, values in stages.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for a program to read; rates are fractions."""
        return {
            "test_then_train": _score(self.test_then_train),
            "naming": {
                **_score(self.named),
                "unknown_rate": self.unknown / self.named.total if self.named.total else None,
                "per_class": {name: _score(score) for name, score in sorted(self.per_class.items())},
            },
            "added_class": {"label": ADDED, **_score(self.added), "others": _score(self.others)},
            "undo_exact": self.undo_exact,
            "never_taught": {label or "unknown": count for label, count in self.stranger.most_common()},
            "median_lead": dict(zip(("right", "never_taught"), self.leads() or (None, None), strict=True)),
            "examples": self.examples,
            "ms": self.milliseconds(),
        }


def _score(score: Score) -> dict[str, Any]:
    return {"accuracy": score.accuracy, "right": score.right, "total": score.total}
