"""Have I shown it enough? Each taught example is first predicted: how often that was right, class by class."""

import threading
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

OVER = 10
"""Examples of a class that the answer rests on: the last ones taught."""
ENOUGH_OF, ENOUGH_RIGHT = 5, 0.8
"""Shown enough: at least so many predicted, and this part of them right."""
REMEMBERED = 10_000
"""Examples whose outcome is kept, so that a correction can find them."""


class Standing(NamedTuple):
    """How a class is doing."""

    taught: int
    """Examples taught since the start of the program."""
    predicted: int
    """The last ones taught that count here: not a class's very first, which nobody could know."""
    right: int
    """Of those, how many were named rightly before they were learnt."""

    @property
    def enough(self) -> bool:
        """Whether it has been shown enough."""
        return self.predicted >= ENOUGH_OF and self.right >= ENOUGH_RIGHT * self.predicted


class _Outcome(NamedTuple):
    label: str
    right: bool | None


class Progress:
    """Test-then-train accuracy of each class since the start of the program; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: dict[int, _Outcome] = {}

    def taught(self, example: int, label: str, *, predicted: str | None, known: bool) -> None:
        """Take in an example: what was predicted before it was learnt, and whether its class was known by then."""
        with self._lock:
            self._outcomes[example] = _Outcome(label, predicted == label if known else None)
            if len(self._outcomes) > REMEMBERED:
                del self._outcomes[next(iter(self._outcomes))]

    def keep_only(self, examples: Iterable[tuple[int, str]]) -> None:
        """Follow a correction: what is not in `examples`, (number, class now), was taken back."""
        now = dict(examples)
        with self._lock:
            self._outcomes = {
                number: outcome._replace(label=now[number])
                for number, outcome in self._outcomes.items()
                if number in now
            }

    def standings(self) -> dict[str, Standing]:
        """Return {class: how it is doing}, classes in the order of their first example here."""
        with self._lock:
            outcomes = list(self._outcomes.values())
        taught: dict[str, int] = {}
        last: dict[str, deque[bool]] = {}
        for outcome in outcomes:
            taught[outcome.label] = taught.get(outcome.label, 0) + 1
            seen = last.setdefault(outcome.label, deque(maxlen=OVER))
            if outcome.right is not None:
                seen.append(outcome.right)
        return {label: Standing(count, len(last[label]), sum(last[label])) for label, count in taught.items()}
