"""Puts the stages together, gives each a thread, and knows how they are."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from edge_app.devices.ports import NS_PER_S, Buttons, Camera, Clock, Indicator
from edge_app.errors import EdgeAppError
from edge_app.messages import Frame
from edge_app.pipeline.accuracy import ClassAccuracy
from edge_app.pipeline.capture import CameraPolicy, Capture
from edge_app.pipeline.consolidate import Consolidate, ConsolidationPolicy, IdleDetector
from edge_app.pipeline.decide import Answer, Decide, SharedIndicator
from edge_app.pipeline.deeds import Deed, Errand
from edge_app.pipeline.encode import Encode, EncodedFrame, Encoder, Prepare, PreparedFrame, Preprocess
from edge_app.pipeline.gestures import ButtonMapping, Command
from edge_app.pipeline.latest import Latest
from edge_app.pipeline.pace import Pace, Tuning
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.stage import Heartbeats, Report, Stage, StageFailed, drive
from edge_app.pipeline.teaching import ButtonWatch, CommandQueue, Learner, Teacher


class PipelineParts(NamedTuple):
    """What a pipeline works with; whoever made them closes them, after the pipeline has stopped."""

    camera: Camera
    """Open."""
    buttons: Buttons
    indicator: Indicator | None
    make_preprocess: Callable[[], Preprocess]
    """Called once for each thread that prepares pictures."""
    encoder: Encoder
    learner: Learner


class PipelineStatus(NamedTuple):
    """How things are at one moment; immutable."""

    camera: str
    captured: int
    dropped: int
    encoded: int
    skipped: int
    decided: int
    fps: float | None
    """Decisions a second, over the last ones."""
    slowest_ms: float
    """The longest time from capture to decision."""
    answer: Answer | None
    temperature_c: float | None
    slowed: bool
    classes: tuple[str, ...]
    learnt: int
    rebuilding: bool
    standings: Mapping[str, ClassAccuracy]
    reopened: int
    dreamt: int = 0
    """Dreams learnt since the start, in idle time."""
    rebuild_progress: tuple[int, int] | None = None
    """Presentations that the network being rebuilt has learnt, of how many; None: none is, or it has just begun."""


class Pipeline:
    """capture | prepare | encode | decide, and beside them buttons | teacher, and consolidate; a thread each.

    `report` is told of every event that matters, `answered` of every answer, `told` of what was taught and corrected;
    all from the stages' threads. A stage that fails stops all, and `failure` says why.
    """

    def __init__(
        self,
        parts: PipelineParts,
        clock: Clock,
        report: Report,
        *,
        care: CameraPolicy | None = None,
        meaning: ButtonMapping | None = None,
        tuning: Tuning | None = None,
        answered: Callable[[Answer], None] = lambda _: None,
        told: Callable[[Deed], None] = lambda _: None,
        consolidation: ConsolidationPolicy | None = None,
    ) -> None:
        """Without `consolidation` nothing is learnt but what is taught."""
        self._report = report
        self._learner = parts.learner
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._changed: Callable[[], None] = lambda: None
        self._working: set[str] = set()
        self._answered = answered
        self.answering = threading.Event()
        """Set with the first answer."""
        self.failure: EdgeAppError | None = None
        """Why the pipeline stopped by itself; None when it did not, or when a recording ended."""
        self.life = Heartbeats(clock)
        lights = SharedIndicator(parts.indicator)
        recent = self.recent = RecentFrames()
        frames, prepared, encoded = Latest[Frame](), Latest[PreparedFrame](), Latest[EncodedFrame]()
        self._commands = CommandQueue()
        self._ended = threading.Event()
        self._pace = Pace(tuning or Tuning(), clock, report)
        self.capture = Capture(parts.camera, frames, recent, clock, self._stop, report, care, self._pace)
        self.prepare = Prepare(frames, prepared, parts.make_preprocess(), self._pace, clock, self._stop)
        calm = IdleDetector(clock)
        seen = calm.look if consolidation is not None else lambda _: None
        self.encode = Encode(prepared, encoded, parts.encoder, recent, self._pace, clock, seen)
        self.buttons = ButtonWatch(
            parts.buttons, meaning or ButtonMapping({}), recent, self._commands, clock, lights, report, self._ended
        )

        def tell(deed: Deed) -> None:
            calm.disturb()
            told(deed)

        self.teacher = Teacher(
            self._commands, parts.learner, parts.make_preprocess(), parts.encoder, recent, clock, lights, report, tell
        )
        self.consolidate = consolidation and Consolidate(
            consolidation, parts.encoder, calm, self._commands, self._pace, clock, self._stop, self._ended, report
        )
        self.decide = Decide(encoded, parts.learner, lights, self._pace, clock, self._answer, self.teacher.assurance)
        live: tuple[Stage, ...] = (self.capture, self.prepare, self.encode, self.decide)
        stages: tuple[Stage, ...] = (*live, self.buttons, self.teacher)
        if self.consolidate is not None:
            stages = (*stages, self.consolidate)
        self.stages: Mapping[str, Stage] = {stage.name: stage for stage in stages}
        self._threads = [
            threading.Thread(target=self._drive, args=(stage,), name=stage.name, daemon=True) for stage in stages
        ]

    def start(self, changed: Callable[[], None] = lambda: None) -> None:
        """Start the threads; `changed` is called when one of them ends, and with the first answer."""
        self._changed = changed
        self._working = set(self.stages)
        for stage in self.stages.values():
            self.life.expect(stage.name, stage.longest_wait_s)
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> bool:
        """Whether any stage still works."""
        return bool(self._working)

    @property
    def answered_once(self) -> bool:
        """Whether there was a first answer."""
        return self.answering.is_set()

    def stop(self, timeout_s: float) -> list[str]:
        """Stop the stages; return the names of those that did not within `timeout_s`, seconds of real time."""
        self._halt()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def retune(self, tuning: Tuning) -> None:
        """Go on with other settings from the next frame on."""
        self._pace.tuning = tuning

    def submit(self, command: Command | Errand) -> bool:
        """Queue a command as a button would, or an errand; False when too many wait, or the pipeline stops."""
        return self._commands.put(command)

    def status(self) -> PipelineStatus:
        """Return how things are."""
        return PipelineStatus(
            camera=self.capture.state,
            captured=self.capture.captured,
            dropped=self.capture.dropped + self.prepare.dropped,
            encoded=self.encode.encoded,
            skipped=self.encode.skipped,
            decided=self.decide.decided,
            fps=self.decide.fps(),
            slowest_ms=self.decide.slowest_ns * 1000 / NS_PER_S,
            answer=self.decide.last,
            temperature_c=self._pace.temperature_c,
            slowed=self._pace.slowed,
            classes=self._learner.labels,
            learnt=self.teacher.learnt,
            rebuilding=self._learner.rebuilding,
            standings=self.teacher.progress.standings(),
            reopened=self.capture.reopened,
            dreamt=self.consolidate.dreamt if self.consolidate is not None else 0,
            rebuild_progress=self._learner.rebuild_progress,
        )

    def _drive(self, stage: Stage) -> None:
        # the teacher ends with the last command that was queued: a press that was taken is not forgotten
        stop = threading.Event() if stage is self.teacher else self._stop
        drive(stage, self.life, stop, self._failed)
        if stage is self.decide:  # the last frame of a recording was decided on: what was pressed until then counts
            self._ended.set()
        with self._guard:  # before it is told: a thread is alive until after its last word
            self._working.discard(stage.name)
        self._changed()

    def _failed(self, name: str, error: Exception) -> None:
        with self._guard:
            if self.failure is None:
                if isinstance(error, EdgeAppError):
                    self.failure = error
                else:
                    self.failure = StageFailed(f"the stage {name} failed: {type(error).__name__}: {error}")
                    self.failure.__cause__ = error
        self._report(logging.CRITICAL, "stage_failed", stage=name, reason=f"{type(error).__name__}: {error}")
        self._halt()

    def _halt(self) -> None:
        self._stop.set()
        self._commands.close()

    def _answer(self, answer: Answer) -> None:
        self._answered(answer)
        if not self.answering.is_set():
            self.answering.set()
            self._changed()
