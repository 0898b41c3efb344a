"""Which decisions are worth telling: a label that holds, not every flicker.

A label is told once every answer for `hold_s` has had it, if it is not the one that was told last. So at most one
decision is told every `hold_s`, and one that lasts less is not told. After the start the first label counts as any
other. Between two labels the confidence is told anew when it has moved by a tenth, and at most every 10 s.
"""

from typing import Literal

NS_PER_S = 1_000_000_000
MOVED_BY = 0.1
MOVED_AFTER_NS = 10 * NS_PER_S

Worth = Literal["label", "confidence"]


class Debouncer:
    """Looks at one answer after another."""

    def __init__(self, hold_s: float) -> None:
        self._hold_ns = round(hold_s * NS_PER_S)
        self._told: tuple[str | None, float, int] | None = None
        """Label, confidence and time of what was told last."""
        self._held: tuple[str | None, int] | None = None
        """The label of the last answer, and since when."""

    def see(self, label: str | None, confidence: float, time_ns: int) -> Worth | None:
        """Take in an answer and its monotonic time; return what is worth telling now, which then counts as told."""
        if self._held is None or self._held[0] != label:
            self._held = label, time_ns
        if self._told is None or self._told[0] != label:
            if time_ns - self._held[1] < self._hold_ns:
                return None
            self._told = label, confidence, time_ns
            return "label"
        _, told, when = self._told
        if abs(confidence - told) < MOVED_BY or time_ns - when < MOVED_AFTER_NS:
            return None
        self._told = label, confidence, time_ns
        return "confidence"
