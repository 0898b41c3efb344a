"""Idle time: stored examples are replayed, as dreams (altered) or rehearsals (unaltered); docs/consolidation.md.

A little at a time, within a share of the processor's time, and only while the picture stands still and no command
waits.
"""

import logging
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_app.config import ConsolidationConfig
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.errors import EdgeAppError, InputError
from edge_app.learner import Learner
from edge_app.learner.dreams import dream_picture
from edge_app.messages import Report
from edge_app.pipeline.commands import CommandQueue
from edge_app.pipeline.encode import FrameEncoder
from edge_app.pipeline.pace import ChangeDetector, Thermometer
from edge_app.pipeline.stage import SLICE_S
from edge_app.storage.errors import not_writable

STILL = 4.0
"""The picture stands still while no patch changes by more, in levels of 255: above the noise of most cameras."""
LOOK_NS = NS_PER_S // 4
"""Between two checks whether the picture stands still."""
AFTER_FAILURE_NS = 600 * NS_PER_S
"""Until the next attempt, after a dream could not be made or stored."""


class IdleDetector:
    """The time of the last change of a picture, command or correction; safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.since_ns = clock.monotonic_ns()
        """Monotonic."""

    def observer(self) -> Callable[[NDArray[np.uint8]], None]:
        """Return a function to call with every picture, (side, side, 3) uint8, of one place, from one thread."""
        detector, look_ns = ChangeDetector(), self._clock.monotonic_ns()

        def look(picture: NDArray[np.uint8]) -> None:
            nonlocal look_ns
            now_ns = self._clock.monotonic_ns()
            # a comparison takes time of the encoder's thread
            if now_ns < look_ns:
                return
            look_ns = now_ns + LOOK_NS
            if detector.changed(picture, STILL):
                self.disturb()

        return look

    def disturb(self) -> None:
        """Restart the idle time."""
        self.since_ns = self._clock.monotonic_ns()


class Consolidate:
    """The stage that replays stored examples: dreams and rehearsals."""

    longest_wait_s = 10.0

    def __init__(
        self,
        config: ConsolidationConfig,
        learner: Learner,
        input_size: int,
        encoder: FrameEncoder,
        idle: IdleDetector,
        commands: CommandQueue,
        temperature: Thermometer,
        clock: Clock,
        stop: threading.Event,
        ended: threading.Event,
        report: Report,
        *,
        name: str = "consolidate",
    ) -> None:
        """`input_size` is the side of the encoder's input, pixels; `ended` is set when a recording is over."""
        self.name = name
        self._config = config
        self._learner = learner
        self._input_size = input_size
        self._encoder = encoder
        self._idle = idle
        self._commands = commands
        self._temperature = temperature
        self._clock = clock
        self._stop = stop
        self._ended = ended
        self._report = report
        self._next_ns = clock.monotonic_ns()
        # the idle time in which everything was replayed
        self._finished_ns: int | None = None
        self._reported = 0
        self.dreamt = 0
        """Dreams and rehearsals learnt since the start."""

    def step(self) -> bool:
        """Replay one dream or some rehearsals, or wait; False once the camera's recording has ended."""
        if self._ended.is_set():
            return False
        if not self._may_replay():
            # a slice at a time: the stage must report, and notice a stop
            self._clock.wait(self._stop, SLICE_S)
            return True
        start_ns = self._clock.monotonic_ns()
        try:
            self._dream()
        except (EdgeAppError, OSError) as error:  # a full disk or a damaged picture: decisions go on
            reason = str(not_writable(error, "an example could not be replayed"))
            self._report(logging.WARNING, "dream_failed", reason=reason)
            self._next_ns = self._clock.monotonic_ns() + AFTER_FAILURE_NS
        else:
            now_ns = self._clock.monotonic_ns()
            # a rest after each piece keeps the stage within its share of the time
            self._next_ns = now_ns + round((now_ns - start_ns) * (1 / self._config.share - 1))
        return True

    def _may_replay(self) -> bool:
        now_ns = self._clock.monotonic_ns()
        idle_ns = self._idle.since_ns
        return (
            now_ns >= self._next_ns
            and now_ns - idle_ns >= self._config.idle_s * NS_PER_S
            and idle_ns != self._finished_ns  # nothing is left to replay until something changes
            and not self._commands.waiting
            # a dream learnt now would be learnt by two networks
            and not self._learner.rebuilding
            # the processor is hot: nothing that can wait is done
            and not self._temperature.slowed
        )

    def _dream(self) -> None:
        idle_ns = self._idle.since_ns
        task = self._learner.next_dream(self._config)
        if task is None:
            self._finished_ns = idle_ns
            if self.dreamt > self._reported:
                self._report(logging.INFO, "consolidated", dreams=self.dreamt - self._reported)
                self._reported = self.dreamt
            return
        if task.thumbnail is None:
            # asked before each step that takes time: a press does not wait for a dream
            if not self._interrupted(idle_ns):
                self.dreamt += self._learner.learn_rehearsals(self._config)
            return
        try:
            picture = dream_picture(task.thumbnail, task.number, self._input_size)
        except InputError as error:  # a thumbnail that an older edge-app imported unchecked
            self._learner.leave_out(task.example, str(error))
            self._report(logging.WARNING, "example_left_out", example=task.example, reason=str(error))
            return
        if self._interrupted(idle_ns):
            return
        embedding = self._encoder.encode(picture)
        if not self._interrupted(idle_ns):
            self.dreamt += self._learner.learn_dream(task, embedding)

    def _interrupted(self, idle_ns: int) -> bool:
        return self._idle.since_ns != idle_ns or self._commands.waiting or self._stop.is_set()
