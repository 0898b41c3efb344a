"""The thread that keeps a connection; brokers that misbehave are simulated by a plain socket."""

import logging
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app.mqtt import client
from edge_app.mqtt.client import BackOff, MqttClient
from edge_app.mqtt.connection import Broker, BrokerLost, Connection, Incoming
from edge_app.mqtt.outbox import Outgoing
from support.mosquitto import Mosquitto, Observer, free_port
from support.pipeline_parts import Reports

WELCOME = b"\x20\x03\x00\x00\x00"
TOO_LARGE = b"\xe0\x01\x95"


class Listener:
    """Keeps the messages received; fails when the test asks for it."""

    def __init__(self) -> None:
        self.fails = 0
        self.messages: list[Incoming] = []
        self.acknowledged: list[str] = []
        self.came_one = threading.Event()

    def received(self, message: Incoming) -> None:
        self.messages.append(message)
        self.came_one.set()

    def delivered(self, message: Outgoing) -> None:
        self.acknowledged.append(message.topic)

    def poll(self) -> None:
        if self.fails:
            self.fails -= 1
            raise ZeroDivisionError("division by zero")


class Rig:
    """A client with quick attempts."""

    def __init__(self, port: int) -> None:
        self.listener, self.reports = Listener(), Reports()
        self.client = MqttClient(
            Broker("127.0.0.1", port, "one"),
            100,
            ("will", b"gone"),
            self.listener,
            self.reports,
            BackOff(random.Random(1), shortest_s=0.01, longest_s=0.05),
        )


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server


def welcome(server: socket.socket) -> socket.socket:
    """Accept a client's connection."""
    line, _ = server.accept()
    line.settimeout(30)
    assert line.recv(4096)[0] == 0x10
    line.sendall(WELCOME)
    return line


def test_a_message_that_the_broker_hangs_up_on_is_given_up_and_the_others_are_delivered(server: socket.socket) -> None:
    rig = Rig(server.getsockname()[1])
    rig.client.outbox.event("a", b"small")
    rig.client.outbox.event("a", bytes(5000))
    rig.client.start()
    with welcome(server) as line:
        heard = b""
        while len(heard) < 5000:
            heard += line.recv(8192)
        line.sendall(TOO_LARGE)
    rig.reports.wait_for(lambda events: "message_refused" in events)
    assert rig.reports.last("message_refused")["bytes"] == 5000
    with welcome(server) as line:
        assert b"small" in line.recv(4096)
    rig.client.close()


def test_a_mistake_of_ours_costs_a_connection_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    broker = Mosquitto(tmp_path).start()
    rig = Rig(broker.port)
    rig.listener.fails = 2
    rig.client.outbox.event("a", b"x")
    rig.client.start()
    assert rig.client.connected.wait(30)
    rig.client.close()
    broker.stop()
    assert rig.reports.events == ["broker_connected", "broker_lost", "broker_connected", "broker_connected"]
    assert caplog.text.count("ZeroDivisionError: division by zero") == 2


def test_a_thread_that_is_slow_to_end_is_left_and_closes_what_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "JOIN_S", 0.01)
    rig, entered, goes_on = Rig(free_port()), threading.Event(), threading.Event()

    def connect() -> Connection:
        entered.set()
        assert goes_on.wait(30)
        raise BrokerLost("it took too long")

    monkeypatch.setattr(rig.client, "_connection", connect)
    rig.client.start()
    assert entered.wait(30)
    rig.client.close()
    assert rig.reports.events == ["broker_left_waiting"]
    assert rig.client._reader.fileno() >= 0, "the thread may still use it"
    goes_on.set()
    rig.client._thread.join(30)
    assert (rig.client._reader.fileno(), rig.client._writer.fileno()) == (-1, -1)
    rig.client.close()


def test_messages_that_could_not_be_delivered_at_the_end_are_told() -> None:
    """Nothing listens: the thread ends at once, from its wait for the next attempt."""
    rig = Rig(free_port())
    rig.client.outbox.event("a", b"x")
    rig.client.start()
    rig.reports.wait_for(lambda events: "broker_lost" in events)
    rig.client.close()
    assert not rig.client._thread.is_alive()
    assert (rig.reports.told[-1].event, rig.reports.told[-1].fields) == ("broker_left_waiting", {"messages": 1})


def test_a_client_that_was_never_started_is_closed() -> None:
    rig = Rig(free_port())
    rig.client.close()
    assert rig.client._reader.fileno() == -1


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00"], ids=["MQTT 3.1.1", "MQTT 5"])
def test_a_broker_that_is_too_old_is_named(server: socket.socket, answer: bytes) -> None:
    rig = Rig(server.getsockname()[1])
    rig.client.start()
    line, _ = server.accept()
    with line:
        line.settimeout(30)
        line.recv(4096)
        line.sendall(answer)
        rig.reports.wait_for(lambda events: "broker_lost" in events)
    rig.client.close()
    reason = str(rig.reports.last("broker_lost")["reason"])
    assert reason.endswith("rejects the connection: Unsupported protocol version (it must speak MQTT 5)")


def test_the_same_reason_is_told_once() -> None:
    rig = Rig(free_port())
    attempts = threading.Semaphore(0)
    wait_s = rig.client._backoff.wait_s

    def counted(lasted_s: float) -> float:
        attempts.release()
        return wait_s(lasted_s)

    rig.client._backoff.wait_s = counted  # type: ignore[method-assign]
    rig.client.start()
    for _ in range(5):
        assert attempts.acquire(timeout=30)
    rig.client.close()
    assert rig.reports.events == ["broker_lost"]
    assert "Connection refused" in str(rig.reports.last("broker_lost")["reason"])


def test_what_is_wanted_later_is_heard_too_and_after_a_restart(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path).start()
    rig = Rig(broker.port)
    rig.client.outbox.state("status", b"online")
    rig.client.subscribe(["first"])
    rig.client.start()
    seen = Observer(broker.port, "a", "status")
    for wanted in ("first", "later"):
        rig.client.subscribe([wanted])  # twice the same does no harm
        rig.client.outbox.event("a", wanted.encode())  # after the subscription, in the same connection
        seen.last("a", lambda payload, wanted=wanted: payload == wanted.encode())
        seen.send(wanted, b"x")
        assert rig.listener.came_one.wait(30)
        rig.listener.came_one.clear()
        rig.client.acknowledge(rig.listener.messages[-1])
    seen.close()
    broker.stop()
    rig.reports.wait_for(lambda events: "broker_lost" in events)
    broker.start()
    seen = Observer(broker.port, "status")
    seen.last("status")
    seen.send("later", b"y")
    assert rig.listener.came_one.wait(30)
    assert [message.topic for message in rig.listener.messages] == ["first", "later", "later"]
    seen.close()
    rig.client.close()
    broker.stop()


def test_one_that_was_never_started_can_be_closed() -> None:
    rig = Rig(1)
    rig.client.close()
    rig.client.wake()


def test_a_packet_that_is_larger_than_was_allowed_is_not_read(server: socket.socket) -> None:
    rig = Rig(server.getsockname()[1])
    rig.client.start()
    line = welcome(server)
    line.sendall(b"\x30\xff\xff\xff\x7f" + bytes(1000))  # a PUBLISH of 256 MB begins
    rig.reports.wait_for(lambda events: "broker_lost" in events)
    reason = str(rig.reports.last("broker_lost")["reason"])
    assert reason.endswith("sent a packet of 268435455 bytes, expected at most 1048576")
    line.close()
    rig.client.close()
    assert rig.listener.messages == []


def test_it_doubles_up_to_a_minute_and_is_short_again_after_a_good_connection() -> None:
    backoff = BackOff(random.Random(1))
    waits = [backoff.wait_s(0.0) for _ in range(9)]
    for wait, full in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert full / 2 <= wait <= full
    assert 30 <= backoff.wait_s(9.9) <= 60, "it did not hold"
    assert backoff.wait_s(10.0) <= 1


def test_devices_do_not_come_back_together() -> None:
    assert len({BackOff(random.Random(seed)).wait_s(0.0) for seed in range(20)}) == 20
