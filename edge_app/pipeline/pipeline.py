"""The live loop: builds the stages, runs each in a thread, and reports their condition."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from edge_app.config import Config
from edge_app.config.places import MAIN_GROUP
from edge_app.config.sections import MAIN
from edge_app.devices.ports import Buttons, Camera, Clock, Indicator
from edge_app.devices.view import View
from edge_app.errors import EdgeAppError
from edge_app.learner import Learner
from edge_app.messages import Frame, Report
from edge_app.pipeline.capture import Capture, Outlet
from edge_app.pipeline.commands import CommandQueue
from edge_app.pipeline.consolidate import Consolidate, IdleDetector
from edge_app.pipeline.decide import Decide, SharedIndicator
from edge_app.pipeline.encode import Encode, EncodedFrame, FrameEncoder, Prepare, PreparedFrame, Preprocess
from edge_app.pipeline.events import HEALTH_REPORTS, Corrected, Decided, Event, Health, Listener
from edge_app.pipeline.gestures import ButtonWatch, Teaching
from edge_app.pipeline.in_turn import InTurn
from edge_app.pipeline.kept_strictness import KeptStrictness
from edge_app.pipeline.latest import Latest
from edge_app.pipeline.pace import Pace, Thermometer
from edge_app.pipeline.place import Group, GroupParts, PipelineStatus, Place, together, with_strictness
from edge_app.pipeline.recent import PlaceFrames, RecentFrames
from edge_app.pipeline.references import ClassReferences
from edge_app.pipeline.stage import Heartbeats, Stage, StageFailed, drive
from edge_app.pipeline.teaching import Teacher


class CameraParts(NamedTuple):
    """A camera, and whether it could be opened: if not, the capture stage keeps trying."""

    camera: Camera
    opened: bool = True


class PlaceParts(NamedTuple):
    """The names of a place's camera and group, and its part of the picture."""

    camera: str
    group: str
    view: View = View()
    max_fps: float = 0.0
    """Decisions per second at most; 0: as [decision] says."""


class PipelineParts(NamedTuple):
    """The parts that a pipeline uses. Their owner closes them, after the pipeline has stopped."""

    cameras: Mapping[str, CameraParts]
    groups: Mapping[str, GroupParts]
    places: Mapping[str, PlaceParts]
    """By their names; there is at least one."""
    buttons: Buttons
    indicator: Indicator | None
    """Shows the decisions of one place: [lights] place, else the first."""
    make_preprocess: Callable[[], Preprocess]
    """Called once for each thread that prepares pictures."""
    encoder: FrameEncoder
    input_size: int
    """Side of the encoder's input, pixels."""


def one_place(
    camera: Camera,
    buttons: Buttons,
    indicator: Indicator | None,
    make_preprocess: Callable[[], Preprocess],
    encoder: FrameEncoder,
    learner: Learner,
    input_size: int,
    *,
    opened: bool = True,
    references: ClassReferences | None = None,
    kept_strictness: KeptStrictness | None = None,
) -> PipelineParts:
    """Return the parts of a pipeline with one camera, whose whole picture is its only place."""
    group = GroupParts(learner, references or ClassReferences(), kept_strictness or KeptStrictness())
    return PipelineParts(
        {MAIN: CameraParts(camera, opened)},
        {MAIN_GROUP: group},
        {MAIN: PlaceParts(MAIN, MAIN_GROUP)},
        buttons,
        indicator,
        make_preprocess,
        encoder,
        input_size,
    )


class _Slots(NamedTuple):
    """The newest item of a place before each stage."""

    frames: Latest[Frame]
    prepared: Latest[PreparedFrame]
    encoded: Latest[EncodedFrame]


class Pipeline:
    """capture | prepare | encode | decide, and beside them buttons | teacher, and consolidate.

    One thread each: of capture for each camera, of teacher and consolidate for each group of places; the places take
    turns in prepare, encode and decide. `report` writes the log; `tell` receives every event. Both are called from the
    stages' threads and must not wait. A stage that fails stops all of them, and `failure` says why.
    """

    def __init__(
        self,
        parts: PipelineParts,
        clock: Clock,
        report: Report,
        config: Config,
        *,
        tell: Listener = lambda _: None,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        """`wall` stamps the events, nanoseconds since 1970."""
        self._log, self._listener, self._wall = report, tell, wall
        self._parts, self._clock, self._config = parts, clock, config
        self._stop, self._ended = threading.Event(), threading.Event()
        self._guard = threading.Lock()  # for `failure` and the set of working stages
        self._changed: Callable[[], None] = lambda: None
        self._working: set[str] = set()
        self._rebuilding: set[str] = set()
        self._idle = IdleDetector(clock)
        self.first_decision = threading.Event()
        """Set with the first decision."""
        self.failure: EdgeAppError | None = None
        """Why the pipeline stopped by itself; None if it did not, or if a recording ended."""
        self.life = Heartbeats(clock)
        self._thermometer = Thermometer(clock, self._report)
        self.frames = {name: RecentFrames() for name in parts.cameras}
        """The newest frames of each camera, whole."""
        self.groups: dict[str, Group] = {}
        self.places: dict[str, Place] = {}
        stages = self._build()
        self.stages: Mapping[str, Stage] = {stage.name: stage for stage in stages}
        # daemons: a stage that hangs in a driver must not keep the process alive
        self._threads = [
            threading.Thread(target=self._drive, args=(stage,), name=stage.name, daemon=True) for stage in stages
        ]

    def _build(self) -> list[Stage]:
        parts = self._parts
        now_ns = self._clock.monotonic_ns
        recent = {
            name: PlaceFrames(self.frames[place.camera], place.view, now_ns) for name, place in parts.places.items()
        }
        shown = self._config.lights.place or next(iter(parts.places))
        lights = SharedIndicator(parts.indicator, parts.groups[parts.places[shown].group].references)
        for name in parts.groups:
            self.groups[name] = self._make_group(name, recent, lights)
        # the slots before each of the three threads are waited for together
        changed = [threading.Condition() for _ in range(3)]
        slots = {name: _Slots(Latest(changed[0]), Latest(changed[1]), Latest(changed[2])) for name in parts.places}
        paces = {name: self._make_pace(name) for name in parts.places}
        captures = {name: self._make_capture(name, self.frames[name], slots, paces) for name in parts.cameras}
        dark = SharedIndicator(None, ClassReferences())  # the lights show one place
        for name, place in parts.places.items():
            group, shows = self.groups[place.group], lights if name == shown else dark
            group.places[name] = paces[name]
            stages = self._make_stages(name, group, slots[name], recent[name], paces[name], shows)
            capture, pace = captures[place.camera], paces[name]
            self.places[name] = Place(name, group, capture, stages, recent[name], pace, self.life, lambda: self.running)
        self.buttons = self._make_buttons(lights)
        places = self.places.values()
        self._last_stage = InTurn("decide", [place.decide for place in places], changed[2])
        return [
            *captures.values(),
            InTurn("prepare", [place.prepare for place in places], changed[0]),
            InTurn("encode", [place.encode for place in places], changed[1]),
            self._last_stage,
            self.buttons,
            *(group.teacher for group in self.groups.values()),
            *(group.consolidate for group in self.groups.values() if group.consolidate is not None),
        ]

    def _make_buttons(self, lights: SharedIndicator) -> ButtonWatch:
        places = {
            name: Teaching(place.recent, place.group.commands, place.references) for name, place in self.places.items()
        }
        config = self._config.buttons
        return ButtonWatch(self._parts.buttons, config, places, self._clock, lights, self._report, self._ended)

    def _make_pace(self, name: str) -> Pace:
        place = self._parts.places[name]
        config = with_strictness(self._config, self._parts.groups[place.group].kept_strictness)
        return Pace(
            config,
            self._clock,
            self._report,
            temperature=self._thermometer,
            max_fps=place.max_fps,
            places=len(self._parts.places),
        )

    def _make_capture(
        self, name: str, recent: RecentFrames, slots: Mapping[str, _Slots], paces: Mapping[str, Pace]
    ) -> Capture:
        camera = self._parts.cameras[name]
        seen = [place for place, one in self._parts.places.items() if one.camera == name]
        outlets = [Outlet(slots[place].frames, paces[place]) for place in seen]
        several = len(self._parts.cameras) > 1
        return Capture(
            camera.camera,
            outlets,
            recent,
            self._clock,
            self._stop,
            partial(self._report, name=name) if several else self._report,
            self._config.camera_named(name),
            opened=camera.opened,
            label=name,
            several=several,
        )

    def _make_group(self, name: str, recent: Mapping[str, PlaceFrames], lights: SharedIndicator) -> Group:
        parts, commands, groups = self._parts.groups[name], CommandQueue(), self._parts.groups
        teacher = Teacher(
            commands,
            parts.learner,
            self._parts.make_preprocess(),
            self._parts.encoder,
            recent,
            self._clock,
            lights,
            self._report,
            self._commanded,
            parts.references,
            wall=self._wall,
            name=self._named("teacher", name, groups),
            group=name,
        )
        consolidate = None
        if self._config.consolidation.active:
            consolidate = Consolidate(
                self._config.consolidation,
                parts.learner,
                self._parts.input_size,
                self._parts.encoder,
                self._idle,
                commands,
                self._thermometer,
                self._clock,
                self._stop,
                self._ended,
                self._report,
                name=self._named("consolidate", name, groups),
            )
        return Group(name, parts, self._config, commands, teacher, consolidate, self._report)

    def _make_stages(
        self,
        name: str,
        group: Group,
        slots: _Slots,
        recent: PlaceFrames,
        pace: Pace,
        lights: SharedIndicator,
    ) -> tuple[Prepare, Encode, Decide]:
        clock, preprocess = self._clock, self._parts.make_preprocess()

        def since(time_ns: int) -> int:
            return recent.view_at(time_ns).since_ns

        observe = self._idle.observer() if self._config.consolidation.active else lambda _: None
        prepare = Prepare(
            slots.frames, slots.prepared, preprocess, pace, clock, self._stop, lambda time: recent.view_at(time).view
        )
        encode = Encode(slots.prepared, slots.encoded, self._parts.encoder, recent, pace, clock, observe, since)
        calibrator = group.teacher.calibrator
        decide = Decide(
            slots.encoded,
            group.learner,
            lights,
            pace,
            clock,
            self._decided,
            calibrator,
            place=name,
            wall=self._wall,
            since=since,
        )
        return prepare, encode, decide

    @staticmethod
    def _named(stage: str, group: str, groups: Mapping[str, object]) -> str:
        """Return the name of a stage; where there is one for each group, with the name of its group."""
        return stage if len(groups) == 1 else f"{stage} {group}"

    @property
    def first(self) -> Place:
        """The first place, often the only one."""
        return next(iter(self.places.values()))

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
    def camera_absent(self) -> bool:
        """Whether no camera has been opened yet, since the start."""
        return all(place.capture.absent for place in self.places.values())

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
        self._config = config
        for group in self.groups.values():
            group.reconfigure(config)

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return self._config

    def status(self) -> PipelineStatus:
        """Return the present condition of all places together."""
        return together(self.places)

    def _drive(self, stage: Stage) -> None:
        # a teacher ends after the last queued command: a press that was accepted is carried out
        stop = threading.Event() if isinstance(stage, Teacher) else self._stop
        drive(stage, self.life, stop, self._failed)
        if (
            stage is self._last_stage
        ):  # the last frame of a recording was decided on: earlier presses are still carried out
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
        # a teacher ends when its queue is closed and empty
        for group in self.groups.values():
            group.commands.close()

    # Events

    def _report(self, level: int, event: str, /, **fields: object) -> None:
        self._log(level, event, **fields)
        if event in HEALTH_REPORTS:
            self._listener(Health(event, level, fields, self._wall(), str(fields.get("name", ""))))

    def _decided(self, event: Decided) -> None:
        group = self.places[event.place].group
        self._note_rebuilding(group, group.learner.rebuilding)
        self._listener(event)
        if not self.first_decision.is_set():
            self.first_decision.set()
            self._changed()

    def _commanded(self, event: Event) -> None:
        # a person is there
        self._idle.disturb()
        self._listener(event)
        if isinstance(event, Corrected):
            # the rebuild may be over before the next decision
            self._note_rebuilding(self.groups[event.group], True)

    def _note_rebuilding(self, group: Group, rebuilding: bool) -> None:
        if rebuilding != (group.name in self._rebuilding):
            (self._rebuilding.add if rebuilding else self._rebuilding.discard)(group.name)
            what = "rebuilding" if rebuilding else "rebuilt"
            self._listener(Health(what, logging.INFO, {}, self._wall(), group=group.name))
