"""What a service manager wants to know: ready, alive, stopping; and what it wants: stop, reload.

The protocol is sd_notify(3)'s: datagrams to the Unix socket in $NOTIFY_SOCKET. Without one nothing is sent, and all
else is the same.
"""

import logging
import select
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Protocol, Self

from edge_app.closing import Closing
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.errors import EdgeAppError, InputError
from edge_app.messages import Report
from edge_app.pipeline.pipeline import PipelineStatus
from edge_app.pipeline.stage import Heartbeats

PING_S = 5.0
"""The longest time between two pings, and between two status texts."""
PINGS = 4
"""Pings in the time after which the watchdog bites."""


class Notifier(Closing):
    """Tells the service manager how things are. A context manager."""

    def __init__(self, address: str | None, clock: Clock) -> None:
        """`address` is $NOTIFY_SOCKET: a path, or a name that begins with @. Raises InputError for another kind."""
        self._clock = clock
        self._socket: socket.socket | None = None
        if not address:
            return
        if address[0] not in "/@":
            raise InputError(f"NOTIFY_SOCKET = {address!r}, expected an absolute path or a name that begins with @")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._address = "\0" + address[1:] if address[0] == "@" else address

    def send(self, **fields: object) -> None:
        """Send a message of assignments. A manager that does not listen is no reason to stop."""
        if self._socket is None:
            return
        message = "\n".join(f"{name}={value}" for name, value in fields.items())
        try:
            self._socket.sendto(message.encode(), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, self._address)
        except OSError as error:
            logging.getLogger(__name__).debug("the service manager does not listen: %s", error)

    def reloading(self) -> None:
        """Say that a reload begins; `send(READY=1)` ends it."""
        self.send(RELOADING=1, MONOTONIC_USEC=self._clock.monotonic_ns() // 1000)

    def close(self) -> None:
        """Let the socket go."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    """Return after how many seconds without a ping systemd restarts this process; None: never. Raises InputError."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid) or not environ.get("WATCHDOG_USEC"):
        return None
    text = environ["WATCHDOG_USEC"]
    if not text.isdecimal() or int(text) == 0:
        raise InputError(f"WATCHDOG_USEC = {text!r}, expected a whole number of microseconds")
    return int(text) / 1e6


def check_waits(waits: Mapping[str, float], watchdog: float | None) -> None:
    """Raise InputError unless the longest lawful silence of every stage fits into the watchdog's time."""
    if watchdog is None:
        return
    name, longest = max(waits.items(), key=lambda item: item[1])
    needed = longest + _ping_s(watchdog)
    if needed > watchdog:
        raise InputError(
            f"WatchdogSec = {watchdog:g} s is too short: the stage {name} may be silent for {longest:g} s, and a ping "
            f"comes every {_ping_s(watchdog):g} s; expected at least {longest + PING_S:g} s"
        )


class SignalRequests(NamedTuple):
    """What was asked for since the last look."""

    stop: str | None = None
    """Name of the signal."""
    reload: bool = False


class Signals:
    """SIGTERM, SIGINT and SIGHUP as wishes, and a wait that other threads can end. Made and used in the main thread."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._caught: list[int] = []
        self._before: dict[int, Any] = {}
        self._wakeup = -1

    def wake(self) -> None:
        """End a wait; from any thread."""
        try:
            self._writer.send(b"\0")
        except BlockingIOError:
            pass  # it is full of wake-ups already
        except OSError as error:  # a stage that outlived the program's stop
            logging.getLogger(__name__).debug("nobody waits any more: %s", error)

    def wait(self, timeout_s: float) -> SignalRequests:
        """Return what was asked for, waiting up to `timeout_s` seconds for something, or for `wake`."""
        if not self._caught:
            select.select([self._reader], [], [], max(0.0, timeout_s))
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            pass
        caught, self._caught = self._caught, []
        stops = [number for number in caught if number != signal.SIGHUP]
        return SignalRequests(signal.Signals(stops[0]).name if stops else None, signal.SIGHUP in caught)

    def __enter__(self) -> Self:
        """Take the signals over."""
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._catch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._reader.close()
        self._writer.close()

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self._caught.append(number)


class SupervisedPipeline(Protocol):
    """What a supervisor asks of a pipeline."""

    @property
    def running(self) -> bool:
        """Whether any stage still works."""

    @property
    def failure(self) -> EdgeAppError | None:
        """Why it stopped by itself."""

    @property
    def first_decision(self) -> threading.Event:
        """Set with the first decision."""

    @property
    def life(self) -> Heartbeats:
        """The stages' signs of life."""

    def status(self) -> PipelineStatus:
        """Return how things are."""


class Supervisor:
    """Watches a pipeline and keeps the service manager informed; one `step` after another, in the main thread."""

    def __init__(
        self,
        pipeline: SupervisedPipeline,
        notifier: Notifier,
        clock: Clock,
        report: Report,
        *,
        watchdog: float | None = None,
        reload: Callable[[], None] = lambda: None,
    ) -> None:
        self._pipeline = pipeline
        self._notifier = notifier
        self._clock = clock
        self._report = report
        self._reload = reload
        self._period_ns = round(_ping_s(watchdog) * NS_PER_S)
        self._next_ns = clock.monotonic_ns()
        self._silent: list[str] = []
        self.ready = False
        """Whether the first decision was announced."""

    def step(self, wishes: SignalRequests) -> float:
        """Act on wishes and on the clock; return how many seconds may pass until the next step."""
        if wishes.reload:
            self._notifier.reloading()
            self._reload()
            self._notifier.send(READY=1)
        if not self.ready and self._pipeline.first_decision.is_set():
            self.ready = True
            self._notifier.send(READY=1, STATUS=status_text(self._pipeline.status()))
            self._report(logging.INFO, "ready")
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + self._period_ns
            self._ping()
        return (self._next_ns - now_ns) / NS_PER_S

    def _ping(self) -> None:
        silent = self._pipeline.life.overdue()
        for name in silent:
            if name not in self._silent:
                self._report(logging.ERROR, "stage_silent", stage=name)
        self._silent = silent
        if silent:
            self._notifier.send(STATUS=f"silent: {', '.join(silent)}")
            return
        text = status_text(self._pipeline.status()) if self.ready else "waiting for the first decision"
        self._notifier.send(WATCHDOG=1, STATUS=text)


def status_text(status: PipelineStatus) -> str:
    """Return a line on how things are, for `systemctl status`."""
    last = status.last_decision
    parts = [
        "nothing decided yet" if last is None else f"{last.label or 'unknown'} (margin {last.decision.margin})",
        f"{status.fps:.1f} frames/s" if status.fps else "no rate yet",
        f"{len(status.classes)} classes",
        f"{status.learnt} taught since the start",
    ]
    if status.dreamt:
        parts.append(f"{status.dreamt} dreamt")
    if status.camera != "good":
        parts.append(f"camera {status.camera}")
    if status.slowed:
        parts.append("slowed down, too warm")
    if status.rebuilding:
        far = status.rebuild_progress
        parts.append("rebuilding" if far is None else f"rebuilding, {far[0]} of {far[1]}")
    return "; ".join(parts)


def _ping_s(watchdog: float | None) -> float:
    return PING_S if watchdog is None else min(PING_S, watchdog / PINGS)
