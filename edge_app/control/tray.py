"""The last decisions that a person may want to label: those that were not sure, and those that changed."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from edge_app.control.errors import FrameGone, NotInTray
from edge_app.control.events import Answered
from edge_app.control.pictures import Pictures, TeachableFrame
from edge_app.devices.ports import NS_PER_S

KEPT = 24
UNSURE = 0.6
"""Confidence below which a named class is not sure."""
APART_NS = NS_PER_S
"""Between two moments."""
ALIKE_APART_NS = 5 * NS_PER_S
"""Between two of the same class for the same reason."""

Why = Literal["uncertain", "changed"]


class UncertainDecision(NamedTuple):
    """A decision that may need a person's word."""

    id: int
    time_ns: int
    """Wall clock."""
    label: str | None
    """What was decided."""
    confidence: float
    why: Why


class Tray:
    """The newest moments, with their pictures; bounded, and safe to use from any thread.

    Moments are kept apart by the monotonic clock of the pictures: the time of day is for people, and may be set back.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._lock = threading.Lock()
        self._moments: OrderedDict[int, tuple[UncertainDecision, TeachableFrame]] = OrderedDict()
        self._last_ns = -ALIKE_APART_NS
        self._alike_ns: dict[tuple[str | None, Why], int] = {}
        self._next = 1

    def consider(self, answer: Answered) -> UncertainDecision | None:
        """Take in an answer; return the moment when it is one. Called for every answer: quick."""
        why = _why(answer)
        if why is None or not answer.fresh:
            return None
        now_ns = self._pictures.clock.monotonic_ns()
        if now_ns - self._last_ns < APART_NS:
            return None
        alike = answer.label, why
        if now_ns - self._alike_ns.get(alike, -ALIKE_APART_NS) < ALIKE_APART_NS:
            return None
        try:
            seen = self._pictures.find(answer.sequence)
        except FrameGone:
            return None
        with self._lock:
            moment = UncertainDecision(self._next, answer.time_ns, answer.label, answer.confidence, why)
            self._next += 1
            self._moments[moment.id] = moment, seen
            while len(self._moments) > KEPT:
                self._moments.popitem(last=False)
            if len(self._alike_ns) > 4 * KEPT:
                self._alike_ns.clear()
            self._last_ns = self._alike_ns[alike] = now_ns
        return moment

    def moments(self) -> list[UncertainDecision]:
        """Return the moments, the newest first."""
        with self._lock:
            return [moment for moment, _ in reversed(self._moments.values())]

    def seen(self, ids: Sequence[int]) -> list[TeachableFrame]:
        """Return the frames of moments. Raises NotInTray when one is no longer there."""
        with self._lock:
            missing = [number for number in ids if number not in self._moments]
            if missing:
                raise NotInTray(
                    f"moment {missing[0]} is not in the tray any more: it holds the last {KEPT}. Nothing was changed"
                )
            return [self._moments[number][1] for number in ids]

    def dismiss(self, ids: Sequence[int]) -> int:
        """Remove moments; those that are not there do not matter. Return how many were."""
        with self._lock:
            return sum(self._moments.pop(number, None) is not None for number in set(ids))


def _why(answer: Answered) -> Why | None:
    if answer.label is not None and answer.confidence < UNSURE:
        return "uncertain"
    return "changed" if answer.changed and answer.decision.labels else None
