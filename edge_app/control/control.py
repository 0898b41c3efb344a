"""The one object that page, API and MQTT use: it reads the device's state and queues commands."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from edge_app import __version__
from edge_app.control import transfer
from edge_app.control.class_reports import ClassReport, class_reports
from edge_app.control.errors import Busy, HistoryOff, UploadGone
from edge_app.control.history import DeviceHistory, FindStore, WhyStopped
from edge_app.control.hub import Listenable
from edge_app.control.idempotency import REMEMBERED, Requests, mark_of
from edge_app.control.ids import checked_ids
from edge_app.control.outside import OutsidePictures
from edge_app.control.pictures import JpegFrame, Pictures
from edge_app.control.status import DeviceStatus, condition
from edge_app.control.uploads import TaughtUpload, Uploads
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.errors import InputError
from edge_app.history.tally import LabelTally
from edge_app.history.visits import gap_ns
from edge_app.labels import check_label
from edge_app.learner import Learner
from edge_app.learner.heat_map import HeatMap, HeatMapper
from edge_app.learner.pictures import Picture
from edge_app.messages import Decision
from edge_app.pipeline.calibrator import Verdict
from edge_app.pipeline.coach import SimilarExample
from edge_app.pipeline.commands import (
    Command,
    FollowImport,
    ForgetClass,
    ForgetExamples,
    MergeClasses,
    RelabelExamples,
    RenameClass,
    Teachable,
    TeachPictures,
    Undo,
)
from edge_app.pipeline.events import Corrected, Listener, Taught
from edge_app.pipeline.place import Place
from edge_app.pipeline.references import ClassReferences
from edge_app.rejection import RejectionPreview
from edge_app.rules.service import Rules
from edge_app.storage.records import Action, Example

if TYPE_CHECKING:
    from edge_app.config import HistoryConfig

WAIT_S = 30.0
"""The longest that a caller waits for its command: the disk may be slow."""
PREVIEWED_AT = tuple(step / 20 for step in range(21))
"""Strictness of which a report says what it would have done."""


class Identity(NamedTuple):
    """The device's state folder, encoder and configuration."""

    folder: Path
    encoder: str
    encoder_sha256: str
    config: Mapping[str, Any]
    """The configuration as a table of sections. It holds no secrets: they are in files."""


class DecidedPicture(NamedTuple):
    """The decision on a picture that a client sent."""

    decision: Decision
    verdict: Verdict


class StrictnessReport(NamedTuple):
    """When a decision is "unknown", and what that does."""

    strictness: float
    """In use, 0..1."""
    limit: int | None
    """The greatest novelty with a label, in 1/1024 octave; None: any."""
    previews: list[RejectionPreview]
    """At each of PREVIEWED_AT."""


class Control:
    """Reads a running device and has commands carried out; safe to use from any thread but the pipeline's own.

    A method that changes what was learnt returns once the change is stored, and raises what the learner raises:
    InputError, UnknownLabel, StateNotWritable; and Busy if too many commands wait. `source` names the client. After a
    correction the network is rebuilt in the background (`DeviceStatus.rebuilding`).
    """

    def __init__(
        self,
        place: Place,
        learner: Learner,
        hub: Listenable,
        pictures: Pictures,
        clock: Clock,
        identity: Identity,
        heat_maps: HeatMapper,
        outside: OutsidePictures,
    ) -> None:
        """`hub` must deliver the events that concern the place; `pictures` must show its frames."""
        self._place = place
        self._learner = learner
        self._hub = hub
        self._pictures = pictures
        self._heat_maps = heat_maps
        self._outside = outside
        self.uploads = Uploads(identity.folder, learner, outside, clock)
        """Pictures on their way to be taught."""
        self._clock = clock
        self.identity = identity
        self._started_ns = clock.monotonic_ns()
        self._history: DeviceHistory | None = None
        self.requests = Requests()
        """Those that came with a key."""
        self.restart: Callable[[], None] | None = None
        """Asks for a restart of the device in this process; its owner sets it. None: it cannot be restarted."""
        self.rules: Rules | None = None
        """The rules of the device; its owner sets them. None: it has none."""
        self._importing = threading.Lock()
        self.tally = LabelTally(place.name, gap_ns(place.config))
        """Decisions and time of each class since the start."""
        hub.listen(self.tally.listen)
        self._recall()

    # Reading

    def status(self) -> DeviceStatus:
        """Return the device's condition; cheap."""
        now = self._place.status()
        return DeviceStatus(
            version=__version__,
            uptime_s=(self._clock.monotonic_ns() - self._started_ns) / NS_PER_S,
            camera=now.camera,
            reopened=now.reopened,
            captured=now.captured,
            decided=now.decided,
            dropped=now.dropped,
            fps=now.fps,
            slowest_ms=now.slowest_ms,
            temperature_c=now.temperature_c,
            slowed=now.slowed,
            classes=now.classes,
            learnt=now.learnt,
            rebuilding=now.rebuilding,
            last_decision=now.last_decision,
            health=condition(self._place),
            rebuild_progress=now.rebuild_progress,
            history="off" if self._history is None else self._history.state,
            history_stopped=None if self._history is None else self._history.stopped(),
        )

    @property
    def group(self) -> str:
        """The group of places that share what is taught here."""
        return self._place.group.name

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration, as a table of sections; read-only."""
        return self.identity.config

    @property
    def references(self) -> ClassReferences:
        """Names of classes kept outside the store; they follow corrections."""
        return self._place.references

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event, from the stages' threads: it must return at once.

        Returns a function that removes it again.
        """
        return self._hub.listen(listener)

    def picture(self, max_side: int = 640) -> JpegFrame:
        """Return the newest frame as JPEG, encoded once for all callers. Raises FrameGone if there is none."""
        return self._pictures.newest(max_side)

    def heat_map(self, label: str | None = None, *, frame: int | None = None) -> tuple[int, HeatMap]:
        """Return a frame's number, and which parts of it drove the column of a class. Takes as long as encoding it.

        `label` None: the leading column. `frame`: its number, as in `teach`; None: the newest. Raises FrameGone,
        UnknownLabel, and InputError while no class is known or if the encoder does not output its last map.
        """
        seen = self._pictures.find(frame)
        return seen.sequence, self._heat_maps.of(seen.picture, label)

    def similar(self, *, frame: int | None = None, limit: int = 3) -> tuple[int, list[SimilarExample]]:
        """Return a frame's number, and the taught examples that it resembles most: why it is decided as it is.

        Of each class the newest are compared. `frame`: its number, as in `teach`; None: the newest. Raises FrameGone.
        """
        seen = self._pictures.find(frame)
        embedding = self._outside.encode(seen.picture) if seen.embedding is None else seen.embedding
        counts = self._learner.spike_counts(embedding)
        return seen.sequence, self._place.teacher.coach.most_similar(counts, limit)

    def classify(self, picture: Picture) -> DecidedPicture:
        """Decide on a picture by itself, and teach nothing; takes as long as decoding and encoding it.

        Raises UnreadablePicture.
        """
        decision = self._learner.classify(self._outside.encode(self._outside.prepare(picture).image))
        return DecidedPicture(decision, self._place.teacher.calibrator.verdict(decision, self._place.strictness))

    def await_picture(self, sequence: int, timeout_s: float) -> bool:
        """Wait up to `timeout_s` for a frame other than `sequence`; return whether there is one."""
        return self._pictures.await_newer(sequence, timeout_s)

    @property
    def picture_period_s(self) -> float:
        """The shortest time between two different pictures."""
        return self._pictures.period_s

    def keep(self, sequence: int) -> None:
        """Keep a frame for some seconds because a client was shown its number and may teach it."""
        self._pictures.keep(sequence)

    @property
    def pictures_made(self) -> int:
        """JPEGs encoded since the start."""
        return self._pictures.encoded

    def classes(self) -> list[ClassReport]:
        """Return the report on each class, in the order of their first example."""
        return class_reports(self._learner.classes(), self._place.teacher.accuracy.classes())

    def strictness(self) -> StrictnessReport:
        """Return the strictness in use, and what each would have done to the newest examples. Takes some 10 ms."""
        calibrator, strictness = self._place.teacher.calibrator, self._place.strictness
        return StrictnessReport(strictness, calibrator.limit(strictness), calibrator.preview(PREVIEWED_AT))

    def set_strictness(self, value: float) -> StrictnessReport:
        """Use another strictness from the next frame on, also after a restart. Raises InputError."""
        self._place.strictness = value
        return self.strictness()

    def examples(self, label: str | None = None, offset: int = 0, limit: int = 100) -> tuple[list[Example], int]:
        """Return a page of examples, the newest first, and the number of all, or of one class."""
        found = self._learner.examples(label)
        return found[::-1][offset : offset + limit], len(found)

    def thumbnail(self, example: int) -> bytes | None:
        """Return an example's picture as JPEG, None if it has none. Raises InputError, StateCorrupt."""
        return self._learner.thumbnail(example)

    # The history

    def keep_history(self, find: FindStore, config: "HistoryConfig", stopped: WhyStopped = lambda: None) -> None:
        """Give the clients the history; `find` returns its open database, `stopped` why nothing is recorded."""
        self._history = DeviceHistory(find, stopped, config, self._outside, self._teach, self._class_of)

    @property
    def history(self) -> DeviceHistory:
        """The history. Raises HistoryOff."""
        if self._history is None:
            raise HistoryOff("the device keeps no history: set enabled = true in [history] of its configuration")
        return self._history

    @property
    def history_revision(self) -> int:
        """A number that every change of the history raises; 0 without a history."""
        return 0 if self._history is None else self._history.revision

    def teach_visits(
        self, ids: Sequence[int], label: str, *, request: str | None = None, source: str = "page"
    ) -> list[Taught]:
        """Teach the pictures of visits as examples of one class, all or none, as one action.

        The same visits give the same network in whatever order they are listed. Raises HistoryOff, VisitGone.
        """
        # sorted: the same request in another order is the same
        ids, label, history = sorted(checked_ids(ids)), check_label(label), self.history
        taught: list[Taught] = self.requests.once(
            request, ("visits", tuple(ids), label), lambda: history.teach(ids, label, source)
        )
        return taught

    # Teaching and correcting

    def teach(
        self, label: str, *, frame: int | None = None, request: str | None = None, source: str = "page"
    ) -> Taught:
        """Teach a frame by its number, None: the newest.

        `frame` must have been shown to someone (`picture`, `keep`) in the last seconds. `request` is the key of the
        request: repeated with the same key nothing more is taught and the same answer is returned, also after a
        restart (while its example is among the newest 512). Raises FrameGone and RequestReused too.
        """
        label = check_label(label)
        mark = None if request is None else mark_of(request)

        def work() -> Taught:
            return self._teach(label, [self._pictures.find(frame)], source, mark)[0]

        taught: Taught = self.requests.once(request, ("teach", label), work)
        return taught

    def undo(self, *, action: int | None = None, request: str | None = None, source: str = "page") -> Action:
        """Take back the last action and return it.

        With `action`, its id, only if it is the last one: so a retry, however late, never takes back another.
        """
        command = Undo(action, source=source)
        undone: Action = self.requests.once(request, ("undo", action), lambda: self._correct(command))
        return undone

    def relabel(self, ids: Sequence[int], label: str, *, source: str = "page") -> Action:
        """Give examples another class, as one action."""
        return self._correct(RelabelExamples(checked_ids(ids), check_label(label), source=source))

    def forget_examples(self, ids: Sequence[int], *, source: str = "page") -> Action:
        """Forget examples, as one action."""
        return self._correct(ForgetExamples(checked_ids(ids), source=source))

    def forget_class(self, label: str, *, source: str = "page") -> Action:
        """Forget a class with all its examples."""
        return self._correct(ForgetClass(label, source=source))

    def rename_class(self, label: str, to: str, *, source: str = "page") -> Action:
        """Give a class a name that no other class has."""
        return self._correct(RenameClass(label, to, source=source))

    def merge_classes(self, label: str, into: str, *, source: str = "page") -> Action:
        """Move the examples of the class `label` to the class `into`."""
        return self._correct(MergeClasses(label, into, source=source))

    # Export and import

    def open_export(self, labels: Sequence[str]) -> transfer.Exported:
        """Return the examples of these classes (none: of all) as an open zip file, deleted when it is closed."""
        return transfer.open_export(self.identity.folder, labels)

    def export(self, labels: Sequence[str], file: BinaryIO) -> int:
        """Write the examples of these classes (none: of all) as a zip file; return their number."""
        return transfer.export_examples(self.identity.folder, labels, file)

    def import_(
        self,
        path: Path,
        progress: Callable[[int, int], None] = lambda done, total: None,
        *,
        source: str = "page",
    ) -> transfer.Imported:
        """Import an exported file, all or nothing; one import at a time. Raises ModelMismatch too."""
        with self._only_import():
            done = transfer.import_examples(self._learner, self.identity.encoder_sha256, path, progress)
        self._announce_import(done.action, source)
        return done

    def teach_upload(self, number: int, *, request: str | None = None, source: str = "page") -> TaughtUpload:
        """Teach the pictures of an upload, all or none, as one action, and close it; learnt in the background.

        Raises UploadGone, and InputError if none of its pictures can be taught.
        """

        def work() -> TaughtUpload:
            upload = self.uploads.find(number)
            with self._only_import():
                plan = upload.plan()
                if plan.problem:
                    raise InputError(plan.problem)
                if plan.expected:
                    raise Busy("the archive is still being read: wait until it is done")
                examples, thumbnail = upload.examples(plan, source)
                size = sum(one.thumbnail_bytes for one in plan.pictures)
                action = self._learner.import_examples(
                    examples, thumbnail=thumbnail, thumbnail_bytes=size, background=True, own=True
                )
            self._announce_import(action, source)
            with suppress(UploadGone):  # closed meanwhile, because it took so long
                self.uploads.drop(number)
            return TaughtUpload(plan, action)

        taught: TaughtUpload = self.requests.once(request, ("upload", number), work)
        return taught

    # Backup of the whole device

    def open_backup(self) -> transfer.Exported:
        """Return a backup of the device as an open zip file, deleted when it is closed."""
        return transfer.open_backup(self.identity.folder, self.config, time.time_ns())

    @property
    def most_backup_bytes(self) -> int:
        """Size of a backup that can be restored here at most: what the state may take."""
        return self._learner.limits.disk_bytes

    def restore(self, path: Path, *, dry_run: bool) -> transfer.Restored:
        """Check a backup and, unless `dry_run`, restart the device with it; the present state is kept aside.

        Raises ModelMismatch too.
        """
        restart = self.restart
        if restart is None and not dry_run:
            raise InputError("this program cannot restart the device: stop it, and use `edge-app restore`")
        with self._only_import(), transfer.stage_restore(self._learner, self.identity.folder, path) as staged:
            replaced = self._learner.classes()
            if restart is not None and not dry_run:
                staged.commit()
                restart()
        return transfer.Restored(staged.state, replaced, not dry_run)

    # Inside

    @contextmanager
    def _only_import(self) -> Iterator[None]:
        """Hold the right to import. Raises Busy while another import is running."""
        # rejected, not queued: an import takes minutes
        if not self._importing.acquire(blocking=False):
            raise Busy("another import is running: wait until it is done")
        try:
            yield
        finally:
            self._importing.release()

    def _announce_import(self, action: Action | None, source: str) -> None:
        if action is not None:
            with suppress(Busy):  # the examples are stored; only their announcement is late
                self._correct(FollowImport(action, source=source))

    def _teach(self, label: str, frames: Sequence[Teachable], source: str, request: str | None = None) -> list[Taught]:
        pictures, asked_ns = tuple(frames), self._clock.monotonic_ns()
        taught: list[Taught] = self._ask(TeachPictures(label, pictures, asked_ns, request, source=source))
        return taught

    def _correct(self, command: Command) -> Action:
        corrected: Corrected = self._ask(command)
        return corrected.action

    def _ask(self, command: Command) -> Any:
        """Queue a command and return its outcome. Raises Busy, and what the teacher raises."""
        done: Future[Any] = Future()
        # a copy with a future of its own
        if not self._place.submit(replace(command, done=done)):
            raise Busy("too many commands wait, or the program is stopping; try again later")
        try:
            return done.result(WAIT_S)
        except CancelledError as error:
            raise Busy("the program is stopping; nothing was changed") from error
        except TimeoutError as error:
            # Busy is a TimeoutError too: then the teacher raised it
            if isinstance(error, Busy) or done.done():
                raise
            # only a command that has not begun can be cancelled
            if done.cancel():
                raise Busy(f"it was not carried out within {WAIT_S:g} s; nothing was changed, try again") from error
            return done.result()  # it has begun, so its outcome must be reported

    def _class_of(self, example: int) -> str | None:
        try:
            return self._learner.example(example).label
        except InputError:
            return None

    def _recall(self) -> None:
        """Remember the requests of earlier runs, as far as the newest examples show them."""
        recalled = [one for one in self._learner.examples()[-REMEMBERED:] if one.request is not None]
        # under the class that the request named: it may have been renamed or corrected since
        named = _taught_as(self._learner.history()) if recalled else {}
        for example in recalled:
            label = named.get(example.id, example.label)
            taught = Taught(example.id, label, None, 0.0, example.source, None, example.time_ns)
            self.requests.recall(str(example.request), ("teach", label), taught)


def _taught_as(history: Sequence[Action]) -> dict[int, str]:
    """Return the class under which each example was taught, as far as undo can take it back."""
    return {
        change.example: change.after
        for action in history
        if action.kind == "teach"
        for change in action.changes
        if change.after is not None
    }
