"""Decides which lights are on: a steady decision, and patterns that acknowledge a press. No clock, no lines."""

from collections.abc import Mapping, Sequence

from edge_app.devices.ports import NS_PER_S, Signal

PATTERNS: dict[Signal, tuple[float, ...]] = {
    "learnt": (0.6, 0.2),
    "undone": (0.15, 0.15, 0.15, 0.25),
    "error": (0.08, 0.08) * 6,
}
"""Seconds on, off, on, off, ...: one long flash; two short ones; six quick ones."""

STATUS = "status"


class LightPlan:
    """Which lights are on at a time.

    `lines` names one light a class, and may name one "status" that blinks; where there is none all lights blink, and
    the decision is dark meanwhile. With `code` the decision is a binary number instead, the least significant light
    first: 0 for "unknown", 1 for the first class, and so on.
    """

    def __init__(self, lines: Mapping[str, int], code: Sequence[int] = ()) -> None:
        self._classes = {name: line for name, line in lines.items() if name != STATUS}
        self._status = lines.get(STATUS)
        self._code = tuple(code)
        self._all = (*lines.values(), *self._code)
        self._lit: frozenset[int] = frozenset()
        self._signal: Signal | None = None
        self._since_ns = 0

    def show(self, label: str | None, labels: Sequence[str]) -> bool:
        """Take in a decision for `label` among `labels`; return whether the lights change."""
        number = labels.index(label) + 1 if label in labels else 0
        lit = {line for bit, line in enumerate(self._code) if number >> bit & 1}
        if label in self._classes:
            lit.add(self._classes[label])
        changed = self._lit != lit
        self._lit = frozenset(lit)
        return changed

    def blink(self, signal: Signal, now_ns: int) -> None:
        """Begin a pattern, in place of one that is running."""
        self._signal, self._since_ns = signal, now_ns

    def state(self, now_ns: int) -> tuple[dict[int, bool], int | None]:
        """Return line -> on at a time, and when that next changes by itself (None: never)."""
        flash, until_ns = self._flash(now_ns)
        if flash is None:
            return {line: line in self._lit for line in self._all}, None
        # one light has to serve for both, so the pattern takes all
        if self._status is None:
            return dict.fromkeys(self._all, flash), until_ns
        return {line: line in self._lit for line in self._all} | {self._status: flash}, until_ns

    def _flash(self, now_ns: int) -> tuple[bool | None, int | None]:
        if self._signal is None:
            return None, None
        end_ns = self._since_ns
        for step, seconds in enumerate(PATTERNS[self._signal]):
            end_ns += round(seconds * NS_PER_S)
            if now_ns < end_ns:
                return step % 2 == 0, end_ns
        self._signal = None
        return None, None
