"""One connection to a real broker, stepped by hand; test_bridge.py tests the whole bridge."""

import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_app.errors import RuntimeMissing
from edge_app.mqtt.connection import Broker, BrokerLost, Connection, Incoming, needs_extra
from edge_app.mqtt.outbox import Outgoing
from support.house import House
from support.mosquitto import WAIT_S, Mosquitto, Observer, free_port


class Line:
    """A connection whose handlers keep what they are called with."""

    def __init__(self, port: int, client_id: str = "one", max_packet: int = 1 << 20) -> None:
        self.received: list[Incoming] = []
        self.acknowledged: list[tuple[int, str | None]] = []
        self._reader, self._writer = socket.socketpair()
        self.connection = Connection(
            Broker("127.0.0.1", port, client_id, max_packet=max_packet),
            ("will", b"gone"),
            self.received.append,
            lambda message, refusal: self.acknowledged.append((message.number, refusal)),
        )

    def open(self) -> "Line":
        self.connection.open()
        self.until(lambda: self.connection.ready)
        return self

    def until(self, right: Callable[[], object]) -> None:
        end_s = time.monotonic() + WAIT_S
        while not right():
            assert time.monotonic() < end_s
            self.connection.step(self._reader, 0.1)

    def close(self) -> None:
        self.connection.close()
        self._reader.close()
        self._writer.close()


@pytest.fixture
def line(broker: Mosquitto) -> Iterator[Line]:
    line = Line(broker.port).open()
    yield line
    line.close()


def test_what_is_published_is_acknowledged_in_order(line: Line, observe: Callable[..., Observer]) -> None:
    seen = observe("a/#")
    for number in range(1, 11):
        line.connection.publish(Outgoing(number, "a/b", b"%d" % number, number == 10, b"c" if number == 3 else None))
    line.until(lambda: len(line.acknowledged) == 10)
    assert line.acknowledged == [(number, None) for number in range(1, 11)]
    seen.wait_for(lambda heard: len(heard) == 10)
    assert [one.payload for one in seen.heard] == [b"%d" % number for number in range(1, 11)]
    assert [one.correlation for one in seen.heard if one.correlation] == [b"c"]
    late = observe("a/#")
    assert late.last("a/b") == b"10"


def test_what_is_subscribed_arrives_with_what_its_sender_wants(line: Line, observe: Callable[..., Observer]) -> None:
    sender = observe("nothing")
    sender.send("c/kept", b"before", retain=True)
    line.connection.subscribe(["c/+"])
    line.until(lambda: line.received)
    assert line.received[0][:3] == ("c/kept", b"before", True)
    sender.send("c/d", b"x", response_topic="r", correlation=b"7")
    line.until(lambda: len(line.received) == 2)
    assert line.received[1][:5] == ("c/d", b"x", False, "r", b"7")
    line.connection.publish(Outgoing(1, "c/own", b"", False))
    line.until(lambda: line.acknowledged)
    assert len(line.received) == 2, "what it says itself does not come back"


def test_no_more_than_eight_come_before_they_are_dealt_with(line: Line, observe: Callable[..., Observer]) -> None:
    sender = observe("nothing")
    line.connection.subscribe(["c/+", "end"])
    line.connection.publish(Outgoing(1, "x", b"", False))
    line.until(lambda: line.acknowledged)
    for number in range(20):
        sender.send("c/d", b"%d" % number)
    sender.send("end", b"", qos=0)
    line.until(lambda: any(message.topic == "end" for message in line.received))
    waiting = [message for message in line.received if message.qos]
    assert len(waiting) == 8
    while waiting:
        line.connection.acknowledge(waiting.pop(0))
        known = len(line.received)
        if known < 21:
            line.until(lambda known=known: len(line.received) > known)
            waiting.append(line.received[-1])
    assert [message.payload for message in line.received if message.qos] == [b"%d" % number for number in range(20)]


def test_a_broker_that_takes_few_at_a_time_gets_few_at_a_time(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, "max_inflight_messages 3").start()
    line = Line(broker.port).open()
    sent = 0
    while line.connection.room:
        sent += 1
        line.connection.publish(Outgoing(sent, "a", b"", False))
    assert sent == 3
    line.until(lambda: line.connection.room)
    line.close()
    with House(tmp_path / "state", broker.port) as house:
        house.wait_connected()
        for number in range(50):
            house.decide(f"class {number % 2}", number)
        seen = Observer(broker.port, "edge-app/one/decision")
        seen.last("edge-app/one/decision", lambda payload: b'"number":50' in payload)
        seen.close()
        assert "broker_lost" not in house.reports.events
    broker.stop()


def test_a_packet_that_is_too_large_does_not_come(broker: Mosquitto, observe: Callable[..., Observer]) -> None:
    line = Line(broker.port, max_packet=1000).open()
    sender = observe("nothing")
    line.connection.subscribe(["c/+"])
    line.connection.publish(Outgoing(1, "x", b"", False))
    line.until(lambda: line.acknowledged)
    sender.send("c/d", bytes(2000))
    sender.send("c/d", b"small")
    line.until(lambda: line.received)
    assert line.received[0].payload == b"small"
    line.close()


def test_a_good_bye_keeps_the_will_back_and_silence_does_not(
    broker: Mosquitto, observe: Callable[..., Observer]
) -> None:
    seen = observe("will", "end")
    Line(broker.port).open().close()
    seen.send("end", b"")
    seen.wait_for(lambda heard: heard)
    assert [one.topic for one in seen.heard] == ["end"]
    line = Line(broker.port).open()
    line.connection._client.socket().close()
    assert seen.last("will") == b"gone"
    with pytest.raises((BrokerLost, ValueError, OSError)):
        line.until(lambda: False)
    line.close()


def test_another_of_the_same_name_takes_its_place(broker: Mosquitto) -> None:
    first = Line(broker.port).open()
    second = Line(broker.port).open()
    with pytest.raises(BrokerLost, match=r"the connection to the broker .* (was lost|ended: Session taken over)"):
        first.until(lambda: False)
    first.close()
    second.close()


def test_nobody_there_is_named() -> None:
    port = free_port()
    line = Line(port)
    with pytest.raises(BrokerLost, match=rf"the broker 127\.0\.0\.1:{port} cannot be reached: Connection refused"):
        line.open()
    line.close()


def test_a_broker_that_stops_is_noticed(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path).start()
    line = Line(broker.port).open()
    broker.stop()
    with pytest.raises(BrokerLost, match=r"the broker 127|the connection to the broker"):
        line.until(lambda: False)
    line.close()


def test_a_missing_library_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.enums", None)
    with pytest.raises(
        RuntimeMissing, match=r"\[mqtt\] needs paho-mqtt, 2\.1 or newer: pip install 'edge-app\[mqtt\]'"
    ):
        needs_extra()
