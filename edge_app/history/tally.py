"""Decisions and time of each class since the start, in memory: for metrics."""

import threading
from typing import NamedTuple

from edge_app.devices.ports import NS_PER_S
from edge_app.pipeline.events import Decided, Event


class LabelTotal(NamedTuple):
    """A class since the start."""

    label: str | None
    """None: unknown."""
    decisions: int
    seconds: float
    """Time between decisions that both had the label."""


class LabelTally:
    """Counts the decisions of one place; safe to use from any thread."""

    def __init__(self, place: str, gap_ns: int) -> None:
        """`gap_ns`: a longer time between two decisions counts for no class."""
        self.place = place
        self._gap_ns = gap_ns
        self._lock = threading.Lock()
        self._totals: dict[str | None, list[int]] = {}
        self._last: tuple[str | None, int] | None = None

    def listen(self, event: Event) -> None:
        """Take an event of the pipeline; takes a microsecond."""
        if not isinstance(event, Decided):
            return
        label, now_ns = event.label, event.captured_ns
        with self._lock:
            total = self._totals.get(label)
            if total is None:
                total = self._totals[label] = [0, 0]
            total[0] += 1
            if self._last is not None and self._last[0] == label and now_ns - self._last[1] <= self._gap_ns:
                total[1] += now_ns - self._last[1]
            self._last = label, now_ns

    def totals(self) -> list[LabelTotal]:
        """Return each class that was decided, in the order in which they first were."""
        with self._lock:
            return [LabelTotal(label, count, lasted / NS_PER_S) for label, (count, lasted) in self._totals.items()]
