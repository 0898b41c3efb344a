"""Beside the loop: while nothing happens on camera and nobody presses, stored examples are dreamt of.

One dream at a time, and only a share of the processor's time; whatever happens comes first (docs/consolidation.md).
"""

import logging
import threading
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.errors import EdgeAppError
from edge_app.learner.consolidation import ReplayPolicy, ReplayTask
from edge_app.learner.dreams import dream_picture
from edge_app.pipeline.encode import Encoder
from edge_app.pipeline.pace import ChangeDetector, Pace
from edge_app.pipeline.stage import SLICE_S, Report
from edge_app.pipeline.teaching import CommandQueue

STILL = 4.0
"""Levels of 255 by which no patch of a picture changes while it stands still: above the noise of most cameras."""
LOOK_NS = NS_PER_S // 4
"""How often it is looked whether the picture stands still."""
AFTER_FAILURE_NS = 600 * NS_PER_S
"""When it is tried again after a dream could not be made or stored."""


class ReplayLearner(Protocol):
    """What this stage asks of the learner."""

    @property
    def rebuilding(self) -> bool:
        """Whether a correction is being followed."""

    def next_dream(self, bounds: ReplayPolicy, /) -> ReplayTask | None:
        """Return what should be dreamt of next."""

    def learn_dream(self, task: ReplayTask, embedding: NDArray[np.uint8] | None, /) -> bool:
        """Store a dream, or a rehearsal (None), and learn it; False when its example has gone."""


class ConsolidationPolicy(NamedTuple):
    """What is consolidated, and when; see [consolidation] in the configuration."""

    learner: ReplayLearner
    size: int
    """Side of the encoder's input, pixels."""
    bounds: ReplayPolicy
    idle_s: float
    """How long nothing must have happened."""
    share: float
    """Of the time, at most so much goes into dreams; 0..1."""


class IdleDetector:
    """Since when nothing has happened; safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._detector = ChangeDetector()
        self._look_ns = clock.monotonic_ns()
        self.since_ns = clock.monotonic_ns()
        """The last time that something did (monotonic)."""

    def look(self, picture: NDArray[np.uint8]) -> None:
        """Take in the newest picture, (side, side, 3) uint8; from one thread."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._look_ns:
            return
        self._look_ns = now_ns + LOOK_NS
        if self._detector.changed(picture, STILL):
            self.disturb()

    def disturb(self) -> None:
        """Note that something happens."""
        self.since_ns = self._clock.monotonic_ns()


class Consolidate:
    """Stored examples -> dreams and rehearsals -> what is learnt."""

    name = "consolidate"
    longest_wait_s = 10.0

    def __init__(
        self,
        what: ConsolidationPolicy,
        encoder: Encoder,
        calm: IdleDetector,
        commands: CommandQueue,
        pace: Pace,
        clock: Clock,
        stop: threading.Event,
        ended: threading.Event,
        report: Report,
    ) -> None:
        self._what = what
        self._encoder = encoder
        self._calm = calm
        self._commands = commands
        self._pace = pace
        self._clock = clock
        self._stop = stop
        self._ended = ended
        self._report = report
        self._next_ns = clock.monotonic_ns()
        self._dreamt_out_ns: int | None = None
        self._told = 0
        self.dreamt = 0
        """Dreams learnt since the start."""

    def step(self) -> bool:
        """Dream once, or wait; False once the camera's recording has ended."""
        if self._ended.is_set():
            return False
        if not self._idle():
            self._clock.wait(self._stop, SLICE_S)
            return True
        start_ns = self._clock.monotonic_ns()
        try:
            self._dream()
        except EdgeAppError as error:  # a full disk, a damaged picture: nothing is lost, and decisions go on
            self._report(logging.WARNING, "dream_failed", reason=str(error))
            self._next_ns = self._clock.monotonic_ns() + AFTER_FAILURE_NS
        else:
            now_ns = self._clock.monotonic_ns()
            self._next_ns = now_ns + round((now_ns - start_ns) * (1 / self._what.share - 1))
        return True

    def _idle(self) -> bool:
        now_ns = self._clock.monotonic_ns()
        calm_ns = self._calm.since_ns
        return (
            now_ns >= self._next_ns
            and now_ns - calm_ns >= self._what.idle_s * NS_PER_S
            and calm_ns != self._dreamt_out_ns  # until something happens there is nothing new to dream of
            and not self._commands.waiting
            and not self._what.learner.rebuilding
            and not self._pace.slowed
        )

    def _dream(self) -> None:
        what = self._what
        calm_ns = self._calm.since_ns
        task = what.learner.next_dream(what.bounds)
        if task is None:
            self._dreamt_out_ns = calm_ns
            if self.dreamt > self._told:
                self._report(logging.INFO, "consolidated", dreams=self.dreamt - self._told)
                self._told = self.dreamt
            return
        embedding = None
        if task.thumbnail is not None:
            picture = dream_picture(task.thumbnail, task.number, what.size)
            if self._woken(calm_ns):
                return
            embedding = self._encoder.encode(picture)
        if not self._woken(calm_ns):
            self.dreamt += what.learner.learn_dream(task, embedding)

    def _woken(self, calm_ns: int) -> bool:
        return self._calm.since_ns != calm_ns or self._commands.waiting or self._stop.is_set()
