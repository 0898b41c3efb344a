"""Beside the loop: buttons -> commands, and commands -> what is learnt, without keeping decisions waiting."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.ports import NS_PER_S, Buttons, Clock
from edge_app.errors import EdgeAppError, InputError
from edge_app.learner.learner import Sample
from edge_app.learner.pictures import thumbnail_of
from edge_app.messages import Decision, Frame
from edge_app.pipeline.accuracy import AccuracyTracker, ScoredExample, judge
from edge_app.pipeline.calibrator import ConfidenceCalibrator
from edge_app.pipeline.decide import SharedIndicator
from edge_app.pipeline.deeds import Correction, Deed, Errand, Lesson, Refusal
from edge_app.pipeline.encode import Encoder, Preprocess
from edge_app.pipeline.gestures import ButtonMapping, Command, Gestures, Teach, Undo
from edge_app.pipeline.recent import NoFrame, RecentFrames
from edge_app.pipeline.stage import SLICE_S, Report
from edge_app.storage.records import Action, Example, Prediction

POLL_S, QUICK_POLL_S = 0.1, 0.02
LATER_FRAME_S = 0.25
"""How long a press waits for a later frame, so that the one that was shown is certain."""
MAX_AGE_NS = 2 * NS_PER_S
"""A frame older than that at the press was not what the person saw."""
WAITING = 64
"""Commands that may wait to be carried out; a person cannot press faster than that."""


class Taught(Protocol):
    """What the learner says of a taught example."""

    @property
    def example_id(self) -> int:
        """Its number in the store."""

    @property
    def before(self) -> Decision:
        """What was decided before it was learnt."""

    @property
    def prediction(self) -> Prediction:
        """The same as it is stored with the example."""


class TeachablePicture(NamedTuple):
    """A picture that is to be taught."""

    picture: NDArray[np.uint8]
    """The model's input, (side, side, 3)."""
    embedding: NDArray[np.uint8] | None
    """Its embedding; None: not encoded yet."""
    sequence: int | None
    """The number of its frame; None where it was no frame of this camera."""


class Learner(Protocol):
    """What the pipeline asks of the learner; from several threads."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes known."""

    @property
    def rebuilding(self) -> bool:
        """Whether decisions still come from the network before the last correction."""

    @property
    def failure(self) -> Exception | None:
        """Why the last rebuild failed."""

    def classify(self, embedding: NDArray[np.uint8], /) -> Decision:
        """Return the decision on an embedding; never waits for the disk."""

    @property
    def rebuild_progress(self) -> tuple[int, int] | None:
        """Presentations that the network being rebuilt has learnt, of how many."""

    def teach_many(self, shown: Sequence[Sample], label: str, *, source: str) -> Sequence[Taught]:
        """Store examples, all or none, and learn them in this order."""

    def undo(self, *, background: bool = False) -> Action:
        """Take back the last action."""

    def forget_class(self, label: str, *, background: bool = False) -> Action:
        """Forget a class."""

    def examples(self, label: str | None = None) -> Sequence[Example]:
        """Return what is stored."""


class CommandQueue:
    """Commands on their way from buttons (and whoever else may give them) to the teacher."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Command | Errand] = queue.Queue(WAITING)
        self._over = threading.Event()

    def put(self, command: Command | Errand) -> bool:
        """Queue a command; False when too many wait already, or no more are taken."""
        if self._over.is_set():
            return False
        try:
            self._queue.put_nowait(command)
        except queue.Full:
            return False
        return True

    def take(self, timeout_s: float) -> Command | Errand | None:
        """Return the next command, waiting up to `timeout_s` for it."""
        try:
            return self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None

    @property
    def waiting(self) -> bool:
        """Whether a command has not been taken yet."""
        return not self._queue.empty()

    def close(self) -> None:
        """Take no more."""
        self._over.set()

    @property
    def over(self) -> bool:
        """Whether all was carried out and no more is taken."""
        return self._over.is_set() and self._queue.empty()


class ButtonWatch:
    """Buttons -> commands, each with the frame that was shown at its press."""

    name = "buttons"
    longest_wait_s = 5.0

    def __init__(
        self,
        buttons: Buttons,
        meaning: ButtonMapping,
        recent: RecentFrames,
        commands: CommandQueue,
        clock: Clock,
        lights: SharedIndicator,
        report: Report,
        ended: threading.Event,
    ) -> None:
        self._buttons = buttons
        self._gestures = Gestures(meaning)
        self._undo = meaning.undo
        self._recent = recent
        self._commands = commands
        self._clock = clock
        self._lights = lights
        self._report = report
        self._ended = ended

    def step(self) -> bool:
        """Turn what was pressed into commands; False once the camera's recording has ended."""
        ending = self._ended.is_set()
        poll_s = QUICK_POLL_S if self._gestures.pending else POLL_S
        for edge in self._buttons.read(0.0 if ending else poll_s):
            frame = self._shown_at(edge.time_ns) if edge.pressed and edge.name != self._undo else None
            self._pass_on(self._gestures.edge(edge, frame))
        self._pass_on(self._gestures.rest() if ending else self._gestures.due(self._clock.monotonic_ns()))
        if ending:
            self._commands.close()
        return not ending

    def _shown_at(self, time_ns: int) -> Frame | NoFrame:
        wait_s = 0.0 if self._ended.is_set() else LATER_FRAME_S
        return self._recent.at(time_ns, max_age_ns=MAX_AGE_NS, wait_s=wait_s)

    def _pass_on(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if not self._commands.put(command):
                self._lights.blink("error")
                self._report(
                    logging.WARNING,
                    "command_refused",
                    source=command.source,
                    reason="too many wait, or the program is stopping",
                )


class Teacher:
    """Commands -> what is learnt. Storing may wait for the disk; decisions go on meanwhile."""

    name = "teacher"
    longest_wait_s = 10.0

    def __init__(
        self,
        commands: CommandQueue,
        learner: Learner,
        preprocess: Preprocess,
        encoder: Encoder,
        recent: RecentFrames,
        clock: Clock,
        lights: SharedIndicator,
        report: Report,
        told: Callable[[Deed], None] = lambda _: None,
    ) -> None:
        self._told_of = told
        self._commands = commands
        self._learner = learner
        self._preprocess = preprocess
        self._encoder = encoder
        self._recent = recent
        self._clock = clock
        self._lights = lights
        self._report = report
        self._told: Exception | None = None
        self.progress = AccuracyTracker()
        self.assurance = ConfidenceCalibrator()
        self.learnt = 0
        """Examples taught."""
        self.judge()

    def step(self) -> bool:
        """Carry out the next command, or wait for one; False once there will be none."""
        command = self._commands.take(SLICE_S)
        failure = self._learner.failure
        if failure is not None and failure is not self._told:
            self._report(logging.ERROR, "rebuild_failed", reason=str(failure))
            self._lights.blink("error")
        self._told = failure
        if command is None:
            return not self._commands.over
        if isinstance(command, Errand):
            self._run(command)
            return True
        try:
            self._carry_out(command)
        except EdgeAppError as error:  # a full disk, nothing to undo: the person must see it, decisions go on
            self._refused(error, command.source)
        return True

    def teach(
        self,
        label: str,
        picture: NDArray[np.uint8],
        embedding: NDArray[np.uint8] | None,
        *,
        source: str,
        sequence: int | None,
        asked_ns: int,
        **fields: object,
    ) -> Lesson:
        """Store and learn a model input, (side, side, 3) uint8; in the teacher's thread. `fields` go into the report.

        Without its embedding it is encoded; `asked_ns` is when it was asked for (monotonic). Raises InputError,
        StateNotWritable: then nothing was taught.
        """
        subject = TeachablePicture(picture, embedding, sequence)
        return self.teach_many(label, [subject], source=source, asked_ns=asked_ns, **fields)[0]

    def teach_many(
        self, label: str, subjects: Sequence[TeachablePicture], *, source: str, asked_ns: int, **fields: object
    ) -> list[Lesson]:
        """Store and learn several pictures as examples of a class, all or none; otherwise as `teach`."""
        new = label not in self._learner.labels
        shown = [
            Sample(
                self._encoder.encode(subject.picture) if subject.embedding is None else subject.embedding,
                thumbnail_of(subject.picture),
            )
            for subject in subjects
        ]
        done = self._learner.teach_many(shown, label, source=source)
        self._lights.blink("learnt")
        lessons = []
        for number, (subject, one) in enumerate(zip(subjects, done, strict=True)):
            sure = self.assurance.confidence(one.before)
            # of a class's very first example nobody could know the class
            judged = ScoredExample(label, one.before.label, None if new and number == 0 else one.prediction)
            self.learnt += 1
            self.progress.taught(judged)
            self.assurance.taught(judged)
            before = one.before.label
            self._report(
                logging.INFO,
                "learnt",
                label=label,
                example=one.example_id,
                before=before,
                source=source,
                frame=subject.sequence,
                **fields,
                ms=(self._clock.monotonic_ns() - asked_ns) / 1e6,
            )
            lesson = Lesson(one.example_id, label, before, sure, source, subject.sequence)
            self._told_of(lesson)
            lessons.append(lesson)
        return lessons

    def correct(self, kind: str, change: Callable[[], Action], source: str, **fields: object) -> Action:
        """Make a correction, and have all that rests on examples follow; in the teacher's thread.

        `kind` names it in the report. Raises what `change` raises: then nothing was changed.
        """
        action = change()
        self.judge()
        self._lights.blink("undone")
        if kind == "undone":
            fields["action"] = action.kind
        self._report(logging.INFO, kind, examples=len(action.changes), source=source, **fields)
        self._told_of(Correction(kind, action, source))
        return action

    def judge(self) -> None:
        """Judge anew all that is stored; in the teacher's thread."""
        judged = judge(self._learner.examples())
        self.progress.follow(judged)
        self.assurance.follow(judged)

    def _run(self, errand: Errand) -> None:
        if not errand.done.set_running_or_notify_cancel():
            return
        try:
            result = errand.work(self)
        except EdgeAppError as error:
            self._refused(error, errand.source)
            errand.done.set_exception(error)
        except Exception as error:  # noqa: BLE001 whoever waits for it reports it; the loop goes on
            errand.done.set_exception(error)
        else:
            errand.done.set_result(result)

    def _refused(self, error: EdgeAppError, source: str) -> None:
        self._lights.blink("error")
        self._report(logging.ERROR, "command_failed", source=source, reason=str(error))
        self._told_of(Refusal(str(error), source))

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, Teach):
            self._teach(command)
        elif isinstance(command, Undo):
            self.correct("undone", lambda: self._learner.undo(background=True), command.source)
        else:
            forgotten = command.label
            self.correct(
                "forgotten",
                lambda: self._learner.forget_class(forgotten, background=True),
                command.source,
                label=forgotten,
            )

    def _teach(self, command: Teach) -> None:
        if not isinstance(command.frame, Frame):
            reason = "no frame was looked for" if command.frame is None else command.frame.reason
            raise InputError(f"{reason}. Nothing was taught")
        self.teach(
            command.label or _unused_name(self._learner.labels),
            self._preprocess(command.frame.image),
            # None where that frame was dropped on its way, or looked like the one before
            self._recent.embedding(command.frame.time_ns),
            source=command.source,
            sequence=command.frame.sequence,
            frame_age_ms=(command.time_ns - command.frame.time_ns) / 1e6,
            asked_ns=command.time_ns,
        )


def _unused_name(known: Sequence[str]) -> str:
    number = 1
    while f"class {number}" in known:
        number += 1
    return f"class {number}"
