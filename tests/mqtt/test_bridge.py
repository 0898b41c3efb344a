"""A device at a real Mosquitto: its messages, restarts of the broker, and its end."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_app.control import Rejected
from edge_app.history.records import VisitRecord
from edge_app.mqtt import connection
from edge_app.mqtt.outbox import MAX_IN_FLIGHT
from support.house import House
from support.mosquitto import Mosquitto, Observer
from support.visits import visit

Observe = Callable[..., Observer]


def test_it_tells_decisions_health_classes_and_that_it_is_there(
    tmp_path: Path, broker: Mosquitto, observe: Observe
) -> None:
    seen = observe()
    with House(tmp_path / "state", broker.port) as house:
        own = house.topics.own
        assert seen.last(own("status")) == b"online"
        house.decide("cup", 17)
        decision = json.loads(seen.last(own("decision")))
        assert decision | {"time_ms": 0} == {
            "label": "cup",
            "confidence": 0.9,
            "novelty": 0.0,
            "margin": 5,
            "spikes": {"cup": 5},
            "frame": 17,
            "time_ms": 0,
            "number": 1,
        }
        health = json.loads(seen.last(own("health"), lambda payload: b'"ok":true' in payload))
        assert health["reasons"] == []
        assert health["events_lost"] == 0
        house.device.hub.tell(Rejected("no frame", "button cup", 5_000_000))
        refused = json.loads(seen.last(own("event"), lambda payload: b"refused" in payload))
        assert (refused["event_type"], refused["reason"], refused["time_ms"]) == ("refused", "no frame", 5)
        assert refused["event_number"] == 2, "after the decision"
        assert seen.last(own("classes")) == b"{}"
    assert seen.last(own("status"), lambda payload: payload == b"offline")
    assert all(event != "broker_lost" for event in house.reports.events)


def test_it_counts_the_visits_of_the_day(tmp_path: Path, broker: Mosquitto, observe: Observe) -> None:
    seen = observe()
    with House(tmp_path / "state", broker.port) as house:
        now = {"begin_ns": time.time_ns(), "duration_ns": 2_000_000_000}
        house.device.see(*(VisitRecord(visit(label, **now), open=False) for label in ("cup", None, "cup")))
        house.bridge._today_ns = 0
        house.bridge.client.wake()
        today = json.loads(seen.last(house.topics.own("today"), lambda payload: b'"cup"' in payload))
        assert (today["visits"], today["unknown"]) == (3, 1)
        assert [(one["label"], one["visits"]) for one in today["classes"]] == [("cup", 2)]


def test_what_is_retained_is_there_for_who_comes_later_and_after_a_restart(
    tmp_path: Path, broker: Mosquitto, observe: Observe
) -> None:
    seen = observe()
    with House(tmp_path / "state", broker.port) as house:
        own = house.topics.own
        house.decide("cup")
        kept = {own("status"), own("decision"), own("health")}
        for topic in kept:
            seen.last(topic)
        late = observe(own("+"))
        late.wait_for(lambda heard: kept <= {one.topic for one in heard})
        # the first of each: others may have been published since
        first = {one.topic: one.retained for one in reversed(late.heard)}
        assert all(first[topic] for topic in kept)
        assert not late.of(own("event"))
    seen.last(own("status"), lambda payload: payload == b"offline")
    broker.stop()
    broker.start()
    after = observe(own("+"))
    assert after.last(own("status")) == b"offline"
    assert json.loads(after.last(own("decision")))["label"] == "cup"


def test_a_broker_that_lost_all_is_told_all_again(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path).start()  # without persistence
    with House(tmp_path / "state", broker.port) as house:
        house.wait_connected()
        house.decide("cup")
        broker.stop(kill=True)
        house.wait_for_report("broker_lost")
        broker.start()
        after = Observer(broker.port, "#")
        assert json.loads(after.last(house.topics.own("decision")))["label"] == "cup"
        assert after.last(house.topics.own("status")) == b"online"
        after.close()
    broker.stop()


def test_a_restart_while_decisions_change_loses_none(tmp_path: Path, broker: Mosquitto) -> None:
    """900 changes, the broker restarted twice meanwhile: all arrive, in order, and the state is the newest."""
    with House(tmp_path / "state", broker.port) as house:
        event, decision = house.topics.own("event"), house.topics.own("decision")
        seen = Observer(broker.port, event, kept=True)
        house.wait_connected()
        for number in range(1, 901):
            house.decide(f"class {number % 7}", number)
            if number in (200, 500):
                broker.stop()
                house.wait_for_report(
                    "broker_lost", lambda _, n=number: house.reports.events.count("broker_lost") > n // 500
                )
            if number in (300, 700):
                assert house.bridge.outbox.waiting >= 100
                broker.start()
        seen.wait_for(lambda heard: heard and json.loads(heard[-1].payload)["number"] == 900)
        numbers = [json.loads(payload)["number"] for payload in seen.of(event)]
        assert list(dict.fromkeys(numbers)) == list(range(1, 901)), "each, in the order in which they came"
        assert len(numbers) - 900 <= 2 * MAX_IN_FLIGHT, "only what was on its way may come twice"
        state = Observer(broker.port, decision)
        assert json.loads(state.last(decision))["number"] == 900
        assert house.bridge.outbox.lost == 0
        seen.close()
        state.close()


def test_beyond_its_bound_the_oldest_events_go_and_are_counted(tmp_path: Path, broker: Mosquitto) -> None:
    with House(tmp_path / "state", broker.port, buffer=16) as house:
        house.wait_connected()
        seen = Observer(broker.port, house.topics.own("event"), house.topics.own("health"), kept=True)
        house.decide("first")
        seen.last(house.topics.own("event"))
        broker.stop()
        house.wait_for_report("broker_lost")
        for number in range(2, 52):
            house.decide(f"class {number}", number)
        assert house.bridge.outbox.lost == 34
        broker.start()
        seen.wait_for(lambda heard: heard and any(b'"number":51' in one.payload for one in heard))
        numbers = [json.loads(payload)["number"] for payload in seen.of(house.topics.own("event"))]
        assert list(dict.fromkeys(numbers)) == [1, *range(36, 52)]
        assert json.loads(seen.last(house.topics.own("health"), lambda payload: b'"events_lost":34' in payload))
        seen.close()


def test_a_broker_that_never_answers_keeps_neither_the_loop_nor_the_stop_waiting(tmp_path: Path) -> None:
    """It accepts the connection and never sends anything."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began_s = time.monotonic()
        with House(tmp_path / "state", silent.getsockname()[1], run=True) as house:
            line, _ = silent.accept()
            with line:
                line.settimeout(30)
                assert line.recv(4096)[0] == 0x10, "a greeting"
                for number in range(2000):
                    house.decide(f"class {number % 2}", number)
                house.device.wait_for(lambda events: len(events) > 2020)
                assert not house.bridge.client.connected.is_set()
                ended_s = time.monotonic()
                house.bridge.close()
                assert time.monotonic() - ended_s < 4
        assert ended_s - began_s < 30


def test_a_greeting_without_an_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent, House(tmp_path, silent.getsockname()[1]) as house:
        house.wait_for_report("broker_lost", lambda fields: "did not answer within 0.1 s" in str(fields["reason"]))


@pytest.mark.parametrize(
    "noise", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x03\x00\x00", b"\x20\xff\xff\xff\xff\xff"]
)
def test_one_that_speaks_something_else_is_named_and_tried_again(
    tmp_path: Path, noise: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server, House(tmp_path, server.getsockname()[1]) as house:
        for _ in range(2):
            line, _ = server.accept()
            with line:
                line.sendall(noise)
                line.settimeout(30)
                while line.recv(4096):
                    pass
        house.wait_for_report("broker_lost")


def test_the_last_will_speaks_for_a_killed_process(tmp_path: Path, broker: Mosquitto, observe: Observe) -> None:
    seen = observe()
    code = (
        f"import sys, threading; sys.path[:0] = {[path for path in sys.path if '/tests' in path]!r}\n"
        "from pathlib import Path; from support.house import House\n"
        f"with House(Path({str(tmp_path / 'state')!r}), {broker.port}) as house: threading.Event().wait()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert seen.last("edge-app/one/status") == b"online"
    finally:
        process.kill()
        process.wait(30)
    seen.last("edge-app/one/status", lambda payload: payload == b"offline")
    late = observe("edge-app/one/status")
    assert late.last("edge-app/one/status") == b"offline"


def test_a_picture_goes_with_each_decision_when_it_is_wanted(
    tmp_path: Path, broker: Mosquitto, observe: Observe
) -> None:
    seen = observe()
    with House(tmp_path / "state", broker.port, run=True, thumbnails=True) as house:
        picture = seen.last(house.topics.own("picture"), bool)
        assert picture.startswith(b"\xff\xd8\xff")
    config = "homeassistant/device/edge-app-one/config"
    assert "image_topic" in json.loads(seen.last(config, bool))["components"]["picture"]
    with House(tmp_path / "state", broker.port):
        seen.last("edge-app/one/picture", lambda payload: not payload)
        without = seen.last(config, lambda payload: b"image_topic" not in payload)
        assert json.loads(without)["components"]["picture"] == {"platform": "image"}


def test_a_message_that_is_too_large_for_the_broker_costs_nothing_else(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, "max_packet_size 20000").start()
    with House(tmp_path / "state", broker.port) as house:
        house.wait_connected()
        house.bridge.outbox.event(house.topics.own("event"), bytes(30000))
        house.wait_for_report("message_refused", lambda fields: fields["bytes"] == 30000)
        seen = Observer(broker.port, "#")
        house.decide("cup")
        seen.last(house.topics.own("decision"))
        seen.close()
        assert "broker_lost" not in house.reports.events
    broker.stop()


def test_without_permission_to_publish_it_says_so_and_goes_on(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("topic readwrite edge-app/one/#\n")
    broker = Mosquitto(tmp_path, f"acl_file {rules}").start()
    with House(tmp_path / "state", broker.port) as house:
        house.wait_for_report("message_refused", lambda fields: "homeassistant" in str(fields["topic"]))
        seen = Observer(broker.port, "edge-app/one/#")
        house.decide("cup")
        seen.last(house.topics.own("decision"))
        seen.close()
    broker.stop()


def test_nothing_is_told_after_the_end(tmp_path: Path, broker: Mosquitto) -> None:
    with House(tmp_path / "state", broker.port) as house:
        house.wait_connected()
        house.bridge.close()
        house.decide("cup")
        assert house.bridge.outbox.waiting == 0
        assert threading.active_count() < 10
