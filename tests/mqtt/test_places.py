"""Each place is a device of its own at the broker: real encoder, real broker, two places in one simulated picture."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_app import Device
from edge_app.config import CameraConfig, Config, ConsolidationConfig, MqttConfig, PlaceConfig
from support.mosquitto import Mosquitto, Observer

pytestmark = pytest.mark.slow


def test_places_publish_and_take_commands_side_by_side(
    tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]
) -> None:
    mqtt = MqttConfig(enabled=True, port=broker.port, device="house", commands="administer", hold_s=0.2)
    config = Config(
        camera=CameraConfig(uri="sim:scene=shapes,size=320x240,fps=20"),
        places=(
            PlaceConfig(name="gate", region=(0, 0, 0.5, 1)),
            PlaceConfig(name="Küche 2", region=(0.5, 0, 0.5, 1)),
        ),
        consolidation=ConsolidationConfig(enabled=False),
        mqtt=mqtt,
    )
    kitchen = "house-kuche-2-a07707"
    observer = observe("#")
    with Device(tmp_path / "state", config=config) as device:
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
