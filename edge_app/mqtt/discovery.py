"""What Home Assistant is told so that a device appears there by itself.

A message for each entity, PREFIX/COMPONENT/NODE/OBJECT/config, retained; an empty one removes the entity. See
https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.
"""

from collections.abc import Sequence
from typing import Any

from edge_app import __version__
from edge_app.labels import MAX_LENGTH
from edge_app.mqtt.payloads import EVENT_TYPES, to_json
from edge_app.mqtt.topics import Topics

ORIGIN = {"name": "edge-app", "sw_version": __version__}


def node_of(device: str) -> str:
    """Return the part of the topics that is this device's."""
    return f"edge-app-{device}"


def pattern(prefix: str, device: str) -> str:
    """Return what to subscribe to for all that this device ever announced."""
    return f"{prefix}/+/{node_of(device)}/+/config"


def announcements(
    prefix: str, topics: Topics, name: str, classes: Sequence[str], *, commands: bool, pictures: bool
) -> dict[str, bytes]:
    """Return {topic: content} of all entities that a device has now."""
    node = node_of(topics.device)
    shared = {
        "device": {
            "identifiers": [node],
            "name": name,
            "manufacturer": "edge-app",
            "model": "A camera that learns",
            "sw_version": __version__,
        },
        "origin": ORIGIN,
    }
    found = _readings(topics)
    if pictures:
        found["image", "picture"] = {
            "name": "Picture",
            "image_topic": topics.own("picture"),
            "content_type": "image/jpeg",
            "icon": "mdi:camera",
        }
    if commands:
        found |= _controls(topics, classes)
    for (component, entity), values in found.items():
        values |= shared | {"unique_id": f"{node}-{entity}"}
        if "availability" not in values:
            values["availability_topic"] = topics.own("status")
        if component != "image":  # the only one that knows no quality of service
            values["qos"] = 1
    return {
        f"{prefix}/{component}/{node}/{entity}/config": to_json(values) for (component, entity), values in found.items()
    }


def _readings(topics: Topics) -> dict[tuple[str, str], dict[str, Any]]:
    decision, health = topics.own("decision"), topics.own("health")
    seeing = {
        "availability": [
            {"topic": topics.own("status")},
            {
                "topic": health,
                "value_template": "{{ 'online' if value_json.camera in ['good', 'black'] else 'offline' }}",
            },
        ],
        "availability_mode": "all",
    }
    measure = {"state_topic": health, "state_class": "measurement", "entity_category": "diagnostic"}
    return {
        ("sensor", "class"): seeing
        | {
            "name": "Class",
            "state_topic": decision,
            "value_template": "{{ value_json.label or 'unknown' }}",
            "json_attributes_topic": decision,
            "icon": "mdi:shape",
        },
        ("sensor", "confidence"): seeing
        | {
            "name": "Confidence",
            "state_topic": decision,
            "value_template": "{{ (value_json.confidence * 100) | round(1) }}",
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "icon": "mdi:percent",
        },
        ("binary_sensor", "problem"): {
            "name": "Problem",
            "state_topic": health,
            "value_template": "{{ 'OFF' if value_json.ok else 'ON' }}",
            "json_attributes_topic": health,
            "device_class": "problem",
            "entity_category": "diagnostic",
        },
        ("sensor", "rate"): measure
        | {"name": "Rate", "value_template": "{{ value_json.fps }}", "unit_of_measurement": "frames/s"},
        ("sensor", "temperature"): measure
        | {
            "name": "Processor temperature",
            "value_template": "{{ value_json.temperature_c }}",
            "unit_of_measurement": "°C",
            "device_class": "temperature",
        },
        ("event", "event"): {"name": "Event", "state_topic": topics.own("event"), "event_types": list(EVENT_TYPES)},
    }


def _controls(topics: Topics, classes: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {
        ("button", "undo"): {
            "name": "Undo",
            "command_topic": topics.own("command/undo"),
            "payload_press": "{}",
            "icon": "mdi:undo",
        },
        ("text", "new_class"): {  # its name is all that a first class needs: the newest frame is taught at once
            "name": "New class",
            "command_topic": topics.own("command/teach"),
            "command_template": '{"label": {{ value | trim | tojson }}}',
            "min": 1,
            "max": MAX_LENGTH,
            "icon": "mdi:tag-plus",
        },
    }
    if classes:
        found["select", "choice"] = {
            "name": "Class to teach",
            "state_topic": topics.own("choice"),
            "command_topic": topics.own("command/choose"),
            "command_template": '{"label": {{ value | tojson }}}',
            "options": list(classes),
            "icon": "mdi:tag",
        }
        found["button", "teach"] = {
            "name": "Teach",
            "command_topic": topics.own("command/teach"),
            "payload_press": "{}",
            "icon": "mdi:school",
        }
    return found
