"""Confidence of decisions (`edge_app.confidence`), calibrated on the outcomes of the stored examples."""

import threading
from collections import deque
from collections.abc import Iterable

from edge_app.confidence import MAX_OUTCOMES, Evidence, Outcome, calibrate, evidence
from edge_app.messages import Decision
from edge_app.pipeline.accuracy import ScoredExample


class ConfidenceCalibrator:
    """Outcomes of the newest taught examples, and the calibration they give; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: deque[Outcome] = deque(maxlen=MAX_OUTCOMES)
        self._calibration = calibrate([])

    def follow(self, scored: Iterable[ScoredExample]) -> None:
        """Start again from all stored examples, in the order of teaching."""
        with self._lock:
            self._outcomes.clear()
            self._outcomes.extend(found for one in scored if (found := _outcome(one)) is not None)
            self._calibration = calibrate(list(self._outcomes))

    def taught(self, one: ScoredExample) -> None:
        """Add the example that was taught last."""
        found = _outcome(one)
        if found is None:
            return
        with self._lock:
            self._outcomes.append(found)
            self._calibration = calibrate(list(self._outcomes))

    def confidence(self, decision: Decision) -> float:
        """Return the probability in 0..1 that a decision is right if a taught class is shown; 0 for unknown."""
        return self._calibration.probability(evidence(decision))


def _outcome(one: ScoredExample) -> Outcome | None:
    before = one.prediction
    if before is None or before.label is None:
        return None
    return Outcome(Evidence(before.excitation, before.lead), one.predicted == one.label, before.classes)
