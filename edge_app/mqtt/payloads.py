"""What a device tells, as JSON: decisions, events, health, classes."""

import json
from typing import Any

from edge_app.control import ClassReport, Corrected, Decided, DeviceStatus, Rejected, Taught

EVENT_TYPES = (
    "decided",
    "taught",
    "undone",
    "corrected",
    "refused",
    "offer_received",
    "offer_accepted",
    "offer_declined",
    "offer_refused",
)
MS = 1_000_000


def to_json(value: Any) -> bytes:
    """Return a value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def decision(event: Decided, number: int) -> dict[str, Any]:
    """Return what is seen. `number` counts the labels told since the start: a gap is a loss."""
    return {
        "label": event.label,
        "confidence": round(event.confidence, 4),
        "margin": event.decision.margin,
        "spikes": event.spikes,
        "frame": event.sequence,
        "time_ms": event.time_ns // MS,
        "number": number,
    }


def event(happened: Taught | Corrected | Rejected) -> tuple[str, dict[str, Any]]:
    """Return the type and the fields of something that happened."""
    if isinstance(happened, Taught):
        return "taught", {
            "label": happened.label,
            "example": happened.example,
            "before": happened.before,
            "source": happened.source,
            "frame": happened.sequence,
            "time_ms": happened.time_ns // MS,
        }
    if isinstance(happened, Corrected):
        return "undone" if happened.kind == "undone" else "corrected", {
            "kind": happened.kind,
            "labels": list(happened.labels),
            "examples": len(happened.examples),
            "source": happened.source,
            "time_ms": happened.time_ns // MS,
        }
    return "refused", {"reason": happened.reason, "source": happened.source, "time_ms": happened.time_ns // MS}


def classes(reports: list[ClassReport]) -> dict[str, Any]:
    """Return the classes, what they hold and what to show next."""
    return {
        report.label: {
            "examples": report.examples,
            "enough": report.accuracy.enough,
            "confused_with": dict(report.confused_with),
            "advice": report.advice,
        }
        for report in reports
    }


def condition(status: DeviceStatus, events_lost: int) -> dict[str, Any]:
    """Return the part of a device's health whose every change is told."""
    return {
        "ok": status.health.ok,
        "reasons": list(status.health.reasons),
        "camera": status.camera,
        "slowed": status.slowed,
        "rebuilding": status.rebuilding,
        "events_lost": events_lost,
        "version": status.version,
    }


def measures(status: DeviceStatus) -> dict[str, Any]:
    """Return the part of a device's health that always changes; it is told once a minute."""
    return {
        "fps": None if status.fps is None else round(status.fps, 2),
        "temperature_c": status.temperature_c,
        "dropped": status.dropped,
        "learnt": status.learnt,
        "uptime_s": round(status.uptime_s),
    }
