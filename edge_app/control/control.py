"""The one object that a page, an API and a message bus are given: it looks, asks for changes, and touches no weight."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from edge_app import __version__
from edge_app.control import transfer
from edge_app.control.class_reports import ClassReport, ordered
from edge_app.control.errors import Busy
from edge_app.control.events import Answered, Event, Hub, Subscription, Taught
from edge_app.control.idempotency import Requests, mark_of
from edge_app.control.pictures import JpegFrame, Pictures, TeachableFrame, to_jpeg
from edge_app.control.status import DeviceStatus, condition
from edge_app.control.tray import Tray, UncertainDecision
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.errors import InputError
from edge_app.labels import check_label
from edge_app.learner import Learner
from edge_app.pipeline.deeds import Correction, Errand, Lesson
from edge_app.pipeline.pipeline import Pipeline
from edge_app.pipeline.teaching import TeachablePicture, Teacher
from edge_app.storage.records import Action, Example

T = TypeVar("T")

WAIT_S = 30.0
"""The longest that a caller waits until the teacher has carried out what it wants; the teacher's disk may be slow."""
PASSING_S = 2.0
"""A camera that delivers what is not good for less than that is well."""
AT_ONCE = 200
"""Examples or moments that one request may name."""


class Identity(NamedTuple):
    """What the device is."""

    folder: Path
    """Of its state."""
    encoder: str
    encoder_sha256: str
    config: Mapping[str, Any]
    """The configuration as a table of sections; it holds no secrets, they are in files."""


class Control:
    """Looks at a running device, and has things done on it; safe to use from any thread, never from the loop's own.

    Whatever changes what was learnt waits until it is stored, and raises what the learner raises: InputError,
    UnknownLabel, StateNotWritable; and Busy, when too much waits. `source` says on whose behalf. The network follows a
    correction in the background (`DeviceStatus.rebuilding`).
    """

    def __init__(
        self, pipeline: Pipeline, learner: Learner, hub: Hub, pictures: Pictures, clock: Clock, identity: Identity
    ) -> None:
        """`hub` must be the one that the pipeline tells; `pictures` those of the pipeline's frames."""
        self._pipeline = pipeline
        self._learner = learner
        self._hub = hub
        self._pictures = pictures
        self._clock = clock
        self.identity = identity
        self._started_ns = clock.monotonic_ns()
        self._tray = Tray(pictures)
        self._requests = Requests()
        transfer.remove_leftovers(identity.folder)
        self._importing = threading.Lock()
        hub.rebuilding = lambda: learner.rebuilding
        hub.listen(self._follow)
        self._recall()

    # Looking

    def status(self) -> DeviceStatus:
        """Return how things are; cheap."""
        now = self._pipeline.status()
        answer = self._hub.last
        silent = self._pipeline.life.overdue() if self._pipeline.running else []
        # two equal frames, a hand before the lens: no illness yet
        passing = now.camera != "reopening" and self._pipeline.capture.lasted_s < PASSING_S
        camera = "good" if passing else now.camera
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
            answer=answer,
            health=condition(camera, silent, self._learner.failure, answer is not None),
            rebuild_progress=now.rebuild_progress,
        )

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration, as a table of sections; to be read only."""
        return self.identity.config

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with every event, from the stages' threads: it must return at once. Return what ends it."""
        return self._hub.listen(listener)

    def subscribe(self, size: int = 64, *, only: tuple[type, ...] = ()) -> Subscription:
        """Return a reader of its own for all events, or for those of the types in `only`; close it in the end."""
        return self._hub.subscribe(size, only=only)

    def picture(self, max_side: int = 640) -> JpegFrame:
        """Return the newest frame as JPEG, encoded once however many ask. Raises FrameGone when there is none."""
        return self._pictures.newest(max_side)

    def await_picture(self, sequence: int, timeout_s: float) -> bool:
        """Wait up to `timeout_s` for a frame other than `sequence`; whether there is one."""
        return self._pictures.await_newer(sequence, timeout_s)

    @property
    def picture_period_s(self) -> float:
        """The shortest time between two pictures; asking oftener is of no use."""
        return self._pictures.period_s

    def keep(self, sequence: int) -> None:
        """Keep a frame for some seconds, because someone was told of it and may want to teach it."""
        self._pictures.keep(sequence)

    @property
    def pictures_made(self) -> int:
        """JPEGs encoded so far."""
        return self._pictures.encoded

    def classes(self) -> list[ClassReport]:
        """Return how each class is doing, in the order in which they were first taught."""
        return ordered(self._learner.classes(), self._pipeline.teacher.progress.standings())

    def examples(self, label: str | None = None, offset: int = 0, limit: int = 100) -> tuple[list[Example], int]:
        """Return some examples, the newest first, and how many there are in all, or of one class."""
        found = self._learner.examples(label)
        return found[::-1][offset : offset + limit], len(found)

    def before(self, example: int) -> str | None:
        """Return what an example was taken for before it was learnt; None: unknown, or not known. Raises InputError."""
        before = self._learner.example(example).before
        return before.label if before is not None else None

    def thumbnail(self, example: int) -> bytes | None:
        """Return an example's picture as JPEG, None when it has none. Raises InputError, StateCorrupt."""
        return self._learner.thumbnail(example)

    def history(self) -> list[Action]:
        """Return the actions that `undo` can take back, the oldest first."""
        return self._learner.history()

    # The tray

    def tray(self) -> list[UncertainDecision]:
        """Return the last uncertain or changed decisions, the newest first."""
        return self._tray.moments()

    def moment_picture(self, moment: int) -> bytes:
        """Return the picture of a moment as JPEG. Raises InputError when it is not there any more."""
        return to_jpeg(self._tray.seen([moment])[0].picture)

    def teach_moments(
        self, ids: Sequence[int], label: str, *, request: str | None = None, source: str = "page"
    ) -> list[Taught]:
        """Teach all of some moments as one class, one example each and all as one action; take them from the tray.

        In the order in which they were seen, so that the same ones give the same network however they were picked.
        When it cannot be stored none is taught, and the tray stays as it is.
        """
        ids, label = sorted(_few(ids)), check_label(label)

        def work() -> list[Taught]:
            subjects = [TeachablePicture(one.picture, one.embedding, one.sequence) for one in self._tray.seen(ids)]

            def learn(teacher: Teacher) -> list[Taught]:
                asked_ns = self._clock.monotonic_ns()
                lessons = teacher.teach_many(label, subjects, source=source, asked_ns=asked_ns)
                self._tray.dismiss(ids)
                return [Taught(*lesson, time.time_ns()) for lesson in lessons]

            return self._ask(learn, source)

        taught: list[Taught] = self._requests.once(request, ("moments", tuple(ids), label), work)
        return taught

    def dismiss(self, ids: Sequence[int]) -> int:
        """Take moments from the tray; return how many were there."""
        return self._tray.dismiss(_few(ids))

    # Teaching and correcting

    def teach(
        self, label: str, *, frame: int | None = None, request: str | None = None, source: str = "page"
    ) -> Taught:
        """Teach what the frame of that number shows, None: the newest; return when it is stored and learnt.

        `frame` is what the person saw: one that was shown (`picture`, `keep`) in the last seconds. `request` names the
        request: the same one again teaches nothing more and returns the same answer, also after a restart (as long as
        its example is among the last 512). Raises FrameGone, RequestReused and what the class says.
        """
        label = check_label(label)
        told = source if request is None else f"{source} #{mark_of(request)}"

        def work() -> Taught:
            seen = self._pictures.find(frame)
            return self._ask(lambda teacher: self._learn(teacher, label, seen, told), source)

        taught: Taught = self._requests.once(request, ("teach", label), work)
        return taught

    def undo(self, *, action: int | None = None, request: str | None = None, source: str = "page") -> Action:
        """Take back the last action and return it.

        With `action`, its id, only when it is the last one: so that a retry, of whatever age, takes nothing else back.
        """

        def change() -> Action:
            history = self._learner.history()
            if action is not None and (not history or history[-1].id != action):
                last = f"the last one is {history[-1].id}" if history else "there is nothing to undo"
                raise InputError(f"action {action} cannot be taken back now: {last}. Nothing was changed")
            return self._learner.undo(background=True)

        undone: Action = self._requests.once(request, ("undo", action), lambda: self._correct("undone", change, source))
        return undone

    def relabel(self, ids: Sequence[int], label: str, *, source: str = "page") -> Action:
        """Give examples another class, as one action."""
        ids, label = _few(ids), check_label(label)
        return self._correct(
            "relabelled", lambda: self._learner.relabel_examples(ids, label, background=True), source, label=label
        )

    def forget_examples(self, ids: Sequence[int], *, source: str = "page") -> Action:
        """Forget examples, as one action."""
        ids = _few(ids)
        return self._correct("forgotten", lambda: self._learner.forget_examples(ids, background=True), source)

    def forget_class(self, label: str, *, source: str = "page") -> Action:
        """Forget a class with all its examples."""
        return self._correct(
            "forgotten", lambda: self._learner.forget_class(label, background=True), source, label=label
        )

    def rename_class(self, label: str, to: str, *, source: str = "page") -> Action:
        """Give a class a name that no other has."""
        return self._correct(
            "renamed", lambda: self._learner.rename_class(label, to, background=True), source, label=label, to=to
        )

    def merge_classes(self, label: str, into: str, *, source: str = "page") -> Action:
        """Let the examples of a class belong to the class `into`."""
        return self._correct(
            "merged", lambda: self._learner.merge_classes(into, label, background=True), source, label=label, into=into
        )

    # Carrying

    def open_export(self, labels: Sequence[str]) -> transfer.Exported:
        """Return the examples of these classes (none: of all) as an open zip file; who closes it deletes it."""
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
        """Take in the examples of an exported file, all or none; one import at a time. Raises ModelMismatch too."""
        if not self._importing.acquire(blocking=False):
            raise Busy("another import is under way: wait until it is done")
        try:
            done = transfer.import_examples(self._learner, self.identity.encoder_sha256, path, progress)
        finally:
            self._importing.release()
        if done.action is not None:
            self._ask(Teacher.judge, source)
            self._hub.told(Correction("imported", done.action, source))
        return done

    # Inside

    def _learn(self, teacher: Teacher, label: str, seen: TeachableFrame, source: str) -> Taught:
        lesson: Lesson = teacher.teach(
            label,
            seen.picture,
            seen.embedding,
            source=source,
            sequence=seen.sequence,
            asked_ns=self._clock.monotonic_ns(),
        )
        return Taught(*lesson, time.time_ns())

    def _correct(self, kind: str, change: Callable[[], Action], source: str, **fields: object) -> Action:
        return self._ask(lambda teacher: teacher.correct(kind, change, source, **fields), source)

    def _ask(self, work: Callable[[Teacher], T], source: str) -> T:
        """Have the teacher do something, and wait for it."""
        done: Future[T] = Future()
        if not self._pipeline.submit(Errand(work, done, source)):
            raise Busy("too much waits to be carried out, or the program is stopping; try again later")
        try:
            return done.result(WAIT_S)
        except CancelledError as error:
            raise Busy("the program is stopping; nothing was changed") from error
        except TimeoutError as error:
            if isinstance(error, Busy) or done.done():
                raise
            if done.cancel():
                raise Busy(f"it was not carried out within {WAIT_S:g} s; nothing was changed, try again") from error
            return done.result()  # it has begun: what is half done must be told as it ends

    def _follow(self, event: Event) -> None:
        if isinstance(event, Answered):
            self._tray.consider(event)

    def _recall(self) -> None:
        """Know again the requests of earlier runs whose examples are stored."""
        for example in self._learner.examples()[-512:]:
            _, mark, name = example.source.rpartition(" #")
            if mark and len(name) == 16:
                taught = Taught(example.id, example.label, None, 0.0, example.source, None, example.time_ns)
                self._requests.recall(name, ("teach", example.label), taught)


def _few(ids: Sequence[int]) -> list[int]:
    found = list(dict.fromkeys(ids))
    if not 1 <= len(found) <= AT_ONCE:
        raise InputError(f"{len(found)} were named, expected 1..{AT_ONCE} at once")
    return found
