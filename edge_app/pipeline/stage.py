"""A stage of the pipeline: how it is driven by its thread, its heartbeats, and its failures."""

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.errors import DeviceError, EdgeAppError

SLICE_S = 0.25
"""The longest single wait of a stage for another one; bounds the time in which it notices that it should stop."""
SLACK_S = 2.0
"""Tolerance for a busy processor, added to a stage's longest wait before the stage counts as stuck."""


class CameraLost(DeviceError):
    """The camera failed, and opening it again did not help."""

    exit_status = 9


class StageFailed(EdgeAppError, RuntimeError):
    """A stage of the pipeline ended on an unexpected error; the program must end and be restarted."""

    exit_status = 10


class Stage(Protocol):
    """One step of the pipeline's work, repeated by a thread of its own."""

    @property
    def name(self) -> str:
        """Return the name of the stage in messages."""

    @property
    def longest_wait_s(self) -> float:
        """Return the longest time that one step may take, seconds."""

    def step(self) -> bool:
        """Do one piece of work, or wait for some; False once there will be no more."""


class Heartbeats:
    """The last heartbeat of each stage, on the given clock; safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._longest_ns: dict[str, int] = {}
        self._last_ns: dict[str, int] = {}

    def expect(self, name: str, longest_wait_s: float) -> None:
        """Expect a heartbeat from a stage at least every `longest_wait_s`, from now on."""
        with self._lock:
            self._longest_ns[name] = round((longest_wait_s + SLACK_S) * NS_PER_S)
            self._last_ns[name] = self._clock.monotonic_ns()

    def give(self, name: str) -> None:
        """Record a heartbeat."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            self._last_ns[name] = now_ns

    def end(self, name: str) -> None:
        """Expect no more heartbeats from a stage that has finished."""
        with self._lock:
            # a stage that has ended is not stuck
            self._longest_ns.pop(name, None)

    def overdue(self) -> list[str]:
        """Return the stages whose heartbeat is late."""
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            return [name for name, longest in self._longest_ns.items() if now_ns - self._last_ns[name] > longest]


def longest_waits(stages: Mapping[str, Stage]) -> dict[str, float]:
    """Return {name: longest time between two heartbeats, seconds}."""
    return {name: stage.longest_wait_s + SLACK_S for name, stage in stages.items()}


def drive(stage: Stage, life: Heartbeats, stop: threading.Event, failed: Callable[[str, Exception], None]) -> None:
    """Step a stage until it is done, told to stop, or fails; the body of its thread."""
    try:
        while not stop.is_set():
            # before each step: a step that hangs is overdue after its longest wait
            life.give(stage.name)
            if not stage.step():
                break
    except Exception as error:  # noqa: BLE001 any error must end the program, not only this thread
        # without life.end: the stage stays overdue, and the watchdog sees it
        failed(stage.name, error)
    else:
        life.end(stage.name)
