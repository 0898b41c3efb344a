"""Visits: decisions with the same label in a row, put together. Pure: events in, visits out.

A label becomes a visit once it has held for `hold_ns`, and the visit ends once the label has not been seen for
`hold_ns`; a shorter change of the label, as between two objects or while a picture is blurred, neither begins a visit
nor ends one. All durations are taken from the monotonic clock at capture; the wall clock may be set at any time.
"""

from typing import Literal, NamedTuple

import numpy as np

from edge_app.config import Config
from edge_app.devices.ports import NS_PER_S
from edge_app.pipeline.events import Decided

HOLD_NS = NS_PER_S // 2
"""Time that a label must hold to be a visit."""
UNSURE = 0.6
"""Confidence below which a decision, or a visit on average, is unsure."""
SLOWEST_PERIODS = 3
"""A gap is at least this many times the longest time between two decisions that the configuration allows."""


class Visit(NamedTuple):
    """A label that held in a place, as far as it is known: over, or still there."""

    place: str
    label: str | None
    """None: unknown."""
    begin_ns: int
    """Wall clock at the first decision, nanoseconds since 1970, as the clock was set then."""
    begin_monotonic_ns: int
    """Monotonic clock at the capture of its first frame."""
    duration_ns: int
    """From the capture of its first frame to that of its last, on the monotonic clock."""
    frames: int
    """Decisions with the label."""
    confidence: float
    """The best, 0..1; 0 for unknown."""
    mean_confidence: float
    runner_up: str | None
    """The class that came next at the best decision, of an unknown visit the nearest class; None: there is none."""
    novelty: int
    """Of the best decision, in 1/1024 octave."""
    best_sequence: int
    """Number of the frame of the best decision: of the highest confidence, of an unknown visit the highest novelty."""
    best_captured_ns: int
    """Monotonic clock at the capture of that frame."""

    @property
    def end_ns(self) -> int:
        """Wall clock at the last decision; follows from begin and duration, so that no set clock makes it longer."""
        return self.begin_ns + self.duration_ns

    @property
    def unsure(self) -> bool:
        """Whether a person should look at it: unknown, or of low confidence on average."""
        return self.label is None or self.mean_confidence < UNSURE


class VisitChange(NamedTuple):
    """A visit began or ended."""

    kind: Literal["entered", "left"]
    visit: Visit
    """As it is at that moment."""


class OngoingVisit:
    """A visit that is not over: the decisions of one label so far."""

    __slots__ = ("_total", "begin_monotonic_ns", "begin_ns", "best", "frames", "label", "last_ns")

    def __init__(self, event: Decided) -> None:
        self.label = event.label
        self.begin_ns = event.time_ns
        self.begin_monotonic_ns = self.last_ns = event.captured_ns
        self.best = event
        """The decision whose frame shows the visit best."""
        self.frames = 1
        self._total = event.confidence

    def add(self, event: Decided) -> None:
        """Add the next decision of the label."""
        self.last_ns = event.captured_ns
        self.frames += 1
        self._total += event.confidence
        best = self.best
        if event.novelty > best.novelty if self.label is None else event.confidence > best.confidence:
            self.best = event

    @property
    def duration_ns(self) -> int:
        """The time between its first and its last frame."""
        return self.last_ns - self.begin_monotonic_ns

    def snapshot(self, place: str) -> Visit:
        """Return the visit as it is now."""
        best = self.best
        return Visit(
            place,
            self.label,
            self.begin_ns,
            self.begin_monotonic_ns,
            self.duration_ns,
            self.frames,
            best.confidence,
            self._total / self.frames,
            runner_up(best),
            best.novelty,
            best.sequence,
            best.captured_ns,
        )


class VisitTracker:
    """Follows the decisions of one place, in their order; for one thread. A call takes about a microsecond."""

    def __init__(self, place: str, *, gap_ns: int, hold_ns: int = HOLD_NS) -> None:
        """`gap_ns`: time without any decision after which a visit ends, more than the time between two decisions."""
        self.place = place
        self._gap_ns = gap_ns
        self._hold_ns = hold_ns
        self._last_ns: int | None = None
        self.following: OngoingVisit | None = None
        """Decisions that may become the next visit; None: the label is that of the visit that is going on."""
        self.current: OngoingVisit | None = None
        """The visit that is going on; None: no label holds."""

    @property
    def interrupted(self) -> bool:
        """Whether no decision has come, or none for longer than the gap when `tick` was called last."""
        return self._last_ns is None

    def see(self, event: Decided) -> tuple[VisitChange, ...]:
        """Take the next decision; return what it changed, in order: most change nothing."""
        now_ns = event.captured_ns
        changes = () if self._last_ns is None or now_ns - self._last_ns <= self._gap_ns else self.finish()
        self._last_ns = now_ns
        current = self.current
        if current is not None and event.label == current.label:
            current.add(event)
            self.following = None
            return changes
        following = self.following
        if following is not None and event.label == following.label:
            following.add(event)
        else:
            following = self.following = OngoingVisit(event)
        if current is not None and now_ns - current.last_ns >= self._hold_ns:
            changes = (*changes, *self._end())
        if self.current is None and following.duration_ns >= self._hold_ns:
            self.current, self.following = following, None
            changes = (*changes, VisitChange("entered", following.snapshot(self.place)))
        return changes

    def tick(self, now_ns: int) -> tuple[VisitChange, ...]:
        """Let time pass without a decision; ends the visit after a gap. `now_ns`: the monotonic clock."""
        if self._last_ns is None or now_ns - self._last_ns <= self._gap_ns:
            return ()
        return self.finish()

    def finish(self) -> tuple[VisitChange, ...]:
        """End the visit that is going on, if there is one: no more decisions follow, or the camera failed."""
        self.following = self._last_ns = None
        return self._end()

    def snapshot(self) -> Visit | None:
        """Return the visit that is going on as it is now."""
        return None if self.current is None else self.current.snapshot(self.place)

    def _end(self) -> tuple[VisitChange, ...]:
        if self.current is None:
            return ()
        ended, self.current = self.current, None
        return (VisitChange("left", ended.snapshot(self.place)),)


def gap_ns(config: Config) -> int:
    """Return the time without a decision after which a visit has ended: longer than any rate that is configured."""
    places = config.places_in_use()
    # the rate of a hot processor is shared by the places
    rates = [config.temperature.slow_fps / len(places), config.decision.max_fps, config.idle.watch_fps]
    rates += [place.max_fps for place in places]
    longest_s = max(1 / rate for rate in rates if rate > 0)
    stall_s = max(camera.stall_after_s for camera in config.cameras_in_use().values())
    return round(max(stall_s, SLOWEST_PERIODS * longest_s) * NS_PER_S)


def runner_up(event: Decided) -> str | None:
    """Return the class that came next to the label that was told; where it is unknown, the nearest class."""
    if event.label is None:
        return event.nearest
    labels, excitation = event.decision.labels, event.decision.excitation
    # two suffice: one of them is another class than the label
    first = [labels[index] for index in np.argsort(-excitation, kind="stable")[:2].tolist()]
    return next((label for label in first if label != event.label), None)
