"""Rebuilds the network after a correction, beside the one in use, in the caller's thread or in the background."""

import logging
import threading
from collections.abc import Callable

from edge_app.errors import EdgeAppError
from edge_app.learner.replay import NetworkFactory, Progress, RateCoder, Trained, replay, resume
from edge_app.storage.records import Entry
from edge_app.storage.snapshots import Snapshots
from edge_app.storage.store import Store

logger = logging.getLogger(__name__)


class Superseded(Exception):
    """The journal was corrected again, or the learner is closing: this replay is abandoned."""


class Rebuilder:
    """Counts the corrections of a journal, and rebuilds the network until it includes all of them.

    `writing` is the lock of the store. It is held while a chunk of the journal is read, and for the last step, in which
    the rest of the journal is learnt and `swap(trained, replayed)` puts the network in place. `saving` is held while a
    snapshot is read.
    """

    def __init__(
        self,
        store: Store,
        snapshots: Snapshots,
        rate_code: RateCoder,
        factory: NetworkFactory,
        swap: Callable[[Trained, int], None],
        writing: threading.RLock,
        saving: threading.Lock,
        progress: Progress | None = None,
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._rate_code = rate_code
        self._factory = factory
        self._swap = swap
        self._writing = writing
        self._saving = saving
        self._told = progress
        # two counters, not a flag: a correction that comes during a rebuild must not be taken for included
        self._corrections = 0
        self._reached = 0
        # one rebuild at a time, whether in the background or in a caller's thread
        self._running = threading.Lock()
        # for _thread: a request must not be lost between the thread's last look at `stale` and its end
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self.progress: tuple[int, int] | None = None
        """(learnt, total) presentations of a rebuild in progress; None: none is in progress."""
        self.failure: Exception | None = None
        """The error of the last rebuild in the background; the network in use is then older than the journal."""

    @property
    def stale(self) -> bool:
        """Whether the network in use is older than the last correction."""
        return self._reached != self._corrections

    def outdate(self) -> None:
        """Note that the journal was corrected; the caller holds the store's lock."""
        self._corrections += 1

    def run(self, *, background: bool) -> None:
        """Bring the network up to date, before this returns or in the background."""
        if not background:
            self._catch_up()
            return
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="rebuild", daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Wait for a rebuild in the background; raises what made it fail."""
        thread = self._thread
        if thread is not None:
            thread.join()
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """Abandon a rebuild in progress; the next start replays the journal."""
        self._stopping.set()
        thread = self._thread
        if thread is not None:
            thread.join()
        with self._running:  # one in a caller's thread is abandoned after its chunk as well
            pass

    def _work(self) -> None:
        while True:
            try:
                self._catch_up()
                self.failure = None
            except Exception as error:  # noqa: BLE001 any error is reported by the owner, and must end the thread
                self.failure = error
                level = logging.ERROR if isinstance(error, EdgeAppError) else logging.CRITICAL
                logger.log(level, "the network could not be rebuilt, the old one stays in use: %s", error)
            with self._guard:
                # after a failure the thread ends: trying at once would fail again, the next correction tries anew
                if not self.stale or self._stopping.is_set() or self.failure is not None:
                    self._thread = None
                    return

    def _catch_up(self) -> None:
        with self._running:
            try:
                # again, when a correction came meanwhile
                while self.stale and not self._stopping.is_set():
                    self._attempt(self._corrections)
            finally:
                self.progress = None

    def _attempt(self, correction: int) -> None:
        def read(after: int, limit: int) -> list[Entry]:
            with self._writing:
                # checked for each chunk: a replay of an outdated journal is wasted work
                if correction != self._corrections or self._stopping.is_set():
                    raise Superseded
                return self._store.journal(after, limit)

        try:
            # a snapshot that is being read must not be removed
            with self._saving:
                trained, _ = resume(self._store.binding, self._snapshots, self._factory, read)
            start = trained.journal.count
            with self._writing:
                total = self._store.count_presentations()
            self.progress = start, max(start, total)
            replay(trained, self._rate_code, read, total, self._note)
            # the rest under the lock, so that no example can be stored between the last chunk and the swap
            with self._writing:
                replay(trained, self._rate_code, read, total)
                self._swap(trained, trained.journal.count - start)
                self._reached = correction
        except Superseded:
            return

    def _note(self, done: int, total: int) -> None:
        self.progress = done, total
        if self._told is not None:
            self._told(done, total)
