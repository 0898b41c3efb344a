"""How sure an answer is: `edge_app.confidence`, calibrated anew by every press of the running program."""

import threading
from collections.abc import Iterable

from edge_app.confidence import MAX_OUTCOMES, Outcome, calibrate, evidence, outcome
from edge_app.messages import Decision


class Assurance:
    """Outcomes of presses, oldest first, and the calibration that follows from them; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: dict[int, tuple[str, Outcome]] = {}
        self._calibration = calibrate([])

    def taught(self, example: int, label: str, before: Decision) -> None:
        """Take in how the decision `before` an example was learnt came out."""
        found = outcome(before, label)
        if found is None:
            return
        with self._lock:
            self._outcomes[example] = label, found
            if len(self._outcomes) > MAX_OUTCOMES:
                del self._outcomes[next(iter(self._outcomes))]
            self._calibrate()

    def keep_only(self, examples: Iterable[tuple[int, str]]) -> None:
        """Follow a correction: what is not in `examples`, (number, class now), was a slip and says nothing."""
        now = dict(examples)
        with self._lock:
            self._outcomes = {
                number: (label, found) for number, (label, found) in self._outcomes.items() if now.get(number) == label
            }
            self._calibrate()

    def confidence(self, decision: Decision) -> float:
        """Return the chance in 0..1 that a decision is right, supposed that a taught class is shown; 0 for unknown."""
        return self._calibration.probability(evidence(decision))

    def _calibrate(self) -> None:
        self._calibration = calibrate([found for _, found in self._outcomes.values()])
