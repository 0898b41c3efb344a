"""Drives the stages of the real pipeline through a script, one after the other in one thread, on a simulated clock.

Frames and presses come at the times of the script, and no stage waits for another: the same script gives the same
events, to the bit.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.config import ButtonsConfig, Config, TemperatureConfig
from edge_app.demo.script import ADDED, NEW, Beat, Script
from edge_app.devices.ports import Clock
from edge_app.errors import DeviceError
from edge_app.messages import Decision, Frame
from edge_app.pipeline.events import Corrected, Decided, Event, Rejected, Taught
from edge_app.pipeline.pipeline import Pipeline, PipelineParts


class StageTimes(NamedTuple):
    """Milliseconds of real time that a frame took in each stage."""

    prepare: float
    encode: float
    decide: float

    @property
    def total(self) -> float:
        """From the camera's picture to the decision."""
        return self.prepare + self.encode + self.decide


class DecidedShot(NamedTuple):
    """The device decided on a frame."""

    beat: Beat
    frame: Frame
    event: Decided
    ms: StageTimes

    @property
    def right(self) -> bool:
        """Whether the decision is the object that was shown."""
        return self.event.label == self.beat.shot.name


class TaughtShot(NamedTuple):
    """The device learnt a frame from a press."""

    beat: Beat
    frame: Frame
    event: Taught
    before: Decision
    """The decision on this frame before it was learnt."""
    ms: float
    """Real time of the teacher's stage: the example is stored on disk and learnt."""

    @property
    def new(self) -> bool:
        """Whether the class was new."""
        return self.event.label not in self.before.labels


class UndoneShot(NamedTuple):
    """The device took back the last lesson."""

    beat: Beat
    frame: Frame
    """The frame of that lesson."""
    before: Decision
    """The decision on it before the lesson."""
    taught: Decision
    """After the lesson."""
    after: Decision
    """After the undo."""

    @property
    def exact(self) -> bool:
        """Whether `before` and `after` are the same decision, to the spike."""
        pairs = ((self.before.spikes, self.after.spikes), (self.before.first_spike, self.after.first_spike))
        same = self.before.labels == self.after.labels and all(np.array_equal(*pair) for pair in pairs)
        return same and self.before.label == self.after.label


DemoEvent = DecidedShot | TaughtShot | UndoneShot


class _Lesson(NamedTuple):
    shot: TaughtShot
    embedding: NDArray[np.uint8]
    after: Decision


class DemoRun:
    """A pipeline that plays a script; its parts are opened and closed by the caller."""

    def __init__(
        self,
        parts: PipelineParts,
        clock: Clock,
        script: Script,
        tell: Callable[[DemoEvent], None],
        *,
        timer: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._learner = next(iter(parts.groups.values())).learner
        self._clock = clock
        self._script = script
        self._tell = tell
        self._timer = timer
        self._events: list[Event] = []
        """Of the pipeline, not handled yet."""
        self._decided: deque[Decided] = deque(maxlen=2)
        """The newest frame, and the one before it, which is the one that a press teaches."""
        self._last: _Lesson | None = None
        self.pipeline = Pipeline(
            parts,
            clock,
            lambda level, event, /, **fields: None,
            # no sensor: a warm laptop must not change the run
            Config(buttons=ButtonsConfig(classes={NEW: ADDED}), temperature=TemperatureConfig(sensor="")),
            tell=self._events.append,
            # the simulated time, so that events are the same with each run
            wall=clock.monotonic_ns,
        )
        self.place = self.pipeline.first

    def play(self) -> None:
        """Play the script to its end, passing on every event as it happens. Raises the errors of the parts."""
        while self.place.capture.step():
            self.pipeline.buttons.step()
            while self.place.commands_waiting:
                self._carry_out()
            if self._script.over(self._clock.monotonic_ns()):
                return
            self._decide()

    def _carry_out(self) -> None:
        """Let the teacher carry out the next command, and wait until the network has followed."""
        ms = self._time(self.place.teacher.step)
        # a correction rebuilds in the background: the next decision must not depend on how long that takes
        self._learner.wait()
        for event in self._take_events():
            if isinstance(event, Taught):
                self._tell_taught(event, ms)
            elif isinstance(event, Corrected):
                self._tell_undone()
            elif isinstance(event, Rejected):
                raise DeviceError(f"demo: {event.reason}; the script is wrong")

    def _tell_taught(self, event: Taught, ms: float) -> None:
        decided = next((one for one in self._decided if one.sequence == event.sequence), None)
        embedding = None if decided is None else self.place.recent.embedding(decided.captured_ns)
        if decided is None or embedding is None:
            raise DeviceError("demo: a press taught a frame without a decision; the script is wrong")
        frame = self._frame(decided)
        shot = TaughtShot(self._script.beat(frame.time_ns), frame, event, decided.decision, ms)
        self._last = _Lesson(shot, embedding, self._learner.classify(embedding))
        self._tell(shot)

    def _tell_undone(self) -> None:
        if self._last is None:
            raise DeviceError("demo: undo was pressed before anything was taught; the script is wrong")
        shot, embedding, taught = self._last
        self._tell(UndoneShot(shot.beat, shot.frame, shot.before, taught, self._learner.classify(embedding)))

    def _decide(self) -> None:
        stages = (self.place.prepare, self.place.encode, self.place.decide)
        ms = StageTimes(*(self._time(stage.step) for stage in stages))
        events = [event for event in self._take_events() if isinstance(event, Decided)]
        if not events:
            raise DeviceError(f"demo: no decision on the newest frame; the camera is {self.place.capture.state}")
        self._decided.append(events[0])
        frame = self._frame(events[0])
        self._tell(DecidedShot(self._script.beat(frame.time_ns), frame, events[0], ms))

    def _take_events(self) -> list[Event]:
        # copied: handling an event may add others
        events = self._events.copy()
        self._events.clear()
        return events

    def _frame(self, decided: Decided) -> Frame:
        frame = self.place.recent.numbered(decided.sequence)
        assert frame is not None, "the pipeline keeps the last two frames"
        return frame

    def _time(self, step: Callable[[], bool]) -> float:
        started = self._timer()
        step()
        return (self._timer() - started) / 1e6
