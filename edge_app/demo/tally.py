"""Counts the demo's events."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from edge_app.demo.run import DecidedShot, DemoEvent, TaughtShot, UndoneShot
from edge_app.demo.script import ADDED


class Score(NamedTuple):
    """Right decisions of a total."""

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
        """Decisions on taught examples before they were learnt; without the first example of a class."""
        self.named = Score()
        """Decisions on the frames of the chapter "name"."""
        self.per_class: dict[str, Score] = {}
        self.confused: Counter[tuple[str, str | None]] = Counter()
        """(truth, label) of the wrong decisions among them."""
        self.lost = 0
        """Right ones among them that were rejected."""
        self.unknown = 0
        """Unknown decisions among them."""
        self.added = Score()
        """Decisions on the class that was added by one press."""
        self.others = Score()
        """Decisions on the other classes after that press."""
        self.stranger: Counter[str | None] = Counter()
        """Decisions on the object that was never taught."""
        self._margins: dict[bool, list[int]] = {True: [], False: []}
        self.undo_exact: bool | None = None
        self.examples = 0
        self._ms: list[tuple[float, ...]] = []
        self._learn_ms: list[float] = []

    def add(self, event: DemoEvent) -> None:
        """Count one event."""
        if isinstance(event, DecidedShot):
            self._ms.append((*event.ms, event.ms.total))
            self._add_decided(event)
        elif isinstance(event, TaughtShot):
            self._learn_ms.append(event.ms)
            self.examples += 1
            # the first example of a class cannot be recognised
            if event.beat.chapter == "teach" and not event.new:
                self.test_then_train = self.test_then_train.plus(event.before.label == event.event.label)
        elif isinstance(event, UndoneShot):
            self.examples -= 1
            self.undo_exact = event.exact

    def _add_decided(self, event: DecidedShot) -> None:
        truth, label, decision = event.beat.shot.name or "", event.event.label, event.event.decision
        if event.beat.chapter == "name":
            self.named = self.named.plus(event.right)
            self.per_class[truth] = self.per_class.get(truth, Score()).plus(event.right)
            self._margins[True] += [decision.margin] if event.right else []
            self.unknown += label is None
            self.lost += label is None and event.event.nearest == truth
            if not event.right:
                self.confused[truth, label] += 1
        elif event.beat.chapter == "add" and ADDED in decision.labels:  # before the press the class does not exist
            if truth == ADDED:
                self.added = self.added.plus(event.right)
            else:
                self.others = self.others.plus(event.right)
        elif event.beat.chapter == "stranger":
            self.stranger[label] += 1
            self._margins[False].append(decision.margin)

    def margins(self) -> tuple[float, float] | None:
        """Return the median margins, in OUT spikes, of right decisions and of those on the object never taught."""
        right, stranger = self._margins[True], self._margins[False]
        return (float(np.median(right)), float(np.median(stranger))) if right and stranger else None

    def milliseconds(self) -> dict[str, dict[str, float]]:
        """Return median and 95th percentile of each stage, of the whole frame, and of a press, in ms."""
        stages = dict(zip(("prepare", "encode", "decide", "frame"), np.array(self._ms).T, strict=False))
        if self._learn_ms:
            stages["learn"] = np.array(self._learn_ms)
        return {
            name: {f"p{p}": round(float(np.percentile(values, p)), 3) for p in (50, 95)}
            for name, values in stages.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values; rates are fractions."""
        return {
            "test_then_train": _score(self.test_then_train),
            "naming": {
                **_score(self.named),
                "unknown_rate": self.unknown / self.named.total if self.named.total else None,
                "lost": self.lost,
                "per_class": {name: _score(score) for name, score in sorted(self.per_class.items())},
            },
            "added_class": {"label": ADDED, **_score(self.added), "others": _score(self.others)},
            "undo_exact": self.undo_exact,
            "never_taught": {label or "unknown": count for label, count in self.stranger.most_common()},
            "median_margin": dict(zip(("right", "never_taught"), self.margins() or (None, None), strict=True)),
            "examples": self.examples,
            "ms": self.milliseconds(),
        }


def _score(score: Score) -> dict[str, Any]:
    return {"accuracy": score.accuracy, "right": score.right, "total": score.total}
