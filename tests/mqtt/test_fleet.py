"""Devices at one broker offer classes to one another."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_app.mqtt.offers import pack
from support.house import House
from support.mosquitto import Mosquitto, Observer
from support.simple_network import binding, embedding, open_learner

Observe = Callable[..., Observer]
KEY = b"a key that the whole house shares"
BY_HAND = {"commands": "administer", "offers": "by-hand", "discovery": ""}
SIGNED = BY_HAND | {"offers": "signed", "offers_key": KEY}


def taught(folder: Path, label: str, count: int, kind: int = 0) -> Path:
    with open_learner(folder) as learner:
        for number in range(count):
            learner.teach(embedding(number + 50 * kind, kind), label, source="test", thumbnail=b"picture")
    return folder


def ask(seen: Observer, device: str, name: str, **fields: Any) -> dict[str, Any]:
    topics = (f"edge-app/{device}/response", f"edge-app/{device}/error")
    known = len([one for one in seen.heard if one.topic in topics])
    seen.send(f"edge-app/{device}/command/{name}", json.dumps(fields))
    seen.wait_for(lambda heard: len([one for one in heard if one.topic in topics]) > known)
    answer: dict[str, Any] = json.loads([one for one in seen.heard if one.topic in topics][-1].payload)
    return answer


def event(seen: Observer, device: str, kind: str, text: str = "") -> dict[str, Any]:
    """Wait for an event of a kind that has a text in it, and return the newest."""

    def found() -> list[dict[str, Any]]:
        events = [one.payload.decode() for one in seen.heard if one.topic == f"edge-app/{device}/event"]
        return [told for told in map(json.loads, [one for one in events if text in one]) if told["event_type"] == kind]

    seen.wait_for(lambda _: found())
    return found()[-1]


def test_by_hand_an_offer_waits_is_listed_and_accepted(tmp_path: Path, broker: Mosquitto, observe: Observe) -> None:
    seen = observe("edge-app/#")
    taught(tmp_path / "one", "cup", 5)
    taught(tmp_path / "two", "key", 2, kind=1)
    with (
        House(tmp_path / "one", broker.port, "one", run=True, **BY_HAND) as one,
        House(tmp_path / "two", broker.port, "two", run=True, **BY_HAND) as two,
    ):
        one.wait_connected()
        two.wait_connected()
        offered = ask(seen, "one", "offer", label="cup")
        assert (offered["ok"], offered["examples"], offered["signed"]) == (True, 5, False)
        received = event(seen, "two", "offer_received")
        assert (received["device"], received["label"], received["examples"]) == ("one", "cup", 5)
        assert [offer["offer"] for offer in ask(seen, "two", "offers")["offers"]] == [received["offer"]]
        assert two.learner.classes() == {"key": 2}, "nothing before a word"
        accepted = ask(seen, "two", "accept", offer=received["offer"])
        assert (accepted["added"], accepted["skipped"]) == (5, 0)
        assert two.learner.classes() == {"key": 2, "cup": 5}
        assert two.learner.classify(embedding(99)).label == "cup"
        assert event(seen, "two", "corrected")["kind"] == "imported"
        assert ask(seen, "two", "offers")["offers"] == []
        assert ask(seen, "two", "undo")["kind"] == "import"
        assert two.learner.classes() == {"key": 2}
    with House(tmp_path / "two", broker.port, "two", run=True, **BY_HAND) as two:
        two.wait_connected()
        assert ask(seen, "two", "offers")["offers"] == [], "what was undone does not come back by itself"
        assert two.learner.classes() == {"key": 2}


def test_a_declined_or_withdrawn_offer_is_gone(tmp_path: Path, broker: Mosquitto, observe: Observe) -> None:
    seen = observe("edge-app/#")
    taught(tmp_path / "one", "cup", 2)
    with House(tmp_path / "one", broker.port, "one", run=True, **BY_HAND) as one:
        one.wait_connected()
        ask(seen, "one", "offer", label="cup")
        with House(tmp_path / "two", broker.port, "two", run=True, **BY_HAND) as two:
            offer = event(seen, "two", "offer_received")["offer"]
            assert ask(seen, "two", "decline", offer=offer)["ok"]
            assert event(seen, "two", "offer_declined")["offer"] == offer
            assert ask(seen, "two", "accept", offer=offer)["error"]["code"] == "invalid"
            assert two.learner.classes() == {}
        with House(tmp_path / "three", broker.port, "three", run=True, **BY_HAND):
            event(seen, "three", "offer_received")
            assert ask(seen, "one", "withdraw", label="cup")["ok"]
            topic = one.topics.offer("cup")
            seen.last(topic, lambda payload: payload == b"")
            ask(seen, "three", "offers")
            while ask(seen, "three", "offers")["offers"]:
                pass
        assert ask(seen, "one", "offer", label="spoon")["error"]["code"] == "unknown_class"
    late = observe("edge-app/offers/+/+", "edge-app/one/status")
    late.last("edge-app/one/status")
    assert not late.of(topic)


def test_signed_with_the_shared_key_it_is_taken_over_at_once_and_anything_else_is_refused(
    tmp_path: Path, broker: Mosquitto, observe: Observe
) -> None:
    seen = observe("edge-app/#")
    taught(tmp_path / "one", "cup", 3)
    taught(tmp_path / "three", "key", 3, kind=1)
    with House(tmp_path / "two", broker.port, "two", run=True, **SIGNED) as two:
        two.wait_connected()
        with House(tmp_path / "three", broker.port, "three", run=True, **BY_HAND) as three:
            three.wait_connected()
            ask(seen, "three", "offer", label="key")
            assert event(seen, "two", "offer_refused")["reason"] == "the offer is not signed"
        with House(tmp_path / "three", broker.port, "three", run=True, **SIGNED | {"offers_key": b"x" * 32}) as three:
            three.wait_connected()
            ask(seen, "three", "offer", label="key")
            event(seen, "two", "offer_refused", "signature was not made with the key")
        with House(tmp_path / "one", broker.port, "one", run=True, **SIGNED) as one:
            one.wait_connected()
            assert ask(seen, "one", "offer", label="cup")["signed"]
            accepted = event(seen, "two", "offer_accepted")
            assert (accepted["device"], accepted["added"]) == ("one", 3)
        assert two.learner.classes() == {"cup": 3}
        assert event(seen, "two", "offer_accepted")["signed"]


def test_offers_that_are_not_right_change_nothing(tmp_path: Path, broker: Mosquitto, observe: Observe) -> None:
    seen = observe("edge-app/#")
    with House(tmp_path / "two", broker.port, "two", run=True, offer_mb=1, **SIGNED) as two:
        two.wait_connected()
        refusals = [
            (b"junk", "does not begin with"),
            (bytes(2_000_000), "the offer has 2000000 bytes, expected at most 1048576"),
            (pack("three", "cup", 1, 1, b"no zip", KEY), "the offer's zip file cannot be read"),
        ]
        for content, reason in refusals:
            seen.send("edge-app/offers/three/0123", content)
            event(seen, "two", "offer_refused", reason)
        seen.send("edge-app/offers/three/0123", b"of no quality", qos=0)
        seen.send("edge-app/offers/two/0123", b"its own")
        folder = taught(tmp_path / "other", "cup", 2)
        with House(folder, broker.port, "four", run=True, **SIGNED) as four:
            four.wait_connected()
            ask(seen, "four", "offer", label="cup")
            event(seen, "two", "offer_accepted")
            stolen = seen.last(four.topics.offer("cup"))
        seen.send("edge-app/offers/three/0123", stolen)
        event(seen, "two", "offer_refused", "names the device 'four', and was published by 'three'")
        assert two.learner.classes() == {"cup": 2}
        assert len([one for one in seen.heard if b"offer_refused" in one.payload]) == 4


def test_a_device_with_another_encoder_is_told(tmp_path: Path, broker: Mosquitto, observe: Observe) -> None:
    seen = observe("edge-app/#")
    with open_learner(tmp_path / "one", bound=binding("b")) as learner:
        learner.teach(embedding(1), "cup", source="test")
    with (
        House(tmp_path / "one", broker.port, "one", run=True, **SIGNED) as one,
        House(tmp_path / "two", broker.port, "two", run=True, **SIGNED) as two,
    ):
        one.wait_connected()
        two.wait_connected()
        ask(seen, "one", "offer", label="cup")
        assert "this device uses another" in event(seen, "two", "offer_refused")["reason"]
        assert two.learner.classes() == {}


def test_an_offer_that_finds_no_place_on_the_disk_waits_on(
    tmp_path: Path, broker: Mosquitto, observe: Observe, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = observe("edge-app/#")
    taught(tmp_path / "one", "cup", 2)
    with (
        House(tmp_path / "one", broker.port, "one", run=True, **BY_HAND) as one,
        House(tmp_path / "two", broker.port, "two", run=True, **BY_HAND) as two,
    ):
        one.wait_connected()
        two.wait_connected()
        ask(seen, "one", "offer", label="cup")
        offer = event(seen, "two", "offer_received")["offer"]
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        assert ask(seen, "two", "accept", offer=offer)["error"]["code"] == "not_writable"
        assert two.learner.classes() == {}
        monkeypatch.undo()
        assert ask(seen, "two", "accept", offer=offer)["added"] == 2


def test_a_class_that_is_too_large_is_not_offered(tmp_path: Path, broker: Mosquitto, observe: Observe) -> None:
    seen = observe("edge-app/#")
    taught(tmp_path / "one", "cup", 3)
    with House(tmp_path / "one", broker.port, "one", run=True, **BY_HAND) as one:
        one.bridge._fleet._max_bytes = 500
        one.wait_connected()
        answer = ask(seen, "one", "offer", label="cup")
        assert "an offer at most 500: raise mqtt.offer_mb on all devices" in answer["error"]["message"]


def test_off_nothing_is_listened_to(tmp_path: Path, broker: Mosquitto, observe: Observe) -> None:
    seen = observe("edge-app/#")
    with House(tmp_path / "one", broker.port, "one", run=True, commands="administer") as one:
        one.wait_connected()
        seen.send("edge-app/offers/two/0", b"junk")
        assert ask(seen, "one", "offers")["offers"] == []
        assert "offers are off" in ask(seen, "one", "offer", label="cup")["error"]["message"]
        assert not [one for one in seen.heard if b"offer_refused" in one.payload]


@pytest.mark.parametrize("restart", [True, False])
def test_an_offer_outlives_its_broker(tmp_path: Path, restart: bool) -> None:
    """It is retained; and a broker that forgot it is told again."""
    settings = ("persistence true", f"persistence_location {tmp_path}/") if restart else ()
    broker = Mosquitto(tmp_path, *settings).start()
    taught(tmp_path / "one", "cup", 2)
    with House(tmp_path / "one", broker.port, "one", run=True, **BY_HAND) as one:
        one.wait_connected()
        seen = Observer(broker.port, "edge-app/#")
        ask(seen, "one", "offer", label="cup")
        seen.close()
        broker.stop()
        one.wait_for_report("broker_lost")
        broker.start()
        late = Observer(broker.port, "edge-app/offers/#")
        assert late.last(one.topics.offer("cup")).startswith(b"edge-app offer 1\n")
        late.close()
    broker.stop()
