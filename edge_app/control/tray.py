"""The tray: the last decisions that a person may want to label, because they are uncertain or have just changed."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from edge_app.control.errors import FrameGone, NotInTray
from edge_app.control.pictures import Pictures
from edge_app.devices.ports import NS_PER_S
from edge_app.pipeline.commands import TeachableFrame
from edge_app.pipeline.events import Decided

# bounded: each keeps a picture in memory
KEPT = 24
UNSURE = 0.6
"""Confidence below which a decision is uncertain."""
APART_NS = NS_PER_S
"""Shortest time between two entries."""
ALIKE_APART_NS = 5 * NS_PER_S
"""Shortest time between two entries with the same class and reason."""

Why = Literal["uncertain", "changed"]


class UncertainDecision(NamedTuple):
    """An entry of the tray."""

    id: int
    time_ns: int
    """Wall clock."""
    label: str | None
    """The decided class; None: unknown."""
    confidence: float
    why: Why


class Tray:
    """The newest entries with their pictures; bounded, and safe to use from any thread.

    The times between entries are measured on the monotonic clock: the wall clock may be set back.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._lock = threading.Lock()
        self._entries: OrderedDict[int, tuple[UncertainDecision, TeachableFrame]] = OrderedDict()
        # so that the first decision may be an entry
        self._last_ns = -ALIKE_APART_NS
        self._alike_ns: dict[tuple[str | None, Why], int] = {}
        self._next = 1

    def consider(self, event: Decided) -> UncertainDecision | None:
        """Return the entry that a decision became, None if it did not. Called for every decision: quick."""
        why = _why(event)
        # the same picture again would give the same entry
        if why is None or not event.fresh:
            return None
        now_ns = self._pictures.clock.monotonic_ns()
        if now_ns - self._last_ns < APART_NS:
            return None
        alike = event.label, why
        if now_ns - self._alike_ns.get(alike, -ALIKE_APART_NS) < ALIKE_APART_NS:
            return None
        try:
            frame = self._pictures.find(event.sequence)
        except FrameGone:
            return None
        with self._lock:
            entry = UncertainDecision(self._next, event.time_ns, event.label, event.confidence, why)
            self._next += 1
            self._entries[entry.id] = entry, frame
            while len(self._entries) > KEPT:
                self._entries.popitem(last=False)
            # classes come and go: the table must not grow for ever
            if len(self._alike_ns) > 4 * KEPT:
                self._alike_ns.clear()
            self._last_ns = self._alike_ns[alike] = now_ns
        return entry

    def decisions(self) -> list[UncertainDecision]:
        """Return the entries, the newest first."""
        with self._lock:
            return [entry for entry, _ in reversed(self._entries.values())]

    def frames(self, ids: Sequence[int]) -> list[TeachableFrame]:
        """Return the frames of entries. Raises NotInTray if one is no longer there."""
        with self._lock:
            missing = [number for number in ids if number not in self._entries]
            if missing:
                raise NotInTray(
                    f"decision {missing[0]} is not in the tray any more: it keeps the last {KEPT}. Nothing was changed"
                )
            return [self._entries[number][1] for number in ids]

    def dismiss(self, ids: Sequence[int]) -> int:
        """Remove entries, ignoring those that are gone; return how many there were."""
        with self._lock:
            return sum(self._entries.pop(number, None) is not None for number in set(ids))


def _why(event: Decided) -> Why | None:
    if event.label is not None and event.confidence < UNSURE:
        return "uncertain"
    # without classes every decision is "unknown", and nothing has changed
    return "changed" if event.changed and event.decision.labels else None
