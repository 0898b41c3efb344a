"""A place and a group of places, as their clients use them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from edge_app.config import Config
from edge_app.devices.ports import NS_PER_S
from edge_app.devices.view import View
from edge_app.learner import Learner
from edge_app.messages import Report
from edge_app.pipeline.capture import Capture
from edge_app.pipeline.commands import Command, CommandQueue
from edge_app.pipeline.consolidate import Consolidate
from edge_app.pipeline.decide import Decide
from edge_app.pipeline.encode import Encode, Prepare
from edge_app.pipeline.events import Corrected, Decided, Event, Health, Rejected, Taught
from edge_app.pipeline.kept_strictness import KeptStrictness
from edge_app.pipeline.pace import Pace
from edge_app.pipeline.recent import PlaceFrames
from edge_app.pipeline.references import ClassReferences
from edge_app.pipeline.stage import Heartbeats
from edge_app.pipeline.teaching import Teacher
from edge_app.rejection import check_strictness


class PipelineStatus(NamedTuple):
    """The condition of a place, or of all places together, at one moment; immutable."""

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


class GroupParts(NamedTuple):
    """A group of places, which share what was learnt. Its owner closes the learner."""

    learner: Learner
    references: ClassReferences
    """Without a file they last until the program ends, as a strictness that is set."""
    kept_strictness: KeptStrictness


class Group:
    """Places that share what was learnt: one network, one store, one queue of commands."""

    def __init__(
        self,
        name: str,
        parts: GroupParts,
        config: Config,
        commands: CommandQueue,
        teacher: Teacher,
        consolidate: Consolidate | None,
        report: Report,
    ) -> None:
        """Stages are driven by the pipeline."""
        self.name, self.learner, self.references = name, parts.learner, parts.references
        self.commands, self.teacher, self.consolidate = commands, teacher, consolidate
        self._kept, self._report = parts.kept_strictness, report
        self._config = config
        self.places: dict[str, Pace] = {}
        """Its places, and the pace of each."""

    def concerned_by(self, event: Event) -> bool:
        """Return whether an event is about one of its places, or about what they share."""
        match event:
            case Decided() | Taught() | Rejected():
                return event.place in self.places
            case Corrected():
                return event.group == self.name
        return event.group in ("", self.name)

    @property
    def strictness(self) -> float:
        """When a decision is "unknown", 0..1, as [decision] strictness; set, it is kept until that is changed."""
        return self._kept.in_use(self._config.decision.strictness)

    @strictness.setter
    def strictness(self, value: float) -> None:
        """Change it from the next frame on. Raises InputError."""
        value = check_strictness(value)
        self._kept.set(value)
        self.reconfigure(self._config)
        self._report(logging.INFO, "strictness_changed", strictness=value)

    def reconfigure(self, config: Config) -> None:
        """Apply [decision], [idle] and [temperature] from the next frame on."""
        self._config = config
        used = with_strictness(config, self._kept)
        for pace in self.places.values():
            # replaced as a whole: the stages read it without a lock
            pace.config = used


class Place:
    """A part of a camera's picture that is decided on by itself."""

    def __init__(
        self,
        name: str,
        group: Group,
        capture: Capture,
        stages: tuple[Prepare, Encode, Decide],
        recent: PlaceFrames,
        pace: Pace,
        life: Heartbeats,
        running: Callable[[], bool],
    ) -> None:
        """`running`: whether any stage of the pipeline still runs."""
        self.name, self.group, self.capture, self.recent, self.pace = name, group, capture, recent, pace
        self.prepare, self.encode, self.decide = stages
        self.life = life
        """The heartbeats of all stages."""
        self._running = running

    @property
    def running(self) -> bool:
        """Whether any stage still runs."""
        return self._running()

    @property
    def view(self) -> View:
        """The part of the camera's picture that is used; may be set while the pipeline runs."""
        return self.recent.view

    @view.setter
    def view(self, view: View) -> None:
        self.recent.view = view

    def concerned_by(self, event: Event) -> bool:
        """Return whether an event is about this place, or about what it shares with others."""
        match event:
            case Decided():
                return event.place == self.name
            case Health():
                return event.camera in ("", self.capture.camera) and event.group in ("", self.group.name)
        return self.group.concerned_by(event)

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return self.pace.config

    @property
    def strictness(self) -> float:
        """That of the group; see `Group.strictness`."""
        return self.group.strictness

    @strictness.setter
    def strictness(self, value: float) -> None:
        self.group.strictness = value

    @property
    def references(self) -> ClassReferences:
        """Names of classes of the group kept outside its store."""
        return self.group.references

    @property
    def teacher(self) -> Teacher:
        """That of the group."""
        return self.group.teacher

    @property
    def commands_waiting(self) -> bool:
        """Whether a command has not been taken by the teacher yet."""
        return self.group.commands.waiting

    def submit(self, command: Command) -> bool:
        """Queue a command, as a button does; False if too many wait, or the pipeline stops."""
        return self.group.commands.put(replace(command, place=self.name))

    def status(self) -> PipelineStatus:
        """Return the present condition."""
        group, learner = self.group, self.group.learner
        return PipelineStatus(
            camera=self.capture.state,
            captured=self.capture.captured,
            dropped=self.capture.missed + self.prepare.displaced + self.prepare.dropped,
            encoded=self.encode.encoded,
            skipped=self.encode.skipped,
            decided=self.decide.decided,
            fps=self.decide.fps(),
            slowest_ms=self.decide.slowest_ns * 1000 / NS_PER_S,
            last_decision=self.decide.last,
            temperature_c=self.pace.temperature_c,
            slowed=self.pace.slowed,
            classes=learner.labels,
            learnt=group.teacher.learnt,
            rebuilding=learner.rebuilding,
            reopened=self.capture.reopened,
            dreamt=group.consolidate.dreamt if group.consolidate is not None else 0,
            rebuild_progress=learner.rebuild_progress,
        )


def with_strictness(config: Config, kept: KeptStrictness) -> Config:
    """Return the configuration as it was read, with the strictness in use."""
    value = kept.in_use(config.decision.strictness)
    return replace(config, decision=replace(config.decision, strictness=value))


def together(places: Mapping[str, Place]) -> PipelineStatus:
    """Return the condition of all places together: numbers added up, the worst camera, the newest decision."""
    found = [place.status() for place in places.values()]
    if len(found) == 1:
        return found[0]
    cameras = list({place.capture.camera: place.status() for place in places.values()}.values())
    groups = list({place.group.name: place.status() for place in places.values()}.values())
    decisions = [one.last_decision for one in found if one.last_decision is not None]
    return PipelineStatus(
        camera=next((one.camera for one in cameras if one.camera != "good"), "good"),
        captured=sum(one.captured for one in cameras),
        dropped=sum(one.dropped for one in found),
        encoded=sum(one.encoded for one in found),
        skipped=sum(one.skipped for one in found),
        decided=sum(one.decided for one in found),
        fps=sum(rates) if (rates := [one.fps for one in found if one.fps is not None]) else None,
        slowest_ms=max(one.slowest_ms for one in found),
        last_decision=max(decisions, key=lambda event: event.captured_ns, default=None),
        temperature_c=found[0].temperature_c,
        slowed=found[0].slowed,
        classes=tuple(dict.fromkeys(label for one in groups for label in one.classes)),
        learnt=sum(one.learnt for one in groups),
        rebuilding=any(one.rebuilding for one in groups),
        reopened=sum(one.reopened for one in cameras),
        dreamt=sum(one.dreamt for one in groups),
        rebuild_progress=_added([one.rebuild_progress for one in groups]),
    )


def _added(progress: Sequence[tuple[int, int] | None]) -> tuple[int, int] | None:
    known = [one for one in progress if one is not None]
    return (sum(done for done, _ in known), sum(total for _, total in known)) if known else None
