"""The live loop: builds the stages, runs each in a thread, and reports their condition."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from edge_app.config import Config
from edge_app.devices.ports import NS_PER_S, Buttons, Camera, Clock, Indicator
from edge_app.errors import EdgeAppError
from edge_app.learner import Learner
from edge_app.messages import Frame, Report
from edge_app.pipeline.capture import Capture
from edge_app.pipeline.commands import Command, CommandQueue
from edge_app.pipeline.consolidate import Consolidate, IdleDetector
from edge_app.pipeline.decide import Decide, SharedIndicator
from edge_app.pipeline.encode import Encode, EncodedFrame, FrameEncoder, Prepare, PreparedFrame, Preprocess
from edge_app.pipeline.events import HEALTH_REPORTS, Corrected, Decided, Event, Health, Listener
from edge_app.pipeline.gestures import ButtonWatch
from edge_app.pipeline.kept_strictness import KeptStrictness
from edge_app.pipeline.latest import Latest
from edge_app.pipeline.pace import Pace
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.references import ClassReferences
from edge_app.pipeline.stage import Heartbeats, Stage, StageFailed, drive
from edge_app.pipeline.teaching import Teacher
from edge_app.rejection import check_strictness


class PipelineParts(NamedTuple):
    """The parts that a pipeline uses. Their owner closes them, after the pipeline has stopped."""

    camera: Camera
    buttons: Buttons
    indicator: Indicator | None
    make_preprocess: Callable[[], Preprocess]
    """Called once for each thread that prepares pictures."""
    encoder: FrameEncoder
    learner: Learner
    input_size: int
    """Side of the encoder's input, pixels."""
    camera_open: bool = True
    """False: the camera could not be opened, and the capture stage keeps trying."""


class PipelineStatus(NamedTuple):
    """The condition of the pipeline at one moment; immutable."""

    camera: str
    captured: int
    dropped: int
    encoded: int
    skipped: int
    decided: int
    fps: float | None
    """Decisions per second, over the last ones."""
    slowest_ms: float
    """The longest time from capture to decision."""
    last_decision: Decided | None
    temperature_c: float | None
    slowed: bool
    classes: tuple[str, ...]
    learnt: int
    """Examples taught since the start."""
    rebuilding: bool
    reopened: int
    """Times the camera was opened again."""
    dreamt: int = 0
    """Dreams and rehearsals learnt in idle time since the start."""
    rebuild_progress: tuple[int, int] | None = None
    """(presentations learnt, presentations in all) of a rebuild; None: none runs, or it has just begun."""


class Pipeline:
    """capture | prepare | encode | decide, and beside them buttons | teacher, and consolidate; one thread each.

    `report` writes the log; `tell` receives every event. Both are called from the stages' threads and must not wait.
    A stage that fails stops all of them, and `failure` says why.
    """

    def __init__(
        self,
        parts: PipelineParts,
        clock: Clock,
        report: Report,
        config: Config,
        *,
        tell: Listener = lambda _: None,
        references: ClassReferences | None = None,
        kept_strictness: KeptStrictness | None = None,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        """Without `references` those of buttons and lights last until the program ends, as a strictness that is set.

        `wall` stamps the events, nanoseconds since 1970.
        """
        self.references = references or ClassReferences()
        self._kept_strictness = kept_strictness or KeptStrictness()
        self._log, self._listener, self._wall = report, tell, wall
        self._learner = parts.learner
        self._stop, self._ended = threading.Event(), threading.Event()
        self._guard = threading.Lock()  # for `failure` and the set of working stages
        self._changed: Callable[[], None] = lambda: None
        self._working: set[str] = set()
        self._rebuilding = False
        self._idle = IdleDetector(clock)
        self.first_decision = threading.Event()
        """Set with the first decision."""
        self.failure: EdgeAppError | None = None
        """Why the pipeline stopped by itself; None if it did not, or if a recording ended."""
        self.life = Heartbeats(clock)
        self.recent = RecentFrames()
        self._commands = CommandQueue()
        self._pace = Pace(self._with_strictness(config), clock, self._report)
        stages = self._build(parts, clock, config)
        self.stages: Mapping[str, Stage] = {stage.name: stage for stage in stages}
        # daemons: a stage that hangs in a driver must not keep the process alive
        self._threads = [
            threading.Thread(target=self._drive, args=(stage,), name=stage.name, daemon=True) for stage in stages
        ]

    def _build(
        self,
        parts: PipelineParts,
        clock: Clock,
        config: Config,
    ) -> list[Stage]:
        recent, commands, pace, report = self.recent, self._commands, self._pace, self._report
        stop, ended, encoder, references = self._stop, self._ended, parts.encoder, self.references
        lights = SharedIndicator(parts.indicator, references)
        frames, prepared, encoded = Latest[Frame](), Latest[PreparedFrame](), Latest[EncodedFrame]()
        self.capture = Capture(
            parts.camera, frames, recent, clock, stop, report, config.camera, pace, opened=parts.camera_open
        )
        self.prepare = Prepare(frames, prepared, parts.make_preprocess(), pace, clock, stop)
        observe = self._idle.look if config.consolidation.active else lambda _: None
        self.encode = Encode(prepared, encoded, encoder, recent, pace, clock, observe)
        self.teacher = Teacher(
            commands,
            parts.learner,
            parts.make_preprocess(),
            encoder,
            recent,
            clock,
            lights,
            report,
            self._commanded,
            references,
            wall=self._wall,
        )
        calibrator = self.teacher.calibrator
        self.decide = Decide(encoded, parts.learner, lights, pace, clock, self._decided, calibrator, wall=self._wall)
        self.buttons = ButtonWatch(
            parts.buttons, config.buttons, recent, commands, clock, lights, report, ended, references
        )
        self.consolidate: Consolidate | None = None
        stages: list[Stage] = [self.capture, self.prepare, self.encode, self.decide, self.buttons, self.teacher]
        if config.consolidation.active:
            self.consolidate = Consolidate(
                config.consolidation,
                parts.learner,
                parts.input_size,
                encoder,
                self._idle,
                commands,
                pace,
                clock,
                stop,
                ended,
                report,
            )
            stages.append(self.consolidate)
        return stages

    def start(self, changed: Callable[[], None] = lambda: None) -> None:
        """Start the threads; `changed` is called when one of them ends, and with the first decision."""
        self._changed = changed
        self._working = set(self.stages)
        # before the threads start, so that one that hangs at once is noticed
        for stage in self.stages.values():
            self.life.expect(stage.name, stage.longest_wait_s)
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> bool:
        """Whether any stage still runs."""
        return bool(self._working)

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return self._pace.config

    @property
    def strictness(self) -> float:
        """When a decision is "unknown", 0..1, as [decision] strictness; set, it is kept until that is changed."""
        return self._pace.config.decision.strictness

    @strictness.setter
    def strictness(self, value: float) -> None:
        """Change it from the next frame on. Raises InputError."""
        config = self._pace.config
        value = check_strictness(value)
        self._kept_strictness.set(value)
        # replaced as a whole: the stages read it without a lock
        self._pace.config = replace(config, decision=replace(config.decision, strictness=value))
        self._report(logging.INFO, "strictness_changed", strictness=value)

    @property
    def camera_absent(self) -> bool:
        """Whether the camera has not been opened yet, since the start."""
        return self.capture.absent

    def stop(self, timeout_s: float) -> list[str]:
        """Stop the stages; return the names of those still running after `timeout_s`, seconds of real time."""
        self._halt()
        # real time, also with a simulated clock: threads are joined in it
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def reconfigure(self, config: Config) -> None:
        """Apply [decision], [idle] and [temperature] from the next frame on."""
        self._pace.config = self._with_strictness(config)

    def _with_strictness(self, config: Config) -> Config:
        """Return the configuration as it was read, with the strictness in use."""
        value = self._kept_strictness.in_use(config.decision.strictness)
        return replace(config, decision=replace(config.decision, strictness=value))

    @property
    def commands_waiting(self) -> bool:
        """Whether a command has not been taken by the teacher yet."""
        return self._commands.waiting

    def submit(self, command: Command) -> bool:
        """Queue a command, as a button does; False if too many wait, or the pipeline stops."""
        return self._commands.put(command)

    def status(self) -> PipelineStatus:
        """Return the present condition."""
        return PipelineStatus(
            camera=self.capture.state,
            captured=self.capture.captured,
            dropped=self.capture.dropped + self.prepare.dropped,
            encoded=self.encode.encoded,
            skipped=self.encode.skipped,
            decided=self.decide.decided,
            fps=self.decide.fps(),
            slowest_ms=self.decide.slowest_ns * 1000 / NS_PER_S,
            last_decision=self.decide.last,
            temperature_c=self._pace.temperature_c,
            slowed=self._pace.slowed,
            classes=self._learner.labels,
            learnt=self.teacher.learnt,
            rebuilding=self._learner.rebuilding,
            reopened=self.capture.reopened,
            dreamt=self.consolidate.dreamt if self.consolidate is not None else 0,
            rebuild_progress=self._learner.rebuild_progress,
        )

    def _drive(self, stage: Stage) -> None:
        # the teacher ends after the last queued command: a press that was accepted is carried out
        stop = threading.Event() if stage is self.teacher else self._stop
        drive(stage, self.life, stop, self._failed)
        if stage is self.decide:  # the last frame of a recording was decided on: earlier presses are still carried out
            self._ended.set()
        with self._guard:  # before `_changed`: the thread itself is still alive during that call
            self._working.discard(stage.name)
        self._changed()

    def _failed(self, name: str, error: Exception) -> None:
        with self._guard:
            # the first failure is the cause, later ones follow from it
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
        # the teacher ends when the queue is closed and empty
        self._commands.close()

    # Events

    def _report(self, level: int, event: str, /, **fields: object) -> None:
        self._log(level, event, **fields)
        if event in HEALTH_REPORTS:
            self._listener(Health(event, level, fields, self._wall()))

    def _decided(self, event: Decided) -> None:
        self._note_rebuilding(self._learner.rebuilding)
        self._listener(event)
        if not self.first_decision.is_set():
            self.first_decision.set()
            self._changed()

    def _commanded(self, event: Event) -> None:
        # a person is there
        self._idle.disturb()
        self._listener(event)
        if isinstance(event, Corrected):
            self._note_rebuilding(True)  # the rebuild may be over before the next decision

    def _note_rebuilding(self, rebuilding: bool) -> None:
        if rebuilding != self._rebuilding:
            self._rebuilding = rebuilding
            self._listener(Health("rebuilding" if rebuilding else "rebuilt", logging.INFO, {}, self._wall()))
