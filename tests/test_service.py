"""Messages to the service manager over a real socket; signals; the watchdog."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import EdgeAppError, InputError
from edge_app.messages import Decision
from edge_app.pipeline.events import Decided
from edge_app.pipeline.pipeline import PipelineStatus
from edge_app.pipeline.stage import SLACK_S, Heartbeats
from edge_app.service import PING_S, Notifier, SignalRequests, Signals, Supervisor, check_waits, status_text, watchdog_s
from edge_app.simulation.devices import SimulatedClock

DECISION = Decision("mug", ("mug", "pen"), np.array([3, 1]), np.array([2, 5]), 2, np.array([3072, 1024]))
STATUS = PipelineStatus(
    camera="good",
    captured=9,
    dropped=0,
    encoded=9,
    skipped=0,
    decided=9,
    fps=12.34,
    slowest_ms=40.0,
    last_decision=Decided("mug", DECISION, 0.9, 9, 0, 0, 0, 0, fresh=True, changed=True),
    temperature_c=None,
    slowed=False,
    classes=("mug", "pen"),
    learnt=3,
    rebuilding=False,
    reopened=0,
)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


class Manager:
    """The other end of the protocol."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address[0] == "@" else address)
        self.socket.setblocking(False)

    def heard(self) -> list[dict[str, str]]:
        messages = []
        while True:
            try:
                text = self.socket.recv(4096).decode()
            except BlockingIOError:
                return messages
            messages.append(dict(line.split("=", 1) for line in text.split("\n")))


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@edge-app-test-{os.getpid()}"
    found = Manager(address)
    yield found
    found.socket.close()


class FakePipeline:
    """A pipeline whose condition a test decides."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.running, self.first_decision, self.camera_absent = True, threading.Event(), False
        self.failure: EdgeAppError | None = None
        self.life = Heartbeats(clock)
        self.life.expect("encode", 5.0)

    def status(self) -> PipelineStatus:
        return STATUS


class Kept(list):
    def __call__(self, level: int, event: str, /, **fields: object) -> None:
        self.append((event, fields))


def test_ready_comes_with_the_first_decision_and_once(manager: Manager, clock: SimulatedClock) -> None:
    pipeline, kept = FakePipeline(clock), Kept()
    with Notifier(manager.address, clock) as notifier:
        supervisor = Supervisor(pipeline, notifier, clock, kept, watchdog=20.0)
        supervisor.step(SignalRequests())
        assert manager.heard() == [{"WATCHDOG": "1", "STATUS": "waiting for the first decision"}]
        pipeline.first_decision.set()
        supervisor.step(SignalRequests())
        assert manager.heard() == [{"READY": "1", "STATUS": status_text(STATUS)}]
        supervisor.step(SignalRequests())
        assert manager.heard() == []
    assert kept == [("ready", {})]


def test_a_device_whose_camera_is_absent_is_ready_for_its_clients(manager: Manager, clock: SimulatedClock) -> None:
    pipeline, kept = FakePipeline(clock), Kept()
    pipeline.camera_absent = True
    with Notifier(manager.address, clock) as notifier:
        Supervisor(pipeline, notifier, clock, kept).step(SignalRequests())
    assert manager.heard()[0]["READY"] == "1"
    assert kept == [("ready", {})]


def test_pings_come_often_enough_while_all_stages_are_alive(manager: Manager, clock: SimulatedClock) -> None:
    pipeline = FakePipeline(clock)
    with Notifier(manager.address, clock) as notifier:
        supervisor = Supervisor(pipeline, notifier, clock, Kept(), watchdog=8.0)
        pings = 0
        for _ in range(40):
            pipeline.life.give("encode")
            wait_s = supervisor.step(SignalRequests())
            assert 0 < wait_s <= 2.0
            pings += sum("WATCHDOG" in message for message in manager.heard())
            clock.advance(wait_s)
        assert pings == 40


def test_a_frozen_stage_makes_the_pings_stop_and_is_named(manager: Manager, clock: SimulatedClock) -> None:
    pipeline, kept = FakePipeline(clock), Kept()
    with Notifier(manager.address, clock) as notifier:
        supervisor = Supervisor(pipeline, notifier, clock, kept, watchdog=30.0)
        last_ping_ns = 0
        for _ in range(200):
            clock.advance(supervisor.step(SignalRequests()))
            if any("WATCHDOG" in message for message in manager.heard()):
                last_ping_ns = clock.monotonic_ns()
        assert (last_ping_ns - SimulatedClock().monotonic_ns()) / 1e9 <= 5.0 + SLACK_S + PING_S
        assert kept == [("stage_silent", {"stage": "encode"})], "told once"
        pipeline.life.give("encode")
        supervisor.step(SignalRequests())
        assert "WATCHDOG" in manager.heard()[-1], "one that was only slow is well again"


def test_a_reload_is_announced_done_and_announced_again(manager: Manager, clock: SimulatedClock) -> None:
    done: list[bool] = []
    with Notifier(manager.address, clock) as notifier:
        supervisor = Supervisor(FakePipeline(clock), notifier, clock, Kept(), reload=lambda: done.append(True))
        supervisor.step(SignalRequests(reload=True))
    first, second, *_ = manager.heard()
    assert first == {"RELOADING": "1", "MONOTONIC_USEC": str(clock.monotonic_ns() // 1000)}
    assert second == {"READY": "1"}
    assert done == [True]


def test_without_a_manager_or_with_one_that_went_away_nothing_happens(tmp_path: Path, clock: SimulatedClock) -> None:
    with Notifier(None, clock) as silent, Notifier(str(tmp_path / "nowhere"), clock) as gone:
        silent.send(READY=1)
        gone.send(READY=1)
        gone.close()
        gone.send(READY=1)
    with pytest.raises(InputError, match="NOTIFY_SOCKET = 'here', expected an absolute path"):
        Notifier("here", clock)


def test_a_manager_that_does_not_read_makes_nobody_wait(tmp_path: Path, clock: SimulatedClock) -> None:
    manager = Manager(str(tmp_path / "notify"))
    with Notifier(manager.address, clock) as notifier:
        for _ in range(2000):
            notifier.send(WATCHDOG=1)
    manager.socket.close()


def test_the_watchdogs_time_is_read_from_the_environment() -> None:
    assert watchdog_s({}, 7) is None
    assert watchdog_s({"WATCHDOG_USEC": "30000000"}, 7) == 30.0
    assert watchdog_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 7) == 30.0
    assert watchdog_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 7) is None
    for text in ("soon", "0", "-1"):
        with pytest.raises(InputError, match="WATCHDOG_USEC"):
            watchdog_s({"WATCHDOG_USEC": text}, 7)


def test_the_longest_lawful_wait_must_fit_into_the_watchdog() -> None:
    waits = {"capture": 13.0, "encode": 7.0}
    check_waits(waits, None)
    check_waits(waits, 30.0)
    check_waits(waits, 18.0)
    with pytest.raises(InputError, match=r"WatchdogSec = 15 s is too short: the stage capture may wait for 13 s"):
        check_waits(waits, 15.0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_at_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Signals() as signals:
        assert signals.wait(0) == SignalRequests()
        os.kill(os.getpid(), number)
        assert signals.wait(30) == SignalRequests(stop=number.name)
        assert signals.wait(0) == SignalRequests()
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), number)
        assert signals.wait(30) == SignalRequests(stop=number.name, reload=True)
    assert signal.getsignal(number) is before


def test_another_thread_ends_the_wait_and_too_often_is_no_harm() -> None:
    with Signals() as signals:
        started = time.monotonic()
        thread = threading.Thread(target=lambda: [signals.wake() for _ in range(100_000)])
        thread.start()
        assert signals.wait(30) == SignalRequests()
        assert time.monotonic() - started < 25
        thread.join(30)
        signals.wait(0)
    signals.wake()


def test_the_status_also_tells_of_a_trouble_outside_the_pipeline(manager: Manager, clock: SimulatedClock) -> None:
    pipeline, trouble = FakePipeline(clock), [""]
    pipeline.first_decision.set()
    with Notifier(manager.address, clock) as notifier:
        supervisor = Supervisor(pipeline, notifier, clock, Kept(), watchdog=20.0, trouble=lambda: trouble[0])
        next_s = supervisor.step(SignalRequests())
        assert manager.heard()[-1]["STATUS"] == status_text(STATUS)
        trouble[0] = "history stopped"
        clock.advance(next_s)
        supervisor.step(SignalRequests())
        assert manager.heard()[-1]["STATUS"] == f"{status_text(STATUS)}; history stopped"


def test_the_status_is_a_line_for_people() -> None:
    assert status_text(STATUS) == "mug (margin 2); 12.3 frames/s; 2 classes; 3 taught since start"
    worse = STATUS._replace(camera="reopening", slowed=True, rebuilding=True, last_decision=None, fps=None)
    assert status_text(worse).startswith("no decision yet; no rate yet; ")
    assert status_text(worse).endswith("; camera reopening; slowed down: too warm; rebuilding")
    assert status_text(worse._replace(rebuild_progress=(512, 5000))).endswith("; rebuilding, 512 of 5000")
