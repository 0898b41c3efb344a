"""The learner: owns the stored examples and the network that follows from them, and keeps the two in step.

Threads: every method may be called from any thread. The lock `_writing` serialises the store; it is held for a whole
change, including its commit to disk. The lock of the network in use (live.py) is held for one decision, one step of
learning or one replacement, never across disk access. So `classify` waits for a few presentations at most, never for an
fsync or a rebuild. Order of locks: the saver's, `_writing`, the network's.

A correction (undo, relabel, forget, rename, merge) is stored at once; then the network is rebuilt by replay beside the
one in use, and replaces it. Examples taught meanwhile are stored, and learnt by both. An import goes the same way: the
lock is not held while its examples are learnt.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from edge_app.closing import Closing
from edge_app.config import ConsolidationConfig, StateConfig
from edge_app.errors import EdgeAppError, InputError, StateBusy, StateCorrupt, StateNotWritable
from edge_app.learner import corrections
from edge_app.learner.consolidation import ReplayTask
from edge_app.learner.consolidator import MAX_REHEARSALS, Consolidator
from edge_app.learner.importing import Importer, PendingImport
from edge_app.learner.live import InputDrive, LiveNetwork
from edge_app.learner.rebuilder import Rebuilder
from edge_app.learner.replay import CHUNK, NetworkFactory, Progress, RateCoder, Trained, replay, resume
from edge_app.learner.samples import LearntExample, Sample, predict_in_turn
from edge_app.learner.saver import Saver
from edge_app.messages import Decision
from edge_app.storage.folder import FolderLock, clean, restrict
from edge_app.storage.limits import check_classes, make_room, room_for_many
from edge_app.storage.records import (
    Action,
    Binding,
    Example,
    Kind,
    NewExample,
)
from edge_app.storage.snapshots import SnapshotKey, Snapshots
from edge_app.storage.store import Store
from edge_app.text import printable

if TYPE_CHECKING:
    from edge_app.colanet.params import Params
    from edge_app.encoder.model import ModelManifest

logger = logging.getLogger(__name__)

SNAPSHOT_EVERY = 500
"""Presentations between two snapshots: about the most that a start has to replay."""

PATIENCE_S = 8.0
"""Longest wait of a change for another one that is being stored: a stage must report within ten seconds."""


class Learner(Closing):
    """Teach, correct and classify. A context manager; `open` creates one for a state folder.

    A change raises StateBusy when another one is still being stored after some seconds; then nothing was changed.
    """

    def __init__(
        self,
        store: Store,
        snapshots: Snapshots,
        rate_code: RateCoder,
        factory: NetworkFactory,
        *,
        lock: FolderLock | None = None,
        clock: Callable[[], int] = time.time_ns,
        limits: StateConfig | None = None,
        progress: Progress | None = None,
        snapshot_every: int = SNAPSHOT_EVERY,
        thumbnail_side: int | None = None,
    ) -> None:
        """Replay the journal; takes ownership of `store` and `lock`.

        `clock` returns the wall clock in nanoseconds since 1970, only displayed. `progress(done, total)` is called
        while a network is rebuilt. `thumbnail_side`: imported thumbnails get this size, pixels. Raises StateCorrupt.
        """
        self.limits = limits or StateConfig()
        self._store = store
        self._snapshots = snapshots
        self._lock = lock
        self._clock = clock
        self._rate_code = rate_code
        self._factory = factory
        # reentrant: the rebuilder's last step holds it and reads the journal, which takes it too
        self._writing = threading.RLock()
        self._patience_s = PATIENCE_S
        self._importer = Importer(store, self._changing, clock, thumbnail_side)
        self._consolidator = Consolidator(store, self._changing, self._has_room_for_dreams, self._catch_up)
        self._closed = False
        self.notices: tuple[str, ...] = ()
        """Faults that were found and repaired when the state was opened."""
        try:
            trained, saved = self._resume(progress)
        except BaseException as error:  # a constructor that raises has no owner to close what it took over
            self._release(damaged=isinstance(error, StateCorrupt))
            raise
        self._live = LiveNetwork(trained, rate_code)
        self._saver = Saver(snapshots, self._freeze, every=snapshot_every, saved=saved)
        self._rebuilder = Rebuilder(
            store, snapshots, rate_code, factory, self._swap, self._writing, self._saver.lock, progress
        )
        # what was replayed counts: the next start would have to replay it again
        self._saver.learnt(trained.journal.count - saved.presentations)

    def _resume(self, progress: Progress | None) -> tuple[Trained, SnapshotKey]:
        """Return the network as the journal says, and the key of the snapshot that the replay began with."""
        if not self._store.read_only:
            # only the holder of the lock may remove what killed processes left
            clean(self._store.path.parent)
            restrict(self._store.path.parent)
            self._snapshots.clean()
            # an import that was interrupted: its examples have no class yet
            if leftover := self._store.staged():
                self._store.discard(leftover)
        trained, notices = resume(self._store.binding, self._snapshots, self._factory, self._store.journal)
        self.notices = tuple(notices)
        saved = trained.key(self._store.binding)
        replay(trained, self._rate_code, self._store.journal, self._store.count_presentations(), progress)
        return trained, saved

    @classmethod
    def open(
        cls,
        folder: Path,
        manifest: "ModelManifest",
        *,
        params: "Params | None" = None,
        threads: int = 1,
        clock: Callable[[], int] = time.time_ns,
        limits: StateConfig | None = None,
        read_only: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Open the state in `folder`, or create it, with CoLaNET and the model's rate code.

        `params` None means those stored with the state, or the defaults for a new one. With `read_only` the state is
        read once, as it is now, without a lock: a running service is not disturbed, and its changes are not seen.

        Raises ModelMismatch when the state was taught with another encoder, rate code or parameters, StateBusy when
        another process holds the folder, StateCorrupt, StateNotWritable, and InputError for a missing state to read.
        """
        from edge_app.learner.state import open_parts

        parts = open_parts(folder, manifest, params=params, threads=threads, read_only=read_only)
        return cls(
            parts.store,
            parts.snapshots,
            parts.rate_code,
            parts.factory,
            lock=parts.lock,
            clock=clock,
            limits=limits,
            progress=progress,
            thumbnail_side=manifest.input_size,
        )

    # Deciding

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that the network knows, in the order of their first example."""
        return self._live.labels

    @property
    def revision(self) -> int:
        """Another number whenever the network has changed; read before `classify`, it tells for how long that holds."""
        return self._live.revision

    def classify(self, embedding: NDArray[np.uint8]) -> Decision:
        """Return the network's decision on an embedding, (n,) uint8. Raises InputError."""
        self._check_embedding(embedding)
        return self._live.predict(embedding)

    def evidence(self, embedding: NDArray[np.uint8], label: str | None = None) -> InputDrive:
        """Return what drove the column of a class when shown an embedding, (n,) uint8; None: the leading column.

        Raises UnknownLabel, and InputError, also while no class is known.
        """
        self._check_embedding(embedding)
        return self._live.evidence(embedding, label)

    def spike_counts(self, embedding: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the spike counts, (n_inputs,) uint8, of an embedding, (n,) uint8. Raises InputError."""
        self._check_embedding(embedding)
        return self._rate_code(embedding)

    def spike_counts_of(self, example: int) -> NDArray[np.uint8]:
        """Return the spike counts, (n_inputs,) uint8, of a stored example. Raises InputError, StateCorrupt."""
        with self._writing:
            embedding = self._store.embedding(example)
        return self._rate_code(np.frombuffer(embedding, np.uint8))

    # Teaching

    def teach(
        self, embedding: NDArray[np.uint8], label: str, *, source: str, thumbnail: bytes | None = None
    ) -> LearntExample:
        """Store an example, durably, and learn it; a new label is a new class.

        `embedding` is (n,) uint8; `thumbnail` the model's input as JPEG. A full class, with the policy to replace,
        loses its oldest example, and the network is rebuilt in the background. Raises InputError, and
        StateNotWritable when it could not be stored: then nothing changed.
        """
        return self.teach_many([Sample(embedding, thumbnail)], label, source=source)[0]

    def teach_many(self, shown: Sequence[Sample], label: str, *, source: str) -> list[LearntExample]:
        """Store several examples of a class, all or none, as one action, and learn them in this order.

        To the bit what teaching them one after the other gives, predictions included. Otherwise as `teach`.
        """
        if not shown:
            raise InputError("nothing was shown, expected at least one example to teach")
        for one in shown:
            self._check_embedding(one.embedding)
        with self._changing():
            # under the lock: the class may be forgotten at any other time
            label = corrections.target(self._store, label)
            needed = sum(one.embedding.nbytes + len(one.thumbnail or b"") for one in shown)
            # before the prediction: `newest` must not name an example that leaves
            leaving = make_room(self._store, self.limits, label, self._snapshots.used_bytes(), needed, len(shown))
            # a copy for several: predicting the second needs the first learnt, which is not stored yet
            ahead = self._live if len(shown) == 1 else self._live.copy()
            decided = predict_in_turn(ahead, self._store, shown, label, leaving)
            time_ns = self._clock()
            examples = [
                NewExample(
                    one.embedding.tobytes(), label, time_ns, printable(one.source or source), one.thumbnail, prediction
                )
                for one, (_, prediction) in zip(shown, decided, strict=True)
            ]
            # stored before it is learnt: the network never knows what the disk does not
            action = self._store.commit("teach", time_ns, add=examples, labels=dict.fromkeys(leaving))
            if leaving:
                # the oldest example cannot be unlearnt, only left out of a replay
                self._rebuilder.outdate()
            if ahead is not self._live:
                self._take_over(ahead, examples)
            self._catch_up()
        if leaving:
            self._rebuilder.run(background=True)
        # the changes list those that left first
        added = action.changes[len(leaving) :]
        return [LearntExample(change.example, label, *one) for change, one in zip(added, decided, strict=True)]

    def import_examples(
        self,
        examples: Sequence[NewExample],
        *,
        order: Sequence[int] | None = None,
        thumbnail: Callable[[int], bytes | None] = lambda index: None,
        thumbnail_bytes: int = 0,
        background: bool = False,
        own: bool = False,
    ) -> Action | None:
        """Store and learn many examples, all or none, as one action; return it.

        Those of the same class and the same embedding as a stored one are left out; None when none is left. `order`
        lists the examples as they are presented; `thumbnail(index)` reads the pictures, about `thumbnail_bytes` in
        all, one at a time. They are stored in pieces, between which presses are served, and taken into use together;
        with `background` at half the speed. Then the network is rebuilt as after a correction. `own`: this device made
        them, so their sources and thumbnails are stored as they are. Raises InputError, StateNotWritable, and what
        `thumbnail` raises: then nothing is imported.
        """
        with self._changing():
            # before everything else: a device that stops must not begin to read a large file
            self._importer.check_allowed()
            known = self._store.contents()
            fresh = {i: new for i, new in enumerate(examples) if (new.label, new.embedding) not in known}
            for label in dict.fromkeys(new.label for new in fresh.values()):
                corrections.target(self._store, label)
            used = self._snapshots.used_bytes() + thumbnail_bytes
            room_for_many(self._store, self.limits, list(fresh.values()), used)
        # outside the lock: storing the pieces takes it for each
        places = [i for i in (range(len(examples)) if order is None else order) if i in fresh]
        action = self._importer.run(PendingImport(fresh, places, thumbnail, own), self._pass_over, paced=background)
        if action is not None:
            self._rebuilder.run(background=background)
        return action

    def _pass_over(self) -> None:
        """Leave what was imported to the network that is rebuilt: it learns it in the order of the journal."""
        # otherwise _catch_up would learn the import with the next press, in one long step
        self._live.pass_over(self._store.last_seq())
        self._rebuilder.outdate()

    # Consolidation

    def next_dream(self, config: ConsolidationConfig) -> ReplayTask | None:
        """Return the next dream or rehearsal; None when none is left, or when the folder is half full."""
        return self._consolidator.next(config)

    def learn_dream(self, task: ReplayTask, embedding: NDArray[np.uint8]) -> bool:
        """Store a dream, (n,) uint8, durably, and learn it. Return False if `task` is out of date.

        Raises InputError, StateNotWritable.
        """
        self._check_embedding(embedding)
        return self._consolidator.learn_dream(task, embedding)

    def learn_rehearsals(self, config: ConsolidationConfig, limit: int = MAX_REHEARSALS) -> int:
        """Store and learn the rehearsals that come before the next dream, at most `limit`; return how many."""
        return self._consolidator.learn_rehearsals(config, limit)

    def leave_out(self, example: int, reason: str) -> None:
        """Make no dreams of an example from now on, because its thumbnail cannot be used; log it once."""
        self._consolidator.leave_out(example, reason)

    @property
    def left_out(self) -> Mapping[int, str]:
        """The examples of which no dreams are made since the start, and the reason."""
        return self._consolidator.left_out

    def dreams(self, config: ConsolidationConfig) -> tuple[int, int]:
        """Return the number of dreams learnt, and of those left to make."""
        with self._hold():
            return self._consolidator.count(config)

    def _has_room_for_dreams(self) -> bool:
        # half: what a person teaches must never be rejected because of dreams
        return 2 * (self._store.used_bytes() + self._snapshots.used_bytes()) <= self.limits.disk_bytes

    def forget_dreams(self, *, background: bool = False) -> None:
        """Forget all dreams, as if there had never been any. Raises StateNotWritable."""
        with self._hold():
            self._check_writable()
            self._store.forget_dreams()
            self._rebuilder.outdate()
        self._rebuilder.run(background=background)

    # Corrections: the result is as if it had been taught that way. They return when the network is rebuilt; with
    # `background` at once, while it is rebuilt in a thread (`wait`, `rebuilding`, `failure`).

    def undo(self, *, background: bool = False) -> Action:
        """Take back the last action, whatever it was, and return it. Raises InputError when there is none."""
        return self._correct(lambda: self._store.undo(), background)

    def relabel(self, example: int, label: str, *, background: bool = False) -> Action:
        """Give an example another class, as if it had been taught so. Raises InputError."""
        return self._relabel("relabel", lambda: corrections.relabel(self._store, example, label), background)

    def forget_example(self, example: int, *, background: bool = False) -> Action:
        """Forget one example. Raises InputError when there is none with that id."""
        return self._relabel("forget", lambda: corrections.forget_example(self._store, example), background)

    def relabel_examples(self, examples: Sequence[int], label: str, *, background: bool = False) -> Action:
        """Give several examples another class, as one action. Raises InputError."""
        return self._relabel("relabel", lambda: corrections.relabel_examples(self._store, examples, label), background)

    def forget_examples(self, examples: Sequence[int], *, background: bool = False) -> Action:
        """Forget several examples, as one action. Raises InputError."""
        return self._relabel("forget", lambda: corrections.forget_examples(self._store, examples), background)

    def forget_class(self, label: str, *, background: bool = False) -> Action:
        """Forget a class with all its examples. Raises UnknownLabel."""
        return self._relabel("forget", lambda: corrections.forget_class(self._store, label), background)

    def rename_class(self, old: str, new: str, *, background: bool = False) -> Action:
        """Give a class another name. Raises UnknownLabel, and InputError when the new name is taken."""
        return self._relabel("rename", lambda: corrections.rename_class(self._store, old, new), background)

    def merge_classes(self, into: str, other: str, *, background: bool = False) -> Action:
        """Move the examples of class `other` to class `into`. Raises UnknownLabel, InputError."""
        return self._relabel("merge", lambda: corrections.merge_classes(self._store, into, other), background)

    def purge(self, examples: Sequence[int], *, background: bool = False) -> None:
        """Delete examples for good, and the snapshots, which may include them; undo cannot bring them back."""
        # given back before the saver's lock is taken, which comes first in the order of locks
        with self._hold():
            self._check_writable()
        self._saver.clear()  # first: on a full disk it makes the room in which the deletion can be written
        with self._hold():
            self._store.purge(examples)
            self._rebuilder.outdate()
        self._rebuilder.run(background=background)

    @property
    def rebuilding(self) -> bool:
        """Whether decisions come from a network without the last correction."""
        return self._rebuilder.stale

    @property
    def rebuild_progress(self) -> tuple[int, int] | None:
        """(learnt, total) presentations of a rebuild in progress; None: none is in progress."""
        return self._rebuilder.progress

    @property
    def failure(self) -> Exception | None:
        """The error of the last rebuild in the background; None: it succeeded."""
        return self._rebuilder.failure

    def wait(self) -> None:
        """Wait for a rebuild in the background; raises its error."""
        self._rebuilder.wait()

    # Reading

    def examples(self, label: str | None = None) -> list[Example]:
        """Return the stored examples in the order in which they were taught, all or of one class."""
        with self._writing:
            return self._store.examples(label)

    @property
    def binding(self) -> Binding:
        """The encoder and the parameters of the state."""
        return self._store.binding

    def example(self, example: int) -> Example:
        """Return one example. Raises InputError when there is none with that id, or when it was forgotten."""
        with self._writing:
            return self._store.example(example)

    def classes(self) -> dict[str, int]:
        """Return the number of stored examples of each class, classes in the order of their first."""
        with self._writing:
            return self._store.classes()

    def history(self) -> list[Action]:
        """Return the actions that `undo` can take back, the oldest first."""
        with self._hold():
            return self._store.history()

    def forgotten(self) -> list[int]:
        """Return the examples that are kept only so that undo can bring them back."""
        with self._writing:
            return self._store.forgotten()

    def thumbnail(self, example: int) -> bytes | None:
        """Return an example's thumbnail (JPEG), None when it has none. Raises StateCorrupt."""
        with self._writing:
            return self._store.thumbnail(example)

    def pictures(self) -> dict[bytes, set[str]]:
        """Return the classes of each stored picture, by the `thumbnail_mark` of its thumbnail."""
        with self._writing:
            marks = self._store.thumbnail_marks()
        found: dict[bytes, set[str]] = {}
        for label, mark in marks:
            found.setdefault(mark, set()).add(label)
        return found

    # Saving and closing

    def save(self) -> None:
        """Write a snapshot if anything was learnt since the last. Raises StateNotWritable."""
        self._saver.save()

    def network_state(self) -> bytes:
        """Return the network as bytes: the same for the same parameters, rate code and journal."""
        return self._live.state()

    def refuse_imports(self) -> None:
        """Refuse imports from now on, including one that is being stored: a stop must not wait for it."""
        self._importer.refuse()

    def close(self) -> None:
        """Save a snapshot and release the folder; a rebuild in progress is abandoned, the next start replays."""
        self.refuse_imports()
        with self._writing:
            # closing twice is allowed, as with files
            if self._closed:
                return
            self._closed = True
        # before the snapshot: a stale network would not be saved, and its thread uses the store
        self._rebuilder.stop()
        self._saver.close()
        with self._writing:
            self._release()

    # Internal

    @contextmanager
    def _hold(self) -> Iterator[None]:
        """Hold the lock of the store. Raises StateBusy when it cannot be had in time."""
        # a disk may hang for minutes; without a limit every stage that teaches would hang with it
        if not self._writing.acquire(timeout=self._patience_s):
            raise StateBusy(
                f"{self._store.path.parent} is busy: the disk has taken more than {self._patience_s:g} s to store "
                "something else. Nothing was changed, try again when it is done"
            )
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock of the store for a change; afterwards remove snapshots of examples deleted for good."""
        purged_by: int | None = None
        try:
            with self._hold():
                self._check_writable()
                before = self._store.purged
                try:
                    yield
                finally:
                    if self._store.purged != before:
                        purged_by = self._store.purged_by
        finally:
            if purged_by is not None:  # after the lock is given back: the saver's comes first
                try:
                    self._saver.clear(purged_by)
                except EdgeAppError as error:
                    logger.warning("%s; they may include deleted examples, until the next two are saved", error)

    def _correct(self, change: Callable[[], Action], background: bool) -> Action:
        with self._changing():
            action = change()
            self._rebuilder.outdate()
        self._rebuilder.run(background=background)
        return action

    def _relabel(self, kind: str, labels: Callable[[], corrections.Labels], background: bool) -> Action:
        def change() -> Action:
            # inside the change: the examples are looked up under the lock under which they are changed
            wanted = labels()
            if kind == "relabel":
                # only relabel can add a class; filter: None forgets
                check_classes(self._store, self.limits, filter(None, wanted.values()))
            return self._store.commit(kind, self._clock(), labels=wanted)

        return self._correct(change, background)

    def _catch_up(self) -> None:
        """Learn the journal's new entries; the caller holds `_writing`."""
        try:
            # from the journal, not from the arguments: what is learnt is what was stored, in its order
            while entries := self._store.journal(self._live.seq, CHUNK):
                self._live.learn(entries)
                self._saver.learnt(len(entries))
        except BaseException:
            self._rebuilder.outdate()  # possibly half learnt; rebuild from the journal
            self._rebuilder.run(background=True)
            raise

    def _take_over(self, ahead: LiveNetwork, examples: Sequence[NewExample]) -> None:
        """Use a network that has learnt new examples already, if nothing else is new in the journal."""
        entries = self._store.journal(self._live.seq, len(examples))
        # compared with the journal: what is learnt is what was stored, in its order
        if [(one.label, one.embedding, one.kind) for one in entries] == [
            (new.label, new.embedding, Kind.EXAMPLE) for new in examples
        ]:
            self._live.take_over(ahead, entries)
            self._saver.learnt(len(entries))

    def _swap(self, trained: Trained, replayed: int) -> None:
        self._live.replace(trained)
        self._saver.learnt(replayed)

    def _freeze(self, saved: SnapshotKey | None) -> tuple[SnapshotKey, bytes, int] | None:
        with self._writing:
            key = self._live.key(self._store.binding)
            # stale: a snapshot of a network without the last correction would never fit the journal
            if self._store.read_only or self._rebuilder.stale or key == saved:
                return None
            return key, self._live.state(), self._store.last_action()

    def _check_embedding(self, embedding: NDArray[np.uint8]) -> None:
        size = self._store.binding.embedding_size
        # checked before it is stored: the journal must never hold what no network can learn
        if not isinstance(embedding, np.ndarray) or embedding.dtype != np.uint8 or embedding.shape != (size,):
            found = f"{embedding.dtype} {embedding.shape}" if isinstance(embedding, np.ndarray) else repr(embedding)
            raise InputError(f"embedding is {found}, expected a uint8 array of ({size},)")

    def _check_writable(self) -> None:
        if self._closed:
            raise StateNotWritable(f"{self._store.path.parent} was closed: open it again")
        if self._lock is not None:
            self._lock.check()
        if self._store.read_only:
            raise StateNotWritable(f"{self._store.path.parent} was opened read-only: it cannot be changed")

    def _release(self, *, damaged: bool = False) -> None:
        # a damaged database is left byte for byte as it was, for `edge-app recover`
        self._store.close(unchanged=damaged)
        if self._lock is not None:
            self._lock.release()
