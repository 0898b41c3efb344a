"""What the stages of the pipeline share: how they are driven, how they report, and the signs of life that they give."""

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.errors import DeviceError, EdgeAppError

SLICE_S = 0.25
"""The longest that a stage waits for another one at a time: how soon it notices that it should stop."""
SLACK_S = 2.0
"""What a busy processor may add to a stage's longest wait before the stage counts as stopped."""


class CameraLost(DeviceError):
    """The camera stopped working, and opening it again did not mend it."""

    exit_status = 9


class StageFailed(EdgeAppError, RuntimeError):
    """A stage of the pipeline ended on an error that nobody expected; the program must end, and be started anew."""

    exit_status = 10


class Report(Protocol):
    """Told whatever matters: one call an event, none a frame."""

    def __call__(self, level: int, event: str, /, **fields: object) -> None:
        """Take note of `event`, at a level of the logging module."""


class Stage(Protocol):
    """One part of the pipeline, driven by one thread."""

    @property
    def name(self) -> str:
        """Return what the stage is called in messages."""

    @property
    def longest_wait_s(self) -> float:
        """Return how long one step may lawfully take, seconds."""

    def step(self) -> bool:
        """Do one piece of work, or wait for some; False when there will be no more."""


class Heartbeats:
    """When each stage last gave one, on the clock it was given; safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._longest_ns: dict[str, int] = {}
        self._last_ns: dict[str, int] = {}

    def expect(self, name: str, longest_wait_s: float) -> None:
        """From now on, expect a sign from a stage at least every `longest_wait_s`."""
        with self._lock:
            self._longest_ns[name] = round((longest_wait_s + SLACK_S) * NS_PER_S)
            self._last_ns[name] = self._clock.monotonic_ns()

    def give(self, name: str) -> None:
        """Note that a stage is alive."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            self._last_ns[name] = now_ns

    def end(self, name: str) -> None:
        """Expect no more from a stage that has done its work."""
        with self._lock:
            self._longest_ns.pop(name, None)

    def overdue(self) -> list[str]:
        """Return the stages that are silent for longer than they may be."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            return [name for name, longest in self._longest_ns.items() if now_ns - self._last_ns[name] > longest]


def longest_waits(stages: Mapping[str, Stage]) -> dict[str, float]:
    """Return {name: longest lawful wait with its slack, seconds}."""
    return {name: stage.longest_wait_s + SLACK_S for name, stage in stages.items()}


def drive(stage: Stage, life: Heartbeats, stop: threading.Event, failed: Callable[[str, Exception], None]) -> None:
    """Step a stage until it is done, told to stop, or fails; what a thread does."""
    try:
        while not stop.is_set():
            life.give(stage.name)
            if not stage.step():
                break
    except Exception as error:  # noqa: BLE001 whatever it is, the program must learn of it and end
        failed(stage.name, error)
    else:
        life.end(stage.name)
