"""What happens on the device, as events for those outside: bounded, and without the loop ever waiting for anyone."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from edge_app.closing import Closing
from edge_app.messages import Decision
from edge_app.pipeline.decide import Answer
from edge_app.pipeline.deeds import Correction, Deed, Lesson
from edge_app.storage.records import Action

HEALTH = (
    "camera_fault",
    "camera_absent",
    "camera_reopened",
    "camera_well",
    "rate_lowered",
    "rate_restored",
    "rebuild_failed",
    "recording_ended",
    "stage_failed",
    "stage_silent",
    "state_mended",
)
"""Reports that say how the device is."""


class Answered(NamedTuple):
    """A frame was decided on."""

    label: str | None
    """The class, after the vote; None: unknown."""
    confidence: float
    decision: Decision
    sequence: int
    time_ns: int
    """Wall clock of the decision."""
    latency_ms: float
    fresh: bool
    changed: bool
    """Whether the label is another than the last answer's."""

    @property
    def spikes(self) -> dict[str, int]:
        """Spikes of each class's column."""
        return dict(zip(self.decision.labels, self.decision.spikes.tolist(), strict=True))

    @property
    def first_spike(self) -> dict[str, int]:
        """Step of each column's first spike; 15 where it stayed silent."""
        return dict(zip(self.decision.labels, self.decision.first_spike.tolist(), strict=True))


class Taught(NamedTuple):
    """An example was taught, by whomever."""

    example: int
    label: str
    before: str | None
    """What was decided before it was learnt; None: unknown."""
    confidence: float
    """Of that decision."""
    source: str
    sequence: int | None
    time_ns: int
    """Wall clock."""


class Corrected(NamedTuple):
    """Something was taken back or changed."""

    kind: str
    """undone, forgotten, relabelled, renamed, merged or imported."""
    action: Action
    source: str
    time_ns: int

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that it touched."""
        names = [name for change in self.action.changes for name in (change.before, change.after) if name is not None]
        return tuple(dict.fromkeys(names))

    @property
    def examples(self) -> tuple[int, ...]:
        """The examples that it touched."""
        return tuple(change.example for change in self.action.changes)


class Refused(NamedTuple):
    """What someone wanted could not be done; nothing was changed."""

    reason: str
    source: str
    time_ns: int


class Health(NamedTuple):
    """The device's condition changed."""

    what: str
    """One of HEALTH, "rebuilding" or "rebuilt"."""
    level: int
    """As in the logging module."""
    fields: Mapping[str, object]
    time_ns: int


Event = Answered | Taught | Corrected | Refused | Health
Listener = Callable[[Any], None]


class Subscription(Closing):
    """Events for one reader, the oldest dropped when it is slow. A context manager and an iterator without end."""

    def __init__(self, size: int, only: tuple[type, ...], closed: Callable[["Subscription"], None]) -> None:
        self._events: deque[Event] = deque()
        self._size = size
        self._only = only
        self._closed = closed
        self._over = False
        self._came = threading.Condition()
        self.dropped = 0
        """Events that this reader was too slow for."""

    def put(self, event: Event) -> None:
        """Take in an event; never waits."""
        if self._only and not isinstance(event, self._only):
            return
        with self._came:
            if len(self._events) >= self._size:
                self._events.popleft()
                self.dropped += 1
            self._events.append(event)
            self._came.notify()

    def get(self, timeout_s: float) -> Event | None:
        """Return the oldest event, waiting up to `timeout_s` for one; None when there is none."""
        with self._came:
            self._came.wait_for(lambda: self._events or self._over, timeout_s)
            return self._events.popleft() if self._events else None

    def __iter__(self) -> Iterator[Event]:
        """Yield events until it is closed."""
        while not self._over:
            event = self.get(1.0)
            if event is not None:
                yield event

    def close(self) -> None:
        """Receive no more; ends a wait."""
        with self._came:
            self._over = True
            self._came.notify_all()
        self._closed(self)


class Hub:
    """Passes events on. `answered`, `told` and `report` are what a pipeline is given; all may come from any thread."""

    def __init__(self, *, wall: Callable[[], int] = time.time_ns) -> None:
        """`wall` gives nanoseconds since 1970."""
        self._wall = wall
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()
        self._rebuilding = False
        self.rebuilding: Callable[[], bool] = lambda: False
        """Asked at each answer, so that the end of a rebuild is told."""
        self.last: Answered | None = None
        """The newest answer."""

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event, from the stages' threads: it must return at once. Return what ends it."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
        return lambda: self._drop(listener)

    def subscribe(self, size: int = 64, *, only: tuple[type, ...] = ()) -> Subscription:
        """Return a reader of its own for all events, or for those of the types in `only`."""
        subscription = Subscription(size, only, lambda closed: self._drop(closed.put))
        self.listen(subscription.put)
        return subscription

    def answered(self, answer: Answer) -> None:
        """Take in an answer of the loop."""
        before = self.last
        changed = before is None or before.label != answer.label
        event = Answered(
            answer.label,
            answer.confidence,
            answer.decision,
            answer.sequence,
            self._wall(),
            answer.latency_ns / 1e6,
            answer.fresh,
            changed,
        )
        self.last = event
        self._rebuilt(self.rebuilding())
        self.tell(event)

    def told(self, deed: Deed) -> None:
        """Take in what the teacher did."""
        now_ns = self._wall()
        if isinstance(deed, Lesson):
            self.tell(Taught(*deed, now_ns))
        elif isinstance(deed, Correction):
            self.tell(Corrected(*deed, now_ns))
            self._rebuilt(True)  # it may be over before the next answer
        else:
            self.tell(Refused(*deed, now_ns))

    def report(self, level: int, event: str, /, **fields: object) -> None:
        """Take in a report; only those of HEALTH become events."""
        if event in HEALTH:
            self.tell(Health(event, level, fields, self._wall()))

    def tell(self, event: Event) -> None:
        """Pass an event on; a listener that fails is logged, and told nothing more."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                logging.getLogger(__name__).exception("a listener failed, and is told nothing more")
                self._drop(listener)

    def _rebuilt(self, rebuilding: bool) -> None:
        if rebuilding != self._rebuilding:
            self._rebuilding = rebuilding
            self.tell(Health("rebuilding" if rebuilding else "rebuilt", logging.INFO, {}, self._wall()))

    def _drop(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one != listener)
