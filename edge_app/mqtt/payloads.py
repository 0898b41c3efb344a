"""The contents of messages, as JSON: decisions, events, health, classes, visits."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from edge_app.control import ClassReport, Corrected, Decided, DeviceStatus, LabelCount, Rejected, Taught

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
NS_PER_MS, NS_PER_S = 1_000_000, 1_000_000_000


def to_json(value: Any) -> bytes:
    """Return a value as compact JSON."""
    # replace: a name from an older version may hold a half character, and must not stop the bridge
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def decision(event: Decided, number: int) -> dict[str, Any]:
    """Return a decision. `number` counts the labels published since the start, so that a gap shows a loss."""
    return {
        "label": event.label,
        "confidence": round(event.confidence, 4),
        "novelty": novelty(event),
        "margin": event.decision.margin,
        "spikes": event.spikes,
        "frame": event.sequence,
        "time_ms": event.time_ns // NS_PER_MS,
        "number": number,
    }


def novelty(event: Decided) -> float:
    """Return the novelty in octaves."""
    return round(event.novelty / 1024, 3)


def event_fields(event: Taught | Corrected | Rejected) -> tuple[str, dict[str, Any]]:
    """Return the type of an event, one of EVENT_TYPES, and its fields."""
    time_ms = event.time_ns // NS_PER_MS
    if isinstance(event, Taught):
        return "taught", {
            "label": event.label,
            "example": event.example,
            "before": event.before,
            "source": event.source,
            "frame": event.sequence,
            "time_ms": time_ms,
            "advice": [{"kind": one.kind, "text": one.text} for one in event.advice],
        }
    if isinstance(event, Corrected):
        return "undone" if event.kind == "undone" else "corrected", {
            "kind": event.kind,
            "labels": list(event.labels),
            "examples": len(event.examples),
            "source": event.source,
            "time_ms": time_ms,
        }
    return "refused", {"reason": event.reason, "source": event.source, "time_ms": time_ms}


def classes(reports: list[ClassReport]) -> dict[str, Any]:
    """Return the report on each class."""
    return {
        report.label: {
            "examples": report.examples,
            "enough": report.accuracy.enough,
            "confused_with": dict(report.confused_with),
            "advice": report.advice,
        }
        for report in reports
    }


def today(counts: Sequence[LabelCount]) -> dict[str, Any]:
    """Return the visits of a day: in all, of unknown things, and of each class."""
    return {
        "visits": sum(one.visits for one in counts),
        "unknown": sum(one.visits for one in counts if one.label is None),
        "classes": [
            {
                "label": one.label,
                "key": class_key(one.label),
                "visits": one.visits,
                "seconds": round(one.duration_ns / NS_PER_S, 1),
            }
            for one in counts
            if one.label is not None
        ],
    }


def class_key(label: str) -> str:
    """Return a class's name for identifiers and templates, which allow few characters: a hash."""
    return hashlib.sha256(label.encode("utf-8", "replace")).hexdigest()[:12]


def condition(status: DeviceStatus, events_lost: int) -> dict[str, Any]:
    """Return the part of the health that is published at every change."""
    progress = status.rebuild_progress
    return {
        "ok": status.health.ok,
        "reasons": list(status.health.reasons),
        "camera": status.camera,
        "slowed": status.slowed,
        "rebuilding": status.rebuilding,
        "rebuild": None if progress is None else {"done": progress[0], "total": progress[1]},
        "events_lost": events_lost,
        "version": status.version,
    }


def measures(status: DeviceStatus) -> dict[str, Any]:
    """Return the part of the health that always changes; it is published once a minute."""
    return {
        "fps": None if status.fps is None else round(status.fps, 2),
        "temperature_c": status.temperature_c,
        "dropped": status.dropped,
        "learnt": status.learnt,
        "uptime_s": round(status.uptime_s),
    }
