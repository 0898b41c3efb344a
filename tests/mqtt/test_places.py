"""Each place is a device of its own at the broker: real encoder, real broker, places in one simulated picture."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_app import Device
from edge_app.config import CameraConfig, Config, ConsolidationConfig, MqttConfig, PlaceConfig
from edge_app.mqtt.retained import FILE, RetainedTopics
from support.house import House
from support.mosquitto import Mosquitto, Observer

GATE, KITCHEN = PlaceConfig(name="gate", region=(0, 0, 0.5, 1)), PlaceConfig(name="Küche 2", region=(0.5, 0, 0.5, 1))
YARD = PlaceConfig(name="yard", region=(0, 0, 1, 0.5), group="gate")


def config_of(broker: Mosquitto, *places: PlaceConfig) -> Config:
    return Config(
        camera=CameraConfig(uri="sim:scene=shapes,size=320x240,fps=20"),
        places=places,
        consolidation=ConsolidationConfig(enabled=False),
        mqtt=MqttConfig(
            enabled=True, port=broker.port, device="house", commands="administer", hold_s=0.2, offers="by-hand"
        ),
    )


def devices_left(broker: Mosquitto) -> set[str]:
    """Return the devices of which the broker has retained messages: of states, announcements and offers."""
    seen = Observer(broker.port, "edge-app/#", "homeassistant/#", "end")
    seen.send("end", b"x")  # the retained messages come before it
    seen.wait_for(lambda heard: heard and heard[-1].topic == "end")
    seen.close()
    found = set()
    for one in seen.heard[:-1]:
        parts = one.topic.removeprefix("edge-app/").removeprefix("offers/").split("/")
        found.add(parts[2].removeprefix("edge-app-") if one.topic.startswith("homeassistant/") else parts[0])
    return found


def wait_for_removal(seen: Observer, device: str) -> None:
    """Wait until the last of a device's retained topics is removed: they are removed in alphabetical order."""
    seen.last(f"homeassistant/device/edge-app-{device}/config", lambda payload: payload == b"")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("after", "devices"),
    [
        ((GATE,), {"house"}),
        ((), {"house"}),
        ((GATE, YARD), {"house-gate", "house-yard"}),
        ((YARD, KITCHEN, GATE), {"house-gate", "house-yard", "house-kuche-2-a07707"}),
    ],
    ids=["several to one", "several to none", "renamed", "added"],
)
def test_of_places_that_are_gone_nothing_is_left_at_the_broker(
    tmp_path: Path,
    broker: Mosquitto,
    observe: Callable[..., Observer],
    after: tuple[PlaceConfig, ...],
    devices: set[str],
) -> None:
    state = tmp_path / "state"
    kitchen = "house-kuche-2-a07707"
    with Device(state, config=config_of(broker, GATE, KITCHEN)) as device:
        device.places["Küche 2"].teach("pot")
        seen = observe("edge-app/#", "homeassistant/#")
        seen.last(f"edge-app/{kitchen}/classes", lambda payload: b"pot" in payload)
        seen.send(f"edge-app/{kitchen}/command/offer", b'{"label": "pot"}')
        seen.wait_for(lambda heard: any(one.topic.startswith(f"edge-app/offers/{kitchen}/") for one in heard))
        for one in ("house-gate", kitchen):
            seen.last(f"homeassistant/device/edge-app-{one}/config", bool)
            seen.last(f"edge-app/{one}/health", bool)
    assert devices_left(broker) == {"house-gate", kitchen}
    seen = observe("edge-app/#", "homeassistant/#")
    with Device(state, config=config_of(broker, *after)):
        for one in devices:
            seen.last(f"homeassistant/device/edge-app-{one}/config", bool)
        for one in {"house-gate", kitchen} - devices:
            wait_for_removal(seen, one)
    assert devices_left(broker) == devices
    with Device(state, config=config_of(broker, GATE, KITCHEN)):
        seen.last(f"edge-app/{kitchen}/status", lambda payload: payload == b"online")
        for one in devices - {"house-gate", kitchen}:
            wait_for_removal(seen, one)
    assert devices_left(broker) == {"house-gate", kitchen}
    assert not (state / "mqtt").exists()


def test_lists_that_each_place_kept_are_taken_over_and_their_topics_removed(
    tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]
) -> None:
    seen = observe("#")
    state, address = tmp_path / "state", f"127.0.0.1:{broker.port}"
    topics = {name: f"homeassistant/device/edge-app-house-{name}/config" for name in ("gate", "yard")}
    for name, topic in topics.items():
        (folder := state / "mqtt" / name).mkdir(parents=True)
        (folder / FILE).write_text(json.dumps({address: [topic], "elsewhere:1883": [name]}))
        seen.send(topic, b"{}", retain=True)
    (state / "mqtt" / "yard" / "notes.txt").write_text("a person's")
    with House(state, broker.port) as house:
        for topic in topics.values():
            seen.last(topic, lambda payload: payload == b"")
        house.wait_for_quiet()
    assert devices_left(broker) == {"one"}
    assert json.loads((state / FILE).read_bytes())["elsewhere:1883"] == ["gate", "yard"]
    assert sorted(path.name for path in (state / "mqtt").rglob("*")) == ["notes.txt", "yard"]


def test_the_last_will_of_an_earlier_run_is_removed_when_it_comes_late(
    tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]
) -> None:
    seen = observe("edge-app/house-gate/status")
    (state := tmp_path / "state").mkdir()
    (state / FILE).write_text(json.dumps({f"127.0.0.1:{broker.port}": ["edge-app/house-gate/status"]}))
    with House(state, broker.port) as house:
        seen.wait_for(lambda heard: [one.payload for one in heard] == [b""])
        house.wait_for_quiet()
        # a broker does this some minutes after a power cut
        seen.send("edge-app/house-gate/status", b"offline", retain=True)
        seen.wait_for(lambda heard: [one.payload for one in heard] == [b"", b"offline", b""])
    assert devices_left(broker) == {"one"}


def test_one_place_removes_what_no_place_uses(tmp_path: Path) -> None:
    retained = RetainedTopics(tmp_path, "broker:1883")
    for name in ("gate", "yard"):
        retained.claim(lambda topic, name=name: topic.startswith(f"edge-app/{name}/"))  # type: ignore[misc]
    retained.add(["edge-app/gate/status", "edge-app/yard/status", "edge-app/gone/status"])
    assert retained.leftovers() == ["edge-app/gone/status"]
    assert retained.leftovers() == [], "another place removes it"
    # until the broker has done it
    assert RetainedTopics(tmp_path, "broker:1883").topics == retained.topics
    retained.discard("edge-app/gone/status")
    assert RetainedTopics(tmp_path, "broker:1883").leftovers() == ["edge-app/gate/status", "edge-app/yard/status"]


@pytest.mark.slow
def test_places_publish_and_take_commands_side_by_side(
    tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]
) -> None:
    kitchen = "house-kuche-2-a07707"
    observer = observe("#")
    with Device(tmp_path / "state", config=config_of(broker, GATE, KITCHEN)) as device:
        for topic in ("house-gate", kitchen):
            observer.last(f"edge-app/{topic}/status", lambda payload: payload == b"online")
            observer.last(f"edge-app/{topic}/decision")
        observer.send(f"edge-app/{kitchen}/command/teach", b'{"label": "pot"}')
        classes = observer.last(f"edge-app/{kitchen}/classes", lambda payload: b"pot" in payload)
        assert list(json.loads(classes)) == ["pot"]
        assert {name: place.classes() for name, place in device.places.items()} == {"gate": {}, "Küche 2": {"pot": 1}}
        names: dict[str, Any] = {}
        for topic in ("house-gate", kitchen):
            found = json.loads(observer.last(f"homeassistant/device/edge-app-{topic}/config"))
            names[topic] = found["device"]["name"]
        assert names == {"house-gate": "edge-app house gate", kitchen: "edge-app house Küche 2"}
    for topic in ("house-gate", kitchen):
        observer.last(f"edge-app/{topic}/status", lambda payload: payload == b"offline")
    assert observer.of("edge-app/house/decision") == []
