"""Runs the live device as a program of its own: signals, the service manager, and the end."""

import logging
import os
import queue
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge_app import logs, malloc
from edge_app.composition import OpenedDevice, close_device, open_clients, open_device, prepare_clients
from edge_app.config import Config, load_config
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.uri import without_password
from edge_app.errors import EdgeAppError
from edge_app.pipeline.events import Listener
from edge_app.pipeline.pipeline import Pipeline
from edge_app.pipeline.place import PipelineStatus
from edge_app.pipeline.stage import StageFailed, longest_waits
from edge_app.service import Notifier, Signals, Supervisor, check_waits, watchdog_s
from edge_app.storage.kept_places import places_in_use

if TYPE_CHECKING:
    from edge_app.learner import Learner
    from edge_app.mqtt.bridge import Bridge
    from edge_app.web.server import WebServer

SWITCH_S = 0.0005
"""Time that a thread may hold the interpreter while others wait: a tenth of Python's default, so that no frame waits
long."""
STOP_S = 3.0
"""Time for the stages to stop. The state is saved afterwards; the whole stop takes less than 5 s."""
STEP_S = 300
"""A step of the start may take so long, as the whole of it by TimeoutStartSec of the unit: then it hangs."""
RESTORED, PLACED = "a backup is restored", "other places were set"
"""Why the device stops in order to start again."""


class ConfigSource(NamedTuple):
    """Where the configuration comes from; a reload reads it again."""

    path: Path | None
    environ: Mapping[str, str]
    override: Callable[[Config], Config] = lambda config: config
    """Applies the options of the command line."""

    def load(self) -> Config:
        """Return the configuration. Raises InputError."""
        return self.override(load_config(self.path, self.environ))


class _ServiceStart:
    """Tells the service manager how the start goes on, and ends it at a signal."""

    def __init__(self, notifier: Notifier, signals: Signals, *, again: bool) -> None:
        self._notifier = notifier
        self._signals = signals
        # After a restart in this process the watchdog is running already. At the first start a ping would set it off,
        # and compiling may take longer than its time.
        self._ping = {"WATCHDOG": 1} if again else {}

    def say(self, status: str) -> None:
        # a slow step that goes on is no reason to end the start: compiling, and replaying a large state
        self._notifier.send(**self._ping, EXTEND_TIMEOUT_USEC=STEP_S * 1_000_000, STATUS=status)

    @property
    def stop_requested(self) -> bool:
        return self._signals.stop_requested


def run(source: ConfigSource, *, listener: Listener = lambda _: None, seconds: float | None = None) -> PipelineStatus:
    """Run the device until a signal, the end of a recording, or for `seconds`; return its condition at the end.

    `listener` receives every event, from the stages' threads. Call it in the main thread. Raises EdgeAppError for
    whatever keeps the device from starting, or ends it.
    """
    again = False
    end = None if seconds is None else time.monotonic() + seconds
    # around all restarts: a signal that comes during one must end the program, and must not end it at once
    with Signals() as signals:
        while True:
            status, reason = _run_once(source, listener, end, signals, again=again)
            if reason not in (RESTORED, PLACED) or signals.stop_requested:
                return status
            again = True
            logs.report(logging.INFO, "restarting", reason=reason)


def _run_once(
    source: ConfigSource, listener: Listener, end: float | None, signals: Signals, *, again: bool
) -> tuple[PipelineStatus, str]:
    """Return the condition at the stop, and its reason. `end`: on the monotonic clock, s; `again`: after a restart."""
    config = source.load()
    clock = MonotonicClock()
    started_ns = time.monotonic_ns()
    # before any thread starts: an arena that exists is not taken back
    malloc.share_arenas()
    sys.setswitchinterval(SWITCH_S)
    watchdog = watchdog_s(source.environ, os.getpid())
    with Notifier(source.environ.get("NOTIFY_SOCKET"), clock) as notifier, ExitStack() as stack:
        notifier.send(STATUS="starting")
        settings = prepare_clients(config)  # before the slow steps
        device = open_device(stack, config, clock, _ServiceStart(notifier, signals, again=again), listener)
        # a stack of its own: requests end before the stages stop, events are published until after that
        clients = stack.enter_context(ExitStack())
        web, bridges = open_clients(stack, clients, settings, device)
        # a watchdog that is too short would restart a healthy device again and again
        check_waits(longest_waits(device.pipeline.stages), watchdog)
        reload = partial(_reload, source, device)
        supervisor = Supervisor(
            device.pipeline, notifier, clock, logs.report, watchdog=watchdog, reload=reload, trouble=device.trouble
        )
        _report_start(device.config, device.learner, started_ns)
        # replaying and loading used much memory that the live loop does not need
        malloc.give_back()
        restart = _offer_restart(device, signals)
        _start(device.pipeline, web, bridges, signals)
        reason = _watch(device.pipeline, supervisor, signals, end, web, restart)
        stopping = {} if reason in (RESTORED, PLACED) else {"STOPPING": 1}
        notifier.send(**stopping, STATUS=f"stopping: {reason}")
        for learner in device.learners.values():
            learner.refuse_imports()  # the teacher would wait for the one that is being stored
        # before the stages: no request may wait for a teacher that has ended
        clients.close()
        status = _finish(stack, device, reason)
        if web is not None and web.failure is not None:
            raise StageFailed(f"the page and the API have stopped: {web.failure}") from web.failure
        return status, reason


def _offer_restart(device: OpenedDevice, signals: Signals) -> queue.SimpleQueue[str]:
    """Let clients ask for a restart; return where the reasons come."""
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()

    def ask(reason: str) -> None:
        asked.put(reason)
        signals.wake()

    for control in device.controls.values():
        control.restart = partial(ask, RESTORED)
    if device.places is not None:
        device.places.restart = partial(ask, PLACED)
    return asked


def _report_start(config: Config, learner: "Learner", started_ns: int) -> None:
    logs.report(
        logging.INFO,
        "started",
        camera=", ".join(without_password(one.uri) for one in config.cameras_in_use().values()),
        buttons=config.buttons.uri,
        state=config.state.folder,
        classes=len(learner.labels),
        ms=(time.monotonic_ns() - started_ns) / 1e6,
    )


def _start(pipeline: Pipeline, web: "WebServer | None", bridges: "Sequence[Bridge]", signals: Signals) -> None:
    pipeline.start(signals.wake)
    if web is not None:
        web.start()
        logs.report(logging.INFO, "page", url=web.url, tokens=len(web.tokens.stored()))
    for bridge in bridges:
        bridge.start()


def _watch(
    pipeline: Pipeline,
    supervisor: Supervisor,
    signals: Signals,
    end: float | None,
    web: "WebServer | None",
    restart: queue.SimpleQueue[str],
) -> str:
    """Run the supervisor until it is time to stop; return the reason. `end`: on the monotonic clock, seconds."""
    # the first step at once: the condition is reported before the first wait
    wait_s = 0.0
    while True:
        requests = signals.wait(wait_s)
        wait_s = supervisor.step(requests)
        if requests.stop is not None:
            return requests.stop
        if not restart.empty():
            return restart.get()
        if pipeline.failure is not None or (web is not None and web.failure is not None):
            return "failure"
        if not pipeline.running:
            return "end of the recording"
        if end is not None:
            left_s = end - time.monotonic()
            if left_s <= 0:
                return "time is up"
            wait_s = min(wait_s, left_s)


def _finish(stack: ExitStack, device: OpenedDevice, reason: str) -> PipelineStatus:
    """Stop the stages and save the state. Raises the error that ended the pipeline."""
    pipeline = device.pipeline
    stuck, status = close_device(stack, device, STOP_S)
    logs.report(
        logging.INFO, "stopped", reason=reason, decided=status.decided, dropped=status.dropped, learnt=status.learnt
    )
    if pipeline.failure is not None:
        # a mistake in the program: its traceback belongs to the log
        if isinstance(pipeline.failure, StageFailed):
            logging.getLogger(__name__).critical("%s", pipeline.failure, exc_info=pipeline.failure.__cause__)
        raise pipeline.failure
    if stuck:
        raise StageFailed(f"the stages {', '.join(stuck)} did not stop within {STOP_S:g} s; the state is saved")
    return status


def _reload(source: ConfigSource, device: OpenedDevice) -> None:
    """Apply the sections that a running program can apply; an invalid configuration changes nothing."""
    try:
        configured = source.load()
        config = places_in_use(configured, logs.report)
    except EdgeAppError as error:
        # the running configuration stays: a typing error must not stop the device
        logs.report(logging.ERROR, "reload_refused", reason=str(error))
        return
    logs.set_level(config.log.level)
    device.pipeline.reconfigure(config)
    if device.places is not None:
        device.places.configured_anew(configured)
    waiting = device.config.needs_restart(config)
    logs.report(logging.INFO, "reloaded", file=str(source.path or ""), needs_restart=",".join(waiting) or None)
