"""The texts that are made of a firing."""

import base64
import json

from edge_app.config import WebhookConfig
from edge_app.rules.firing import CLOUD_EVENT, PLAIN, Firing, body_of, cloud_event, line

FIRING = Firing("id1", "door", "entered", "Käthe", "hall", 0.87654, 1.23456, 42, 1_772_452_800_123_000_000)
HUB = WebhookConfig(name="hub", url="https://hub.example/")


def test_a_cloud_event_has_what_the_specification_asks_for() -> None:
    event = json.loads(cloud_event(FIRING, "shelf", b"jpeg"))
    assert event == {
        "specversion": "1.0",
        "id": "id1",
        "source": "/edge-app/shelf",
        "type": "edge_app.rule_fired",
        "subject": "door",
        "time": "2026-03-02T12:00:00.123Z",
        "datacontenttype": "application/json",
        "data": {
            "rule": "door",
            "when": "entered",
            "label": "Käthe",
            "place": "hall",
            "confidence": 0.8765,
            "lasted_s": 1.235,
            "frame": 42,
            "test": False,
            "picture": base64.b64encode(b"jpeg").decode(),
        },
    }


def test_without_a_picture_there_is_no_field_for_it() -> None:
    assert "picture" not in json.loads(cloud_event(FIRING._replace(label=None), "shelf", None))["data"]


def test_a_line_has_its_fields() -> None:
    text = "$label at $place, $percent sure ($rule, $time) for $$1"
    assert line(FIRING, text).decode() == "Käthe at hall, 88% sure (door, 2026-03-02T12:00:00.123Z) for $1"
    assert line(FIRING._replace(label=None, test=True), "$label") == b"Test: unknown"


def test_the_body_is_as_the_webhook_says() -> None:
    assert body_of(FIRING, HUB, "shelf", None)[0] == CLOUD_EVENT
    plain = WebhookConfig(name="ntfy", url="https://ntfy.example/x", format="text", text="$label!")
    assert body_of(FIRING, plain, "shelf", b"jpeg") == (PLAIN, "Käthe!".encode())
