"""A firing of a rule, and the texts that are made of it: JSON, a CloudEvent, a line."""

import base64
import json
from datetime import UTC, datetime
from string import Template
from typing import Any, NamedTuple

from edge_app.config import WebhookConfig
from edge_app.config.acting import UNKNOWN

CLOUD_EVENT = "application/cloudevents+json; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"
TYPE = "edge_app.rule_fired"
"""Type of the CloudEvent."""


class Firing(NamedTuple):
    """One time that a rule's condition was met, or that somebody tested the rule."""

    id: str
    """Unique; receivers recognise a repetition by it."""
    rule: str
    when: str
    """The moment, as in the rule."""
    label: str | None
    """The class; None: unknown."""
    place: str
    confidence: float
    """The best of the visit, 0..1; 0 for unknown."""
    lasted_s: float
    """How long it had been in view, or absent."""
    frame: int | None
    """Number of the frame that was decided on; None: there was none."""
    time_ns: int
    """Wall clock, nanoseconds since 1970."""
    test: bool = False
    """Whether somebody asked for it."""

    @property
    def time(self) -> str:
        """The time in UTC as in RFC 3339."""
        return datetime.fromtimestamp(self.time_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def fields(self) -> dict[str, Any]:
        """Return the fields of the JSON: of a file's line, of a message, and of a CloudEvent's data."""
        return {
            "id": self.id,
            "time": self.time,
            "rule": self.rule,
            "when": self.when,
            "label": self.label,
            "place": self.place,
            "confidence": round(self.confidence, 4),
            "lasted_s": round(self.lasted_s, 3),
            "frame": self.frame,
            "test": self.test,
        }


def to_json(fields: dict[str, Any]) -> bytes:
    """Return JSON on one line."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def cloud_event(firing: Firing, device: str, jpeg: bytes | None) -> bytes:
    """Return a firing as a CloudEvent 1.0 in structured mode, with a picture as base64 if there is one.

    `device` is this machine's name, for the event's source.
    """
    data = firing.fields()
    head = {
        "specversion": "1.0",
        "id": data.pop("id"),
        "source": f"/edge-app/{device}",
        "type": TYPE,
        "subject": firing.rule,
        "time": data.pop("time"),
        "datacontenttype": "application/json",
    }
    if jpeg is not None:
        data["picture"] = base64.b64encode(jpeg).decode("ascii")
    return to_json(head | {"data": data})


def line(firing: Firing, template: str) -> bytes:
    """Return a firing as a line of text."""
    text = Template(template).substitute(
        rule=firing.rule,
        label=firing.label or UNKNOWN,
        place=firing.place,
        percent=f"{firing.confidence:.0%}",
        time=firing.time,
    )
    return (f"Test: {text}" if firing.test else text).encode()


def body_of(firing: Firing, webhook: WebhookConfig, device: str, jpeg: bytes | None) -> tuple[str, bytes]:
    """Return the media type and the body for a webhook."""
    if webhook.format == "text":
        return PLAIN, line(firing, webhook.text)
    return CLOUD_EVENT, cloud_event(firing, device, jpeg)
