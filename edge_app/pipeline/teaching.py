"""Commands -> the learner: the one place where they are carried out, and where their outcome is announced."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.ports import Clock
from edge_app.errors import EdgeAppError, InputError
from edge_app.learner.learner import Learner
from edge_app.learner.pictures import thumbnail_of
from edge_app.learner.samples import LearntExample, Sample
from edge_app.messages import Frame, Report
from edge_app.pipeline.accuracy import AccuracyTracker, ScoredExample, judge
from edge_app.pipeline.calibrator import DecisionCalibrator
from edge_app.pipeline.coach import Advice, Coach
from edge_app.pipeline.commands import (
    Command,
    CommandQueue,
    FollowImport,
    ForgetClass,
    ForgetExamples,
    MergeClasses,
    RelabelExamples,
    RenameClass,
    Teach,
    Teachable,
    TeachableFrame,
    TeachPictures,
    Undo,
)
from edge_app.pipeline.decide import SharedIndicator
from edge_app.pipeline.encode import FrameEncoder, Preprocess
from edge_app.pipeline.events import Corrected, Listener, Rejected, Taught
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.references import ClassReferences
from edge_app.pipeline.stage import SLICE_S
from edge_app.storage.errors import not_writable
from edge_app.storage.records import Action, source_with_request

FAILED = "this was not carried out"


class Teacher:
    """The stage that carries out the commands of a group. Storing may wait for the disk; decisions go on meanwhile."""

    longest_wait_s = 10.0

    def __init__(
        self,
        commands: CommandQueue,
        learner: Learner,
        preprocess: Preprocess,
        encoder: FrameEncoder,
        recent: Mapping[str, RecentFrames],
        clock: Clock,
        lights: SharedIndicator,
        report: Report,
        tell: Listener,
        references: ClassReferences,
        *,
        wall: Callable[[], int] = time.time_ns,
        name: str = "teacher",
        group: str = "",
    ) -> None:
        """`recent` has the frames of each place; `tell` receives the events; `wall` is the wall clock.

        `wall` returns nanoseconds since 1970.
        """
        self.name, self._group = name, group
        # the log names the group where there are several places
        self._told = {"group": group} if len(recent) > 1 else {}
        self._commands, self._learner, self._preprocess, self._encoder = commands, learner, preprocess, encoder
        self._recent = recent
        self._clock = clock
        self._lights = lights
        self._report = report
        self._tell = tell
        self._references = references
        self._wall = wall
        self._reported_failure: Exception | None = None
        self.accuracy = AccuracyTracker()
        self.calibrator = DecisionCalibrator()
        self.coach = Coach(learner.spike_counts_of)
        self.learnt = 0
        """Examples taught since the start."""
        # at the start, from the predictions that are stored: accuracy survives a restart
        self._score_stored()

    def step(self) -> bool:
        """Carry out the next command, or wait for one; False once there will be none."""
        command = self._commands.take(SLICE_S)
        # here: a rebuild fails in a thread that nobody waits for
        self._report_failed_rebuild()
        if command is None:
            self.coach.load()
            return not self._commands.over
        if command.done is None:
            try:
                self._carry_out(command)
            except (EdgeAppError, OSError) as error:  # a full disk, nothing to undo: the person must see it
                self._reject(command, not_writable(error, FAILED))
        else:
            self._answer(command, command.done)
        return True

    def _answer(self, command: Command, done: "Future[Any]") -> None:
        """Carry out a command whose sender waits for the outcome, unless the sender has given up."""
        # from here on the sender cannot cancel: a command is carried out or was cancelled, never both
        if not done.set_running_or_notify_cancel():
            return
        try:
            result = self._carry_out(command)
        except (EdgeAppError, OSError) as error:
            failure = not_writable(error, FAILED)
            self._reject(command, failure)
            done.set_exception(failure)
        except Exception as error:  # noqa: BLE001 the sender reports it; this stage goes on
            done.set_exception(error)
        else:
            done.set_result(result)

    def _carry_out(self, command: Command) -> list[Taught] | Corrected:
        """Change what was learnt. Raises EdgeAppError: then nothing was changed."""
        learner, source = self._learner, command.source
        match command:
            case Teach():
                return self._teach_shown(command)
            case TeachPictures(label, pictures, asked_ns, request):
                return self._teach(label, pictures, source_with_request(source, request), asked_ns, command.place)
            case Undo(action):
                undone = self._undo(action)
                return self._corrected("undone", undone, source, action=undone.kind)
            case RelabelExamples(examples, label):
                action = learner.relabel_examples(examples, label, background=True)
                return self._corrected("relabelled", action, source, label=label)
            case ForgetExamples(examples):
                return self._corrected("forgotten", learner.forget_examples(examples, background=True), source)
            case ForgetClass(label):
                return self._corrected("forgotten", learner.forget_class(label, background=True), source, label=label)
            case RenameClass(label, to):
                action = learner.rename_class(label, to, background=True)
                return self._corrected("renamed", action, source, label=label, to=to)
            case MergeClasses(label, into):
                action = learner.merge_classes(into, label, background=True)
                return self._corrected("merged", action, source, label=label, into=into)
            case FollowImport(action):
                return self._announce("imported", action, source)

    def _teach_shown(self, command: Teach) -> list[Taught]:
        frame = command.frame
        if not isinstance(frame, Frame):
            raise InputError(f"{frame.reason}. Nothing was taught")
        # no embedding: the frame was dropped before the encoder, or looked like the one before
        embedding = self._recent[command.place].embedding(frame.time_ns)
        shown = TeachableFrame(frame.sequence, frame.time_ns, self._preprocess(frame.image), embedding)
        label = command.label or _unused_name(self._learner.classes())
        age_ms = (command.pressed_ns - frame.time_ns) / 1e6
        return self._teach(label, [shown], command.source, command.pressed_ns, command.place, frame_age_ms=age_ms)

    def _teach(
        self, label: str, pictures: Sequence[Teachable], source: str, asked_ns: int, place: str, **fields: object
    ) -> list[Taught]:
        """Store and learn pictures as examples of a class, all or none; `fields` are added to the log entry."""
        new = label not in self._learner.classes()  # stored: the network may still be rebuilt
        # encoded before the store is locked
        samples = [
            Sample(
                self._encoder.encode(one.picture) if one.embedding is None else one.embedding,
                thumbnail_of(one.picture) if one.thumbnail is None else one.thumbnail,
            )
            for one in pictures
        ]
        learnt = self._learner.teach_many(samples, label, source=source)
        # only now: the light promises that the example is on disk
        self._lights.blink("learnt")
        events = []
        for index, (shown, example) in enumerate(zip(pictures, learnt, strict=True)):
            confidence = self._score(example, first=new and index == 0)
            before = example.before.label
            self._report(
                logging.INFO,
                "learnt",
                label=label,
                example=example.example_id,
                before=before,
                source=source,
                frame=shown.sequence,
                **({"place": place} if self._told else {}),
                **self._told,
                **fields,
                ms=(self._clock.monotonic_ns() - asked_ns) / 1e6,
            )
            advice = self._advise(example, shown.picture, samples[index].embedding, alone=len(pictures) == 1)
            now = self._wall()
            event = Taught(example.example_id, label, before, confidence, source, shown.sequence, now, advice, place)
            self._tell(event)
            events.append(event)
        return events

    def _score(self, example: LearntExample, *, first: bool) -> float:
        """Count how the decision before learning turned out; return the confidence that it had."""
        # before the outcome is added: it must not vouch for itself
        confidence = self.calibrator.confidence(example.before)
        # the first example of a class: its class could not be decided yet
        scored = ScoredExample(example.label, example.before.label, None if first else example.prediction)
        self.learnt += 1
        self.accuracy.taught(scored)
        self.calibrator.taught(scored)
        return confidence

    def _advise(
        self, example: LearntExample, picture: NDArray[np.uint8], embedding: NDArray[np.uint8], *, alone: bool
    ) -> tuple[Advice, ...]:
        """Return the coach's warnings about an example that is stored; none if several were taught at once."""
        counts, number = self._learner.spike_counts(embedding), example.example_id
        advice = self.coach.taught(number, example.label, self._wall(), counts, picture, alone=alone)
        for one in advice:
            self._report(logging.INFO, "advice", example=number, kind=one.kind, text=one.text)
        return advice

    def _undo(self, action: int | None) -> Action:
        """Take back the last action; with an id only that one, so that a retry never takes back another."""
        if action is not None:
            history = self._learner.history()
            if not history or history[-1].id != action:
                last = f"the last action is {history[-1].id}" if history else "there is nothing to undo"
                raise InputError(f"action {action} cannot be taken back now: {last}. Nothing was changed")
        return self._learner.undo(background=True)

    def _corrected(self, kind: str, action: Action, source: str, /, **fields: object) -> Corrected:
        self._lights.blink("undone")
        self._report(logging.INFO, kind, examples=len(action.changes), source=source, **self._told, **fields)
        return self._announce(kind, action, source)

    def _announce(self, kind: str, action: Action, source: str) -> Corrected:
        # before the event: whoever hears it may ask for the button's class
        self._references.follow(action, undone=kind == "undone")
        self._score_stored()
        event = Corrected(kind, action, source, self._wall(), self._group)
        self._tell(event)
        return event

    def _score_stored(self) -> None:
        stored = self._learner.examples()
        scored = judge(stored)
        self.accuracy.follow(scored)
        self.calibrator.follow(scored)
        self.coach.follow(stored)

    def _report_failed_rebuild(self) -> None:
        failure = self._learner.failure
        # each failure once, though every step looks
        if failure is not None and failure is not self._reported_failure:
            self._report(logging.ERROR, "rebuild_failed", reason=str(failure))
            self._lights.blink("error")
        self._reported_failure = failure

    def _reject(self, command: Command, error: EdgeAppError) -> None:
        self._lights.blink("error")
        self._report(logging.ERROR, "command_failed", source=command.source, reason=str(error))
        self._tell(Rejected(str(error), command.source, self._wall(), command.place))


def _unused_name(known: Collection[str]) -> str:
    number = 1
    # the lowest free number, so that names stay short after some were forgotten
    while f"class {number}" in known:
        number += 1
    return f"class {number}"
