"""The service manager's side: notifications (ready, alive, stopping) to it, and signals (stop, reload) from it.

The protocol is sd_notify(3): datagrams to the Unix socket in $NOTIFY_SOCKET. Without the variable nothing is sent.
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
from edge_app.pipeline.place import PipelineStatus
from edge_app.pipeline.stage import Heartbeats

PING_S = 5.0
"""Longest time between two pings to the watchdog, each with a status text."""
PINGS = 4
"""Pings within the watchdog's time, at least: a late one does not restart the service."""


class Notifier(Closing):
    """Sends the device's condition to the service manager. A context manager."""

    def __init__(self, address: str | None, clock: Clock) -> None:
        """`address` is $NOTIFY_SOCKET: a path, or a name that begins with @. Raises InputError for another kind."""
        self._clock = clock
        self._socket: socket.socket | None = None
        if not address:
            return
        if address[0] not in "/@":
            raise InputError(f"NOTIFY_SOCKET = {address!r}, expected an absolute path or a name that begins with @")
        # SOCK_CLOEXEC: camera processes must not notify in the service's name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        # an abstract socket, which has no file
        self._address = "\0" + address[1:] if address[0] == "@" else address

    def send(self, **fields: object) -> None:
        """Send assignments, such as READY=1. A manager that does not listen is logged, and otherwise ignored."""
        if self._socket is None:
            return
        message = "\n".join(f"{name}={value}" for name, value in fields.items())
        try:
            # MSG_DONTWAIT: a manager that is busy must not stop the device
            self._socket.sendto(message.encode(), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, self._address)
        except OSError as error:
            logging.getLogger(__name__).debug("the service manager does not listen: %s", error)

    def reloading(self) -> None:
        """Announce the begin of a reload; `send(READY=1)` ends it."""
        self.send(RELOADING=1, MONOTONIC_USEC=self._clock.monotonic_ns() // 1000)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    """Return the time without a ping after which systemd restarts this process, seconds; None: never.

    Raises InputError.
    """
    # the variables are inherited, and may be meant for a parent
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid) or not environ.get("WATCHDOG_USEC"):
        return None
    text = environ["WATCHDOG_USEC"]
    if not text.isdecimal() or int(text) == 0:
        raise InputError(f"WATCHDOG_USEC = {text!r}, expected a whole number of microseconds")
    return int(text) / 1e6


def check_waits(waits: Mapping[str, float], watchdog: float | None) -> None:
    """Raise InputError unless the longest wait of every stage, and a ping, fit into the watchdog's time."""
    if watchdog is None:
        return
    name, longest = max(waits.items(), key=lambda item: item[1])
    needed = longest + _ping_s(watchdog)
    if needed > watchdog:
        raise InputError(
            f"WatchdogSec = {watchdog:g} s is too short: the stage {name} may wait for {longest:g} s, and a ping is "
            f"sent every {_ping_s(watchdog):g} s; expected at least {longest + PING_S:g} s"
        )


class SignalRequests(NamedTuple):
    """Signals received since the last call."""

    stop: str | None = None
    """Name of the signal that asks to stop."""
    reload: bool = False


class Signals:
    """Receives SIGTERM, SIGINT and SIGHUP, and waits for them; another thread can end a wait.

    A context manager, for the main thread.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        # a list, because appending is safe in a signal handler and a lock is not
        self._caught: list[int] = []
        self._before: dict[int, Any] = {}
        self._wakeup = -1

    def wake(self) -> None:
        """End a wait; safe to call from any thread."""
        try:
            self._writer.send(b"\0")
        except BlockingIOError:
            pass  # it is full of wake-ups
        except OSError as error:  # a stage that did not stop in time
            logging.getLogger(__name__).debug("no wait to end: %s", error)

    def wait(self, timeout_s: float) -> SignalRequests:
        """Wait up to `timeout_s` seconds for a signal or for `wake`, and return the signals received."""
        # a signal that came between two waits
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

    @property
    def stop_requested(self) -> bool:
        """Whether a signal to stop has been received that `wait` has not returned yet."""
        return any(number != signal.SIGHUP for number in self._caught)

    def __enter__(self) -> Self:
        """Install the handlers."""
        # a signal makes the socket readable, and so ends select(): no time-out has to be short for it
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._catch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the earlier handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._reader.close()
        self._writer.close()

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self._caught.append(number)


class SupervisedPipeline(Protocol):
    """The part of a pipeline that a supervisor uses."""

    @property
    def running(self) -> bool:
        """Whether any stage still runs."""

    @property
    def failure(self) -> EdgeAppError | None:
        """The error that ended it."""

    @property
    def first_decision(self) -> threading.Event:
        """Set with the first decision."""

    @property
    def life(self) -> Heartbeats:
        """The heartbeats of the stages."""

    @property
    def camera_absent(self) -> bool:
        """Whether the camera has not been opened yet, since the start."""

    def status(self) -> PipelineStatus:
        """Return its condition."""


class Supervisor:
    """Watches a pipeline, and reports its condition to the service manager.

    Call `step` again and again, in the main thread.
    """

    def __init__(
        self,
        pipeline: SupervisedPipeline,
        notifier: Notifier,
        clock: Clock,
        report: Report,
        *,
        watchdog: float | None = None,
        reload: Callable[[], None] = lambda: None,
        trouble: Callable[[], str] = lambda: "",
    ) -> None:
        """`trouble` tells what the pipeline does not know of, in a few words; "": nothing."""
        self._pipeline = pipeline
        self._notifier = notifier
        self._clock = clock
        self._report = report
        self._reload = reload
        self._trouble = trouble
        self._period_ns = round(_ping_s(watchdog) * NS_PER_S)
        self._next_ns = clock.monotonic_ns()
        self._silent: list[str] = []
        self.ready = False
        """Whether READY was sent: after the first decision, or at once if the camera is absent."""

    def step(self, requests: SignalRequests) -> float:
        """Act on signals and on the time; return the seconds until the next step is due."""
        if requests.reload:
            self._notifier.reloading()
            self._reload()
            # also after a failed reload, or systemd would wait for its end
            self._notifier.send(READY=1)
        if not self.ready and (self._pipeline.first_decision.is_set() or self._pipeline.camera_absent):
            self.ready = True
            self._notifier.send(READY=1, STATUS=self._status_text())
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
        # no WATCHDOG=1: systemd restarts the service when a stage stays silent
        if silent:
            self._notifier.send(STATUS=f"silent: {', '.join(silent)}")
            return
        text = self._status_text() if self.ready else "waiting for the first decision"
        self._notifier.send(WATCHDOG=1, STATUS=text)

    def _status_text(self) -> str:
        return "; ".join(filter(None, (status_text(self._pipeline.status()), self._trouble())))


def status_text(status: PipelineStatus) -> str:
    """Return the condition as one line, for `systemctl status`."""
    last = status.last_decision
    parts = [
        "no decision yet" if last is None else f"{last.label or 'unknown'} (margin {last.decision.margin})",
        f"{status.fps:.1f} frames/s" if status.fps else "no rate yet",
        f"{len(status.classes)} classes",
        f"{status.learnt} taught since start",
    ]
    if status.dreamt:
        parts.append(f"{status.dreamt} dreamt")
    if status.camera != "good":
        parts.append(f"camera {status.camera}")
    if status.slowed:
        parts.append("slowed down: too warm")
    if status.rebuilding:
        progress = status.rebuild_progress
        parts.append("rebuilding" if progress is None else f"rebuilding, {progress[0]} of {progress[1]}")
    return "; ".join(parts)


def _ping_s(watchdog: float | None) -> float:
    return PING_S if watchdog is None else min(PING_S, watchdog / PINGS)
