"""Recordings that this machine plays more slowly than they were recorded."""

import numpy as np

from edge_app.devices.paced import CATCH_UP_NS, PacedCamera
from edge_app.devices.ports import NS_PER_S
from edge_app.simulation.devices import SimulatedClock

FPS = 20.0
COST_S = 0.3
"""Time that each tick takes: six times the time between two."""


class SlowRecording(PacedCamera):
    """Takes `COST_S` to move on by a tick."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__("slow:", clock, FPS)
        self.clock = clock
        self.reached = 0

    def _start(self) -> None:
        self.reached = 0

    def _stop(self) -> None:
        pass

    def _due_ns(self, tick: int) -> int:
        while self.reached < tick:
            self.reached += 1
            self.clock.advance(COST_S)
        return super()._due_ns(tick)

    def _image(self, tick: int, time_ns: int) -> np.ndarray:
        return np.full((1, 1, 3), tick, np.uint8)


def test_a_read_takes_no_longer_than_the_one_before() -> None:
    clock = SimulatedClock()
    with SlowRecording(clock) as camera:
        times = []
        for _ in range(20):
            before_ns = clock.monotonic_ns()
            frame = camera.read(1.0)
            assert frame is not None
            assert clock.monotonic_ns() - before_ns <= CATCH_UP_NS + 2 * round(COST_S * NS_PER_S)
            times.append(frame.time_ns)
        assert camera.dropped + len(times) <= camera.reached + 1
    assert times == sorted(set(times))
