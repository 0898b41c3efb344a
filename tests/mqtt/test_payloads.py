"""The JSON of published messages."""

import json

from edge_app.control import Advice, ClassReport, Condition, Corrected, DeviceStatus, Rejected, Taught
from edge_app.mqtt import payloads
from edge_app.pipeline.accuracy import ClassAccuracy
from edge_app.storage.records import Action, ExampleChange
from support.house import decided

MS = 1_000_000


def test_json_is_compact_and_keeps_every_script() -> None:
    assert payloads.to_json({"label": "Täßchen 茶"}) == '{"label":"Täßchen 茶"}'.encode()
    assert payloads.to_json("half a character: \ud83d") == b'"half a character: ?"'


def test_a_decision_of_nothing_known_says_null() -> None:
    told = payloads.decision(decided(None, 7), 3)
    assert (told["label"], told["spikes"], told["frame"], told["number"]) == (None, {}, 7, 3)
    assert json.loads(payloads.to_json(told)) == told


def test_events_have_a_type_and_say_what_happened() -> None:
    advice = (Advice("dark", "nearly black"),)
    told = {"label": "cup", "example": 4, "before": "key", "source": "button cup", "frame": 17, "time_ms": 5}
    assert payloads.event_fields(Taught(4, "cup", "key", 0.5, "button cup", 17, 5 * MS, advice)) == (
        "taught",
        told | {"advice": [{"kind": "dark", "text": "nearly black"}]},
    )
    action = Action(9, 1, "merge", (ExampleChange(1, "cup", "mug"), ExampleChange(2, "cup", "mug")))
    kind, fields = payloads.event_fields(Corrected("merged", action, "page", 5 * MS))
    assert (kind, fields["kind"], fields["labels"], fields["examples"]) == ("corrected", "merged", ["cup", "mug"], 2)
    assert payloads.event_fields(Corrected("undone", action, "page", 5 * MS))[0] == "undone"
    assert payloads.event_fields(Rejected("full", "mqtt", 5 * MS)) == (
        "refused",
        {"reason": "full", "source": "mqtt", "time_ms": 5},
    )
    assert {"decided", "taught", "undone", "corrected", "refused"} <= set(payloads.EVENT_TYPES)


def test_classes_say_what_to_show_next() -> None:
    report = ClassReport("cup", 5, ClassAccuracy(4, 5, 4), (("key", 1),), "show it from the side")
    assert payloads.classes([report]) == {
        "cup": {
            "examples": 5,
            "enough": report.accuracy.enough,
            "confused_with": {"key": 1},
            "advice": "show it from the side",
        }
    }


def test_health_is_split_into_what_changes_rarely_and_always() -> None:
    status = DeviceStatus(
        version="1",
        uptime_s=3.6,
        camera="black",
        reopened=0,
        captured=9,
        decided=8,
        dropped=1,
        fps=12.3456,
        slowest_ms=9.0,
        temperature_c=None,
        slowed=True,
        classes=("cup",),
        learnt=2,
        rebuilding=False,
        last_decision=None,
        health=Condition(False, ("it is dark",)),
    )
    assert payloads.condition(status, 7) == {
        "ok": False,
        "reasons": ["it is dark"],
        "camera": "black",
        "slowed": True,
        "rebuilding": False,
        "rebuild": None,
        "events_lost": 7,
        "version": "1",
    }
    rebuilding = payloads.condition(status._replace(rebuilding=True, rebuild_progress=(256, 600)), 7)
    assert (rebuilding["rebuilding"], rebuilding["rebuild"]) == (True, {"done": 256, "total": 600})
    assert payloads.measures(status) == {
        "fps": 12.35,
        "temperature_c": None,
        "dropped": 1,
        "learnt": 2,
        "uptime_s": 4,
    }
