"""Selects the decisions to publish: labels that hold, not every flicker.

A label is published once every decision for `hold_s` had it, unless it was the last one published. So at most one
decision is published every `hold_s`, and a label that lasts less is not. While a label stays, its confidence is
published again when it has moved by a tenth, at most every 10 s.
"""

from typing import Literal

NS_PER_S = 1_000_000_000
MOVED_BY = 0.1
MOVED_AFTER_NS = 10 * NS_PER_S

Change = Literal["label", "confidence"]


class Debouncer:
    """Examines one decision after another."""

    def __init__(self, hold_s: float) -> None:
        self._hold_ns = round(hold_s * NS_PER_S)
        self._published: tuple[str | None, float, int] | None = None
        """Label, confidence and time."""
        self._held: tuple[str | None, int] | None = None
        """The label of the last decision, and since when."""

    def see(self, label: str | None, confidence: float, time_ns: int) -> Change | None:
        """Process a decision and its monotonic time; return why it is to be published, None if it is not."""
        # every change starts the time anew
        if self._held is None or self._held[0] != label:
            self._held = label, time_ns
        if self._published is None or self._published[0] != label:
            if time_ns - self._held[1] < self._hold_ns:
                return None
            # with the label that is published a new confidence counts as told
            self._published = label, confidence, time_ns
            return "label"
        _, before, when = self._published
        if abs(confidence - before) < MOVED_BY or time_ns - when < MOVED_AFTER_NS:
            return None
        self._published = label, confidence, time_ns
        return "confidence"
