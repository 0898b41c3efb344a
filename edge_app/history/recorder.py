"""Records the visits of a running device: batches, in a thread of its own, that no stage and no press waits for.

The stages' threads only follow the visits and leave a note; frames are reduced, and rows written, in the recorder's
thread. A visit is stored when it begins, again every ten seconds while it lasts, and when it ends, so that a power cut
takes the last seconds at most. When the disk fails or is nearly full the history stops, is reported once, and goes on
when there is room again.
"""

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from edge_app.closing import Closing
from edge_app.config import HistoryConfig
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.errors import EdgeAppError, StateNotWritable
from edge_app.history.database import HistoryDamaged, set_aside
from edge_app.history.frames import FrameFinder, GrabbedFrame, to_bounded_jpeg
from edge_app.history.records import ClockState, VisitRecord
from edge_app.history.store import HistoryStore
from edge_app.history.visits import Visit, VisitChange, VisitTracker
from edge_app.history.wallclock import SYNCHRONISED_FILE, RunClock
from edge_app.messages import Report
from edge_app.pipeline.events import Corrected, Decided, Event
from edge_app.storage.records import ExampleChange

BATCH_NS = 2 * NS_PER_S
"""A visit that began or ended is stored after this time, together with those that do so meanwhile."""
OPEN_NS = 10 * NS_PER_S
"""A visit that lasts is stored again after this time."""
AGE_NS = 600 * NS_PER_S
"""Between two looks for visits that are too old."""
RETRY_NS = 30 * NS_PER_S
"""After a failure it is tried again."""
YIELD_NS = 2 * NS_PER_S
"""A batch waits this long at most while commands wait: a press comes first on the disk."""
MOST_WAITING, MOST_PICTURES = 500, 32
"""Visits, and pictures of them, that wait in memory for a disk; beyond that the oldest are dropped."""
FREE_BYTES = 64 << 20
"""Free space on the disk below which nothing is recorded: what is left is for examples."""
APART_NS = NS_PER_S // 10
"""Shortest time between two frames that are looked up while no label holds."""
STOP_S = 5.0
DAY_NS = 86_400 * NS_PER_S


class RecordedPlace:
    """A place whose visits are recorded."""

    def __init__(self, tracker: VisitTracker, frames: FrameFinder) -> None:
        self.tracker, self.frames = tracker, frames
        self.last_sight_ns: int | None = None
        self.moments: dict[int, GrabbedFrame] = {}
        """Frames of the visits that go on or may begin, by the time of their begin."""
        self.open: tuple[int, int | None] | None = None
        """Begin of the visit that is going on, and the id of its row once it has one."""


class _Sight(NamedTuple):
    """A frame that may become the picture of a visit."""

    place: RecordedPlace
    begin_ns: int
    """When the visit began, on the monotonic clock: that names it."""
    sequence: int
    captured_ns: int
    spare: bool
    """Only to be used where there is no better one."""


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class Surroundings(NamedTuple):
    """The machine, as the recorder needs it besides its clock."""

    busy: Callable[[], bool] = lambda: False
    """Whether commands wait for the disk."""
    wall: Callable[[], int] = time.time_ns
    """The wall clock, nanoseconds since 1970."""
    synchronised: Callable[[], bool] = SYNCHRONISED_FILE.exists
    """Whether a time server has set it."""
    free_bytes: Callable[[Path], int] = _free_bytes
    """Free space on the disk of a folder."""


class HistoryRecorder(Closing):
    """Follows the events of a pipeline and stores the visits; `listen` may be called from any thread."""

    def __init__(
        self,
        path: Path,
        config: HistoryConfig,
        places: Sequence[RecordedPlace],
        clock: Clock,
        report: Report,
        surroundings: Surroundings | None = None,
        *,
        encoder: str = "",
    ) -> None:
        """Open the database where that is possible; where not, that is reported and tried again.

        `encoder` identifies the model that makes the embeddings.
        """
        self._path, self._config = path, config
        self._places = {one.tracker.place: one for one in places}
        self._encoder = encoder
        self._clock, self._report, self._around = clock, report, surroundings or Surroundings()
        # held for microseconds: the stages' threads take it for every decision
        self._lock = threading.Lock()
        self._inbox: deque[_Sight | VisitChange | Corrected] = deque(maxlen=MOST_WAITING)
        self._batch: deque[VisitRecord] = deque(maxlen=MOST_WAITING)
        self._corrections: deque[Corrected] = deque(maxlen=MOST_WAITING)
        now_ns = clock.monotonic_ns()
        self._batch_ns: int | None = None
        """When the next batch is due; None: nothing waits."""
        self._open_ns, self._age_ns, self._retry_ns = now_ns + OPEN_NS, now_ns, now_ns
        self._due, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="history", daemon=True)
        self.stopped: str | None = None
        """Why nothing is recorded at the moment; None: it is."""
        self._store: HistoryStore | None = None
        self._try(self._open_store)

    @property
    def store(self) -> HistoryStore | None:
        """The database; None while it cannot be opened, which `stopped` explains."""
        return self._store

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Store the visit that is going on, and close the database; after the last event."""
        self._stop.set()
        self._due.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)
            if self._thread.is_alive():  # the disk hangs: the thread is a daemon
                return
        with self._lock:
            for place in self._places.values():
                self._inbox.extend(place.tracker.finish())
        self._read_inbox()
        if self._batch_ns is not None or self._corrections:
            self._try(self._write)
        if self._store is not None:
            self._store.close()

    # In the stages' threads

    def listen(self, event: Event) -> None:
        """Take an event of the pipeline; returns at once."""
        if isinstance(event, Decided):
            place = self._place_of(event.place)
            with self._lock:
                changes = place.tracker.see(event)
                self._inbox.extend(changes)
                sighted = self._config.pictures and self._sight(place, event, bool(changes))
            if changes or sighted:
                self._due.set()
        elif isinstance(event, Corrected):
            self._inbox.append(event)
            self._due.set()

    def _place_of(self, name: str) -> RecordedPlace:
        """Return a place by its name; the only one has any."""
        return self._places[name] if len(self._places) > 1 else next(iter(self._places.values()))

    def _sight(self, place: RecordedPlace, event: Decided, entered: bool) -> bool:
        """Note that the frame of a decision is wanted, if it is the best of its visit so far."""
        ongoing = place.tracker.current or place.tracker.following
        if ongoing is None or not (entered or ongoing.best is event):
            return False
        if place.tracker.current is None:
            # labels that flicker must not cost a frame each
            if place.last_sight_ns is not None and event.captured_ns - place.last_sight_ns < APART_NS:
                return False
            place.last_sight_ns = event.captured_ns
        spare = ongoing.best is not event
        self._inbox.append(_Sight(place, ongoing.begin_monotonic_ns, event.sequence, event.captured_ns, spare))
        return True

    # In the recorder's thread

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
            except Exception:
                # an encoder of pictures may raise anything: the device goes on, and the history with the next visit
                logging.getLogger(__name__).exception("the history could not record a visit")
                self._retry_ns = self._clock.monotonic_ns() + RETRY_NS
            self._due.wait(max(0.0, (self._next_ns() - self._clock.monotonic_ns()) / NS_PER_S))
            self._due.clear()

    def step(self) -> None:
        """Do what is due; tests call it instead of starting the thread."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            for place in self._places.values():
                self._inbox.extend(place.tracker.tick(now_ns))
        self._read_inbox()
        if (self._any_open and now_ns >= self._open_ns) or (self.stopped and now_ns >= self._retry_ns):
            self._batch_ns = now_ns if self._batch_ns is None else self._batch_ns
        if self._batch_ns is None or now_ns < max(self._batch_ns, self._retry_ns):
            return
        if self._around.busy() and now_ns - self._batch_ns < YIELD_NS:
            self._retry_ns = now_ns + NS_PER_S // 4
            return
        self._try(self._write)

    @property
    def _any_open(self) -> bool:
        return any(place.open is not None for place in self._places.values())

    def _next_ns(self) -> int:
        """Return when `step` has something to do again."""
        waits = [self._clock.monotonic_ns() + OPEN_NS]
        if self._any_open:
            waits.append(self._open_ns)
        if self._batch_ns is not None:
            waits.append(self._batch_ns)
        return max(min(waits), self._retry_ns)

    def _read_inbox(self) -> None:
        while self._inbox:
            item = self._inbox.popleft()
            if isinstance(item, _Sight):
                self._look_up(item)
                continue
            if self._batch_ns is None:
                self._batch_ns = self._clock.monotonic_ns() + BATCH_NS
            if isinstance(item, Corrected):
                self._corrections.append(item)
                continue
            place = self._places[item.visit.place]
            if item.kind == "entered":
                place.open = item.visit.begin_monotonic_ns, None
            else:
                self._batch.append(self._record(place, item.visit, over=True))
                place.moments.pop(item.visit.begin_monotonic_ns, None)
                place.open = None
                self._drop_pictures()

    def _look_up(self, sight: _Sight) -> None:
        place = sight.place
        if sight.spare and sight.begin_ns in place.moments:
            return
        frame = place.frames.grab(sight.sequence, sight.captured_ns)
        if frame is None:
            return
        place.moments[sight.begin_ns] = frame
        # of labels that did not become visits: the one that goes on, and the next
        keep = {sight.begin_ns, place.open[0] if place.open is not None else sight.begin_ns}
        place.moments = {begin: frame for begin, frame in place.moments.items() if begin in keep}

    def _record(self, place: RecordedPlace, visit: Visit, *, over: bool) -> VisitRecord:
        """Return what is to be stored of a visit."""
        row = place.open[1] if place.open is not None and place.open[0] == visit.begin_monotonic_ns else None
        frame = place.moments.get(visit.begin_monotonic_ns)
        jpeg = None if frame is None else to_bounded_jpeg(frame.picture)
        embedding = None if frame is None or jpeg is None else frame.embedding.tobytes()
        return VisitRecord(visit, not over, row, jpeg, embedding)

    def _drop_pictures(self) -> None:
        """Let the oldest waiting visits go without their pictures, while there are too many."""
        with_pictures = [index for index, one in enumerate(self._batch) if one.picture is not None]
        for index in with_pictures[:-MOST_PICTURES]:
            self._batch[index] = self._batch[index]._replace(picture=None, embedding=None)

    def _try(self, work: Callable[[], object]) -> None:
        """Do something with the database, and follow how it went."""
        try:
            try:
                work()
            except HistoryDamaged as error:
                self._begin_anew(error)
                work()
        except (EdgeAppError, OSError) as error:
            self._retry_ns = self._clock.monotonic_ns() + RETRY_NS
            if self.stopped is None:
                self._report(logging.ERROR, "history_stopped", reason=str(error))
            self.stopped = str(error)
        else:
            if self.stopped is not None:
                self._report(logging.INFO, "history_resumed")
            self.stopped = None

    def _open_store(self) -> HistoryStore:
        store = HistoryStore.open(self._path)
        earliest_ns = store.newest_ns()
        self._run_clock = RunClock(self._clock, self._around.wall, earliest_ns, self._around.synchronised)
        self._run = store.begin_run(self._encoder)
        self._store = store
        return store

    def _check_disk(self) -> None:
        """Raise StateNotWritable for a disk that is nearly full."""
        free = self._around.free_bytes(self._path.parent)
        if free < FREE_BYTES:
            raise StateNotWritable(
                f"{self._path.parent} has {free >> 20} MB free; below {FREE_BYTES >> 20} MB no visits are recorded, so "
                "that examples can still be taught: free some space"
            )

    def _begin_anew(self, error: HistoryDamaged) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
        aside = set_aside(self._path)
        # rows that were begun in the old file are new ones in the next
        self._batch = deque((one._replace(id=None) for one in self._batch), MOST_WAITING)
        for place in self._places.values():
            place.open = None if place.open is None else (place.open[0], None)
        self._report(logging.WARNING, "history_damaged", reason=str(error), kept=str(aside))

    def _write(self) -> None:
        """Store what waits, in one transaction; then keep the limits."""
        self._check_disk()
        store = self._store or self._open_store()
        changed = self._run_clock.look()
        if changed is not None:
            store.shift(self._run, changed.delta_ns, changed.state)
            self._report(logging.INFO, "history_clock", jump_s=changed.delta_ns / 1e9, state=changed.state.name.lower())
        self._store_visits(store)
        while self._corrections:
            self._follow(store, self._corrections[0])
            self._corrections.popleft()
        now_ns = self._clock.monotonic_ns()
        self._batch_ns, self._open_ns = None, now_ns + OPEN_NS
        before_ns = None
        if now_ns >= self._age_ns and self._run_clock.state > ClockState.DOUBTFUL:
            self._age_ns = now_ns + AGE_NS
            before_ns = self._run_clock.wall_ns(now_ns) - self._config.days * DAY_NS
        store.trim(self._config.most_bytes, before_ns)

    def _store_visits(self, store: HistoryStore) -> None:
        records, going_on = list(self._batch), []
        for place in self._places.values():
            with self._lock:
                current = place.tracker.snapshot()
            if current is not None and place.open is not None and place.open[0] == current.begin_monotonic_ns:
                records.append(self._record(place, current, over=False))
                going_on.append(place)
        timed = [
            one._replace(visit=one.visit._replace(begin_ns=self._run_clock.wall_ns(one.visit.begin_monotonic_ns)))
            for one in records
        ]
        ids = store.add(timed, self._run, self._run_clock.state)
        for place, row in zip(going_on, ids[len(self._batch) :], strict=True):
            assert place.open is not None
            place.open = place.open[0], row
            # stored: only a better one is wanted now
            place.moments.pop(place.open[0], None)
        self._batch.clear()

    def _follow(self, store: HistoryStore, event: Corrected) -> None:
        """Let visits follow a correction of examples and classes."""
        changes = event.action.changes
        if event.kind == "undone":
            changes = tuple(ExampleChange(one.example, one.after, one.before) for one in changes)
        if event.action.kind == "rename" and changes and changes[0].before and changes[0].after:
            store.rename(changes[0].before, changes[0].after)
        store.follow(changes)
