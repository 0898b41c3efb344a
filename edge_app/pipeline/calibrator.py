"""Confidence and rejection of decisions, calibrated on how those on the stored examples turned out."""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edge_app.confidence import MAX_OUTCOMES, Evidence, Outcome, calibrate
from edge_app.messages import Decision
from edge_app.pipeline.accuracy import ScoredExample
from edge_app.rejection import RejectionPreview, Seen, preview, spread_of


class Verdict(NamedTuple):
    """A decision as people are told of it."""

    label: str | None
    """None: unknown."""
    confidence: float
    """0..1; 0 for unknown."""
    limit: int | None
    """The greatest novelty with a label, in 1/1024 octave; None: any."""


class DecisionCalibrator:
    """Outcomes of the newest taught examples, and what follows from them; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # the newest only: a device that has learnt more decides better than its first outcomes say
        self._outcomes: deque[Outcome] = deque(maxlen=MAX_OUTCOMES)
        self._renew()

    def follow(self, scored: Iterable[ScoredExample]) -> None:
        """Start again from all stored examples, in the order of teaching."""
        with self._lock:
            self._outcomes.clear()
            self._outcomes.extend(found for one in scored if (found := _outcome(one)) is not None)
            self._renew()

    def taught(self, one: ScoredExample) -> None:
        """Add the example that was taught last."""
        found = _outcome(one)
        if found is None:
            return
        with self._lock:
            self._outcomes.append(found)
            self._renew()

    def confidence(self, decision: Decision) -> float:
        """Return the probability in 0..1 that a decision is right if a taught class is shown; 0 for unknown."""
        # without the lock: _renew replaces the object as a whole
        return self._calibration.probability(decision)

    def limit(self, strictness: float) -> int | None:
        """Return the greatest novelty, 1/1024 octave, with which a decision keeps its label; None: any."""
        return self._spread.limit(strictness)

    def verdict(self, decision: Decision, strictness: float) -> Verdict:
        """Return a decision on one picture with its confidence; "unknown" if it is too new for the strictness, 0..1."""
        limit = self.limit(strictness)
        if decision.label is None or (limit is not None and decision.novelty > limit):
            return Verdict(None, 0.0, limit)
        return Verdict(decision.label, self.confidence(decision), limit)

    def preview(self, strictness: Sequence[float]) -> list[RejectionPreview]:
        """Return what each strictness would have done to the newest taught examples."""
        with self._lock:
            seen = self._seen()
        return preview(seen, strictness)

    def _seen(self) -> list[Seen]:
        return [Seen(one.evidence.novelty, one.right) for one in self._outcomes]

    def _renew(self) -> None:
        self._calibration = calibrate(list(self._outcomes))
        self._spread = spread_of(self._seen())


def _outcome(one: ScoredExample) -> Outcome | None:
    before = one.prediction
    if before is None or before.label is None or one.predicted is None:
        return None
    if before.novelty is None or before.separation is None or before.learnt is None:
        return None  # stored by an edge-app that did not tell them
    found = Evidence(before.novelty, before.separation, before.learnt, before.classes)
    return Outcome(found, one.predicted == one.label, one.predicted)
