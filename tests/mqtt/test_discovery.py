"""The announcements to Home Assistant, checked against its documentation.

https://www.home-assistant.io/integrations/mqtt/#discovery-messages and the pages of the components, as of 2026.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_app.control import LabelCount
from edge_app.mqtt.discovery import MIGRATE, MOST_COUNTED, OPTIONAL, announcement, earlier, patterns, topic_of
from edge_app.mqtt.payloads import EVENT_TYPES, class_key, today
from edge_app.mqtt.topics import Topics
from support.house import House
from support.mosquitto import Mosquitto, Observer

REQUIRED = {
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "event": {"state_topic", "event_types"},
    "image": {"image_topic"},
    "button": {"command_topic"},
    "select": {"command_topic", "options"},
    "text": {"command_topic"},
}
SHARED = {"name", "platform", "unique_id", "default_entity_id", "icon", "entity_category"} | {
    "availability_topic",
    "availability",
    "availability_mode",
}
KNOWN = {
    "sensor": {"qos", "state_topic", "value_template", "json_attributes_topic", "unit_of_measurement"}
    | {"state_class", "device_class"},
    "binary_sensor": {"qos", "state_topic", "value_template", "json_attributes_topic", "device_class"},
    "event": {"qos", "state_topic", "event_types"},
    "image": {"image_topic", "content_type"},  # alone without qos
    "button": {"qos", "command_topic", "payload_press"},
    "select": {"qos", "command_topic", "command_template", "state_topic", "value_template", "options"},
    "text": {"qos", "command_topic", "command_template", "min", "max"},
}
DEVICE = {"identifiers", "name", "manufacturer", "model", "sw_version", "configuration_url"}
CONFIG = "homeassistant/device/edge-app-one/config"


def announced(device: str = "one", classes: tuple[str, ...] = ("cup", "key"), **how: Any) -> dict[str, Any]:
    wanted = {"commands": True, "pictures": True, "history": True} | how
    found: dict[str, Any] = json.loads(announcement(Topics("edge-app", device), "The kitchen", classes, **wanted))
    return found


def entities(*args: Any, **how: Any) -> dict[str, dict[str, Any]]:
    """Return the entities that the device has, by PLATFORM/NAME; without those that are to be removed."""
    components = announced(*args, **how)["components"]
    return {f"{one['platform']}/{name}": one for name, one in components.items() if len(one) > 1}


def components_of(payload: bytes) -> dict[str, Any]:
    """Return the components of an announcement; empty for an empty one."""
    found: dict[str, Any] = json.loads(payload)["components"] if payload else {}
    return found


def check(name: str, values: dict[str, Any]) -> None:
    platform = values["platform"]
    assert REQUIRED[platform] <= values.keys()
    assert values.keys() <= KNOWN[platform] | SHARED, name
    assert re.fullmatch(rf"{platform}\.the_kitchen_[a-z0-9_]+", values["default_entity_id"])
    assert ("availability" in values) != ("availability_topic" in values)
    for source in values.get("availability", []):
        assert source["topic"].startswith("edge-app/")
        assert source.keys() <= {"topic", "value_template"}
    assert isinstance(values["name"], str)
    for key, value in values.items():
        if key.endswith("_topic"):
            assert value.startswith("edge-app/")
            assert not set(value) & set("+#")


def test_every_entity_has_what_is_required_and_a_unique_id() -> None:
    found = [*entities().items(), *entities("two").items()]
    for name, values in found:
        check(name, values)
    assert {values["platform"] for _, values in found} == {*REQUIRED}
    ids = [values["unique_id"] for _, values in found]
    assert len(set(ids)) == len(ids) == 30


def test_the_device_is_named_with_its_origin_and_its_page() -> None:
    found = announced(page="https://shelf.local:8765")
    assert found.keys() == {"device", "origin", "components"}
    assert found["device"].keys() == DEVICE
    assert found["device"]["identifiers"] == ["edge-app-one"]
    assert found["device"]["configuration_url"] == "https://shelf.local:8765"
    assert found["origin"]["name"] == "edge-app"
    assert "configuration_url" not in announced()["device"]


def test_what_a_device_does_not_have_is_removed_by_its_platform_alone() -> None:
    found = announced(classes=(), commands=False, pictures=False, history=False)["components"]
    assert {(one["platform"], name) for name, one in found.items() if len(one) == 1} == {*OPTIONAL}
    optional = {f"{platform}/{name}" for platform, name in OPTIONAL}
    less = entities(classes=(), commands=False, pictures=False, history=False)
    assert optional == {name for name in entities().keys() - less.keys() if "/today_" not in name}


def test_a_class_that_is_gone_takes_its_sensor_along() -> None:
    key = class_key("mug")
    assert f"today_{class_key('cup')}" in announced()["components"]
    assert announced(gone=["mug"])["components"][f"today_{key}"] == {"platform": "sensor"}
    assert len([name for name in entities(classes=tuple(map(str, range(99)))) if "/today_" in name]) == MOST_COUNTED


def test_visits_are_counted_per_class() -> None:
    jinja2 = pytest.importorskip("jinja2", reason="jinja2, which Home Assistant renders templates with, is missing")
    counts = [LabelCount(0, None, 2, 1), LabelCount(0, "cup", 5, 3_000_000_000)]
    value = json.loads(json.dumps(today(counts)))
    assert (value["visits"], value["unknown"], value["classes"][0]["seconds"]) == (7, 2, 3.0)
    found = entities()

    def shown(name: str) -> str:
        template: str = found[f"sensor/{name}"]["value_template"]
        return str(jinja2.Environment().from_string(template).render(value_json=value))

    assert [shown(name) for name in ("visits_today", "unknown_today")] == ["7", "2"]
    assert [shown(f"today_{class_key(label)}") for label in ("cup", "key")] == ["5", "0"]


def test_the_templates_say_what_they_should() -> None:
    jinja2 = pytest.importorskip("jinja2", reason="jinja2, which Home Assistant renders templates with, is missing")
    found = entities()

    def rendered(entity: str, text: str | None = None, **values: Any) -> str:
        if text is None:
            text = found[entity]["command_template" if "value" in values else "value_template"]
        return str(jinja2.Environment().from_string(text).render(**values))

    assert rendered("sensor/class", value_json={"label": "cup"}) == "cup"
    assert rendered("sensor/class", value_json={"label": None}) == "unknown"
    assert rendered("sensor/confidence", value_json={"confidence": 0.98765}) == "98.8"
    assert rendered("binary_sensor/problem", value_json={"ok": False}) == "ON"
    for camera, available in {"good": "online", "black": "online", "reopening": "offline", "noise": "offline"}.items():
        seeing = found["sensor/class"]["availability"][1]["value_template"]
        assert rendered("sensor/class", seeing, value_json={"camera": camera}) == available
    assert json.loads(rendered("select/choice", value='a "quoted" cup')) == {"label": 'a "quoted" cup'}
    assert json.loads(rendered("text/new_class", value=' <a> "quoted" cup ')) == {"label": '<a> "quoted" cup'}


@pytest.mark.parametrize("label", ["None", "none", "UNKNOWN", "unavailable", '"none"', "nine", 'a "cup"', '"', "茶"])
def test_a_class_is_shown_and_chosen_by_its_name_even_if_it_reads_as_no_state(label: str) -> None:
    """Home Assistant: `PAYLOAD_NONE` in components/mqtt/const.py, STATE_UNKNOWN and STATE_UNAVAILABLE in const.py."""
    jinja2 = pytest.importorskip("jinja2", reason="jinja2, which Home Assistant renders templates with, is missing")
    found = entities(classes=(label,))

    def rendered(entity: str, template: str, **values: Any) -> str:
        return str(jinja2.Environment().from_string(found[entity][template]).render(**values))

    (option,) = found["select/choice"]["options"]
    assert option.lower() not in ("none", "unknown", "unavailable")
    assert rendered("sensor/class", "value_template", value_json={"label": label}) == option
    assert rendered("select/choice", "value_template", value=label) == option
    assert json.loads(rendered("select/choice", "command_template", value=option)) == {"label": label}
    assert rendered("select/choice", "value_template", value="") == "none", "no class is chosen"
    assert rendered("sensor/class", "value_template", value_json={"label": None}) == "unknown"


def test_without_classes_commands_or_pictures_what_needs_them_is_left_out() -> None:
    assert not {"select/choice", "button/teach"} & entities(classes=()).keys()
    assert {"button/undo", "text/new_class"} <= entities(classes=()).keys(), "or no first class could be begun"
    assert not {name.partition("/")[0] for name in entities(commands=False)} & {"button", "select", "text"}
    assert "image/picture" not in entities(pictures=False)


def test_every_kind_of_event_is_announced() -> None:
    assert entities()["event/event"]["event_types"] == list(EVENT_TYPES)


@pytest.mark.parametrize(
    ("topic", "old"),
    [
        ("homeassistant/sensor/edge-app-one/class/config", True),
        ("homeassistant/device/edge-app-one/config", False),
        ("homeassistant/sensor/edge-app-two/class/config", False),
        ("house/sensor/edge-app-one/class/config", False),
        ("edge-app/one/status", False),
    ],
)
def test_topics_of_earlier_versions_are_told_from_the_device_s(topic: str, old: bool) -> None:
    assert earlier(topic, "homeassistant", "one") == old


def test_all_of_a_device_is_found_by_its_patterns() -> None:
    device, single = patterns("homeassistant", "one")
    assert device == topic_of("homeassistant", "one") == CONFIG
    assert single == "homeassistant/+/edge-app-one/+/config"


def test_entities_of_an_earlier_version_are_migrated_in_the_order_that_home_assistant_asks_for(
    tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]
) -> None:
    """https://www.home-assistant.io/integrations/mqtt/#migration-from-single-component-to-device-based-discovery."""
    old = [f"homeassistant/{entity}/config" for entity in ("button/edge-app-one/undo", "sensor/edge-app-one/class")]
    state = tmp_path / "state"
    state.mkdir()
    (state / "mqtt-retained.json").write_text(json.dumps({f"127.0.0.1:{broker.port}": old}))
    seen = observe("#")
    for topic in old:
        seen.send(topic, b'{"unique_id": "x"}', retain=True)
    with House(state, broker.port, commands="teach") as house:
        for topic in old:
            seen.last(topic, lambda payload: payload == b"")
        house.wait_for_quiet()
    heard = [(one.topic, one.payload) for one in seen.heard if one.topic.startswith("homeassistant/")][len(old) :]
    device = next(number for number, (topic, payload) in enumerate(heard) if topic == CONFIG and payload)
    for topic in old:
        assert heard.index((topic, MIGRATE)) < device < heard.index((topic, b""))
    assert components_of(heard[device][1])["class"]["unique_id"] == "edge-app-one-class"
    assert left(observe, "homeassistant/#") == [CONFIG]


def test_it_follows_the_classes_and_removes_what_is_gone(
    tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]
) -> None:
    seen = observe("#")

    def options(payload: bytes) -> list[str] | None:
        found: list[str] | None = components_of(payload).get("choice", {}).get("options")
        return found

    with House(tmp_path / "state", broker.port, run=True, commands="teach") as house:
        seen.last(CONFIG, lambda payload: "name" in components_of(payload)["undo"] and options(payload) is None)
        house.device.control.teach("cup")
        seen.last(CONFIG, lambda payload: options(payload) == ["cup"])
        assert seen.last("edge-app/one/choice", bool) == b"cup"
        house.device.control.teach("key")
        seen.last(CONFIG, lambda payload: options(payload) == ["cup", "key"])
        house.device.control.forget_class("cup")
        seen.last(CONFIG, lambda payload: options(payload) == ["key"])
        assert seen.last("edge-app/one/choice", lambda payload: payload == b"key")
        house.device.control.undo()
        house.device.control.forget_class("cup")
        house.device.control.forget_class("key")
        gone = {"choice": {"platform": "select"}, "teach": {"platform": "button"}}
        seen.last(CONFIG, lambda payload: gone.items() <= components_of(payload).items())
        seen.last("edge-app/one/choice", lambda payload: payload == b"")


def test_a_first_class_is_begun_by_its_name(
    tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]
) -> None:
    """As Home Assistant does it, using only the announcement."""
    jinja2 = pytest.importorskip("jinja2", reason="jinja2, which Home Assistant renders templates with, is missing")
    seen = observe("#")
    with House(tmp_path / "state", broker.port, run=True, commands="teach") as house:
        text = components_of(seen.last(CONFIG, bool))["new_class"]
        template = jinja2.Environment().from_string(text["command_template"])
        seen.send(text["command_topic"], template.render(value="Täßchen 茶"))
        taught = seen.last(CONFIG, lambda payload: "options" in components_of(payload)["choice"])
        assert components_of(taught)["choice"]["options"] == ["Täßchen 茶"]
        assert house.device.learner.classes() == {"Täßchen 茶": 1}


def test_what_an_earlier_run_announced_and_is_gone_is_removed_and_nobody_else_s(
    tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]
) -> None:
    seen = observe("#")
    ours, theirs = "homeassistant/button/edge-app-one/teach/config", "homeassistant/button/edge-app-two/teach/config"
    for topic in (ours, theirs):
        seen.send(topic, b"{}", retain=True)
    with House(tmp_path / "state", broker.port, commands="none"):
        seen.last(ours, lambda payload: payload == b"")
    with House(tmp_path / "state", broker.port, discovery=""):
        seen.last(CONFIG, lambda payload: payload == b"")
    assert [one.payload for one in seen.heard if one.topic == theirs] == [b"{}"]
    late = observe("homeassistant/#")
    late.wait_for(lambda heard: heard)
    assert [one.topic for one in late.heard] == [theirs]


def left(observe: Callable[..., Observer], *topics: str) -> list[str]:
    """Return the retained topics that a new client receives; a message of its own marks the end of them."""
    seen = observe(*topics, "end")
    seen.send("end", b"x")
    seen.wait_for(lambda heard: heard and heard[-1].topic == "end")
    return sorted({one.topic for one in seen.heard if one.payload} - {"end"})


@pytest.mark.parametrize(
    "now",
    [{"discovery": ""}, {"discovery": "homeassistant"}, {"name": "two"}, {"base": "home"}],
    ids=["off", "prefix", "device", "base"],
)
def test_after_a_change_of_the_configuration_nothing_is_left_of_what_was_announced(
    tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer], now: dict[str, str]
) -> None:
    before = {"discovery": "house", "commands": "administer", "offers": "by-hand", "name": "one", "base": "edge-app"}
    with House(tmp_path / "state", broker.port, run=True, **before) as house:
        house.device.control.teach("cup")
        seen = observe("house/#", "edge-app/one/#", "edge-app/offers/#")
        seen.last("house/device/edge-app-one/config", lambda payload: "options" in components_of(payload)["choice"])
        seen.send("edge-app/one/command/offer", b'{"label": "cup"}')
        seen.wait_for(lambda heard: any(one.topic.startswith("edge-app/offers/one/") for one in heard))
    after = before | now
    with House(tmp_path / "state", broker.port, **after) as house:
        own = house.topics.own
        seen = observe("#")
        seen.last(own("choice"), bool)
        house.wait_for_quiet()
    found = left(observe, "#")
    prefix = f"{after['discovery']}/"
    assert bool(after["discovery"]) == any(topic.startswith(prefix) for topic in found)
    for topic in found:
        entity = bool(after["discovery"]) and topic == f"{prefix}device/edge-app-{after['name']}/config"
        mine = topic.startswith((f"{after['base']}/{after['name']}/", f"{after['base']}/offers/{after['name']}/"))
        assert entity or mine, topic
    offers = [topic for topic in found if "/offers/" in topic]
    assert len(offers) == (after["name"] == "one" and after["base"] == "edge-app"), "an offer of this name stays"


def test_what_could_not_be_removed_because_the_broker_was_away_is_removed_later(
    tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]
) -> None:
    with House(tmp_path / "state", broker.port, discovery="house"):
        observe("house/#").last("house/device/edge-app-one/config", bool)
    broker.stop()
    with House(tmp_path / "state", broker.port, discovery="") as house:
        house.wait_for_report("broker_lost")
    broker.start()
    with House(tmp_path / "state", broker.port, discovery="") as house:
        house.wait_connected()
        house.wait_for_quiet()
    assert left(observe, "house/#") == []


def test_the_choice_goes_with_its_class_and_is_published_after_the_options(
    tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]
) -> None:
    config, choice = CONFIG, "edge-app/one/choice"
    with House(tmp_path / "state", broker.port, run=True, commands="administer") as house:
        control = house.device.control
        for label in ("cup", "key"):
            control.teach(label)
        seen = observe(config, choice, "edge-app/one/response", "edge-app/one/error")
        seen.last(choice, lambda payload: payload == b"cup")
        seen.send("edge-app/one/command/choose", b'{"label": "key"}')
        seen.last(choice, lambda payload: payload == b"key")
        for change, wanted in (
            (lambda: control.rename_class("key", "lock"), b"lock"),
            (control.undo, b"key"),
            (lambda: control.merge_classes("key", "cup"), b"cup"),
            (control.undo, b"key"),
            (lambda: control.forget_class("key"), b""),
            (control.undo, b"key"),
        ):
            change()
            seen.last(choice, lambda payload, wanted=wanted: payload == wanted)
            if not wanted:
                seen.send("edge-app/one/command/teach", b"{}")
                seen.last("edge-app/one/error", lambda payload: b"none is chosen" in payload)
        assert house.device.learner.classes() == {"cup": 1, "key": 1}, "without a choice nothing was taught"
        options: list[str] = []
        for one in seen.heard:
            if one.topic == config:
                options = components_of(one.payload)["choice"].get("options", [])
            elif one.topic == choice and one.payload:
                assert one.payload.decode() in options, "Home Assistant ignores a state that is no option"
        control.rename_class("key", "lock")
        seen.last(choice, lambda payload: payload == b"lock")
    with House(tmp_path / "state", broker.port, run=True, commands="administer") as house:
        house.wait_connected()
        seen.send("edge-app/one/command/teach", b'{"request": "after a restart"}')
        seen.last("edge-app/one/response", lambda payload: b"after a restart" in payload)
        assert house.device.learner.classes() == {"cup": 1, "lock": 2}


def test_a_renamed_class_is_withdrawn_by_its_new_name(
    tmp_path: Path, broker: Mosquitto, observe: Callable[..., Observer]
) -> None:
    settings = {"commands": "administer", "offers": "by-hand", "discovery": ""}
    with House(tmp_path / "state", broker.port, run=True, **settings) as house:
        house.device.control.teach("cup")
        seen = observe("edge-app/#")
        seen.send("edge-app/one/command/offer", b'{"label": "cup"}')
        seen.last(house.topics.offer("cup"), bool)
        house.device.control.rename_class("cup", "mug")
        seen.send("edge-app/one/command/offer", b'{"label": "mug"}')
        seen.last(house.topics.offer("mug"), bool)
        assert seen.last(house.topics.offer("cup")) == b"", "replaced by the offer under the new name"
        house.device.control.rename_class("mug", "glass")
        seen.send("edge-app/one/command/withdraw", b'{"label": "glass"}')
        seen.last(house.topics.offer("mug"), lambda payload: payload == b"")
