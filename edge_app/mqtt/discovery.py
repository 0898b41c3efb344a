"""Home Assistant's MQTT discovery, which makes the device appear there by itself.

One retained message for the whole device, PREFIX/device/NODE/config, in which each entity is a component; an empty one
removes the device, and a component that has only its platform is removed. See
https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery. Earlier versions sent one message for each entity,
PREFIX/COMPONENT/NODE/OBJECT/config; `earlier` recognises their topics.

Home Assistant reads the states "none", "unknown" and "unavailable" as "there is no state". A class with such a name is
shown in quotation marks there (`shown`); the templates add and remove them.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from edge_app import __version__
from edge_app.labels import MAX_LENGTH
from edge_app.mqtt.payloads import EVENT_TYPES, class_key, to_json
from edge_app.mqtt.topics import Topics

ORIGIN = {"name": "edge-app", "sw_version": __version__}
MIGRATE = b'{"migrate_discovery":true}'
"""Sent to the topic of an entity that was announced by itself, before the device that takes it over."""
OPTIONAL = (
    *(("image", "picture"), ("button", "undo"), ("text", "new_class"), ("select", "choice"), ("button", "teach")),
    *(("sensor", "visits_today"), ("sensor", "unknown_today")),
)
"""Entities that a device may not have. Where it does not, they are announced with their platform alone."""
MOST_COUNTED = 64
"""Classes with a sensor of their own; `today` on the broker has all."""
NO_STATES = ("none", "unknown", "unavailable")
_IS_RESERVED = f"label.strip('\"') | lower in {list(NO_STATES)}"


def shown(label: str) -> str:
    """Return the name of a class as Home Assistant shows it; `_NAMED` in its templates reverses this."""
    return f'"{label}"' if label.strip('"').lower() in NO_STATES else label


def _show(value: str, *, none: str) -> str:
    """Return the template that does the same to the label in the expression `value`; `none` where there is none."""
    named = f"'\"' ~ label ~ '\"' if {_IS_RESERVED} else label"
    return f"{{% set label = {value} %}}{{{{ ({named}) if label else '{none}' }}}}"


_NAMED = (
    "{% set label = value | trim %}"
    f"{{% set label = label[1:-1] if label[:1] == '\"' and {_IS_RESERVED} else label %}}"
)
"""Sets `label` to the name of the class that Home Assistant shows as `value`."""


def node_of(device: str) -> str:
    """Return the device's part of the topics."""
    return f"edge-app-{device}"


def topic_of(prefix: str, device: str) -> str:
    """Return the topic of the device's announcement."""
    return f"{prefix}/device/{node_of(device)}/config"


def patterns(prefix: str, device: str) -> list[str]:
    """Return the subscriptions for everything that this device ever announced."""
    return [topic_of(prefix, device), f"{prefix}/+/{node_of(device)}/+/config"]


def earlier(topic: str, prefix: str, device: str) -> bool:
    """Return whether a topic is that of an entity that an earlier version announced by itself."""
    head, _, last = topic.rpartition("/")
    parts = head.removeprefix(f"{prefix}/").split("/")
    return topic.startswith(f"{prefix}/") and last == "config" and len(parts) == 3 and parts[1] == node_of(device)


def announcement(
    topics: Topics,
    name: str,
    classes: Sequence[str],
    *,
    commands: bool,
    pictures: bool,
    history: bool = False,
    gone: Iterable[str] = (),
    page: str = "",
) -> bytes:
    """Return the device with all its entities.

    `history`: it counts visits; `gone`: classes that it announced before and that there are no longer; `page`: the
    address of its web page, if others can reach it.
    """
    node = node_of(topics.device)
    found = _readings(topics)
    if pictures:
        found |= _picture(topics)
    if commands:
        found |= _controls(topics, classes)
    if history:
        found |= _counts(topics, classes)
    components: dict[str, dict[str, Any]] = {entity: {"platform": platform} for platform, entity in OPTIONAL}
    components |= {_today_of(label): {"platform": "sensor"} for label in gone}
    for (platform, entity), values in found.items():
        shared = {"platform": platform, "unique_id": f"{node}-{entity}"}
        shared["default_entity_id"] = f"{platform}.{_slug(name)}_{entity}"
        if "availability" not in values:
            shared["availability_topic"] = topics.own("status")
        if platform != "image":  # the only component without a quality of service
            values["qos"] = 1
        components[entity] = shared | values
    return to_json({"device": _device(node, name, page), "origin": ORIGIN, "components": components})


def _device(node: str, name: str, page: str) -> dict[str, Any]:
    about = {"identifiers": [node], "name": name, "manufacturer": "edge-app", "model": "A camera that learns"}
    return about | {"sw_version": __version__} | ({"configuration_url": page} if page else {})


def _slug(name: str) -> str:
    """Return a name as a part of an entity's id."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "edge_app"


def _picture(topics: Topics) -> dict[tuple[str, str], dict[str, Any]]:
    about = {"image_topic": topics.own("picture"), "content_type": "image/jpeg", "icon": "mdi:camera"}
    return {("image", "picture"): {"name": "Picture"} | about}


def _readings(topics: Topics) -> dict[tuple[str, str], dict[str, Any]]:
    decision, health = topics.own("decision"), topics.own("health")
    seeing = {
        "availability": [
            {"topic": topics.own("status")},
            {
                "topic": health,
                # without a camera the last decision would look current for ever
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
            "value_template": _show("value_json.label", none="unknown"),
            "json_attributes_topic": decision,
            "icon": "mdi:shape",
        },
        ("sensor", "confidence"): seeing
        | {
            "name": "Confidence",
            "state_topic": decision,
            "value_template": "{{ (value_json.confidence * 100) | round(1) }}",
            "unit_of_measurement": "%",
            # lets Home Assistant keep long-term statistics
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


def _counts(topics: Topics, classes: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the sensors of visits since midnight: of all, of unknown things, and of each class."""
    # Home Assistant takes a smaller value for a new beginning
    count = {"state_topic": topics.own("today"), "state_class": "total_increasing", "icon": "mdi:counter"}
    found: dict[tuple[str, str], dict[str, Any]] = {
        ("sensor", "visits_today"): count
        | {
            "name": "Visits today",
            "value_template": "{{ value_json.visits }}",
            "json_attributes_topic": topics.own("today"),
        },
        ("sensor", "unknown_today"): count | {"name": "Unknown today", "value_template": "{{ value_json.unknown }}"},
    }
    for label in classes[:MOST_COUNTED]:
        own = f"value_json.classes | selectattr('key', 'eq', '{class_key(label)}') | map(attribute='visits') | list"
        found["sensor", _today_of(label)] = count | {
            "name": f"{label} today",
            "value_template": f"{{{{ (({own}) + [0]) | first }}}}",
        }
    return found


def _today_of(label: str) -> str:
    return f"today_{class_key(label)}"


def _controls(topics: Topics, classes: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {
        ("button", "undo"): {
            "name": "Undo",
            "command_topic": topics.own("command/undo"),
            "payload_press": "{}",
            "icon": "mdi:undo",
        },
        ("text", "new_class"): {  # a name is enough to begin a first class: the newest frame is taught at once
            "name": "New class",
            "command_topic": topics.own("command/teach"),
            "command_template": _NAMED + '{"label": {{ label | tojson }}}',
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
            "value_template": _show("value", none="none"),
            "command_template": _NAMED + '{"label": {{ label | tojson }}}',
            "options": [shown(label) for label in classes],
            "icon": "mdi:tag",
        }
        found["button", "teach"] = {
            "name": "Teach",
            "command_topic": topics.own("command/teach"),
            "payload_press": "{}",
            "icon": "mdi:school",
        }
    return found
