"""Metrics in Prometheus's text format, version 0.0.4."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from edge_app.control import ClassReport, DeviceStatus, LabelTally

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class PlaceMetrics(NamedTuple):
    """The part of the metrics that is about one place."""

    group: str
    status: DeviceStatus
    classes: Sequence[ClassReport]
    tally: LabelTally


Value = tuple[Mapping[str, str], float]
"""Labels, and the number."""


def _latency_s(status: DeviceStatus) -> float | None:
    return None if status.last_decision is None else status.last_decision.latency_ns / 1e9


def _confidence(status: DeviceStatus) -> float | None:
    return None if status.last_decision is None else status.last_decision.confidence


OF_PLACES: tuple[tuple[str, str, str, Callable[[DeviceStatus], float | None]], ...] = (
    ("healthy", "gauge", "1 when the device is well.", lambda one: one.health.ok),
    ("camera_good", "gauge", "1 when the camera delivers good pictures.", lambda one: one.camera == "good"),
    ("camera_reopened_total", "counter", "How often the camera was opened again.", lambda one: one.reopened),
    ("frames_captured_total", "counter", "Frames that arrived.", lambda one: one.captured),
    ("frames_dropped_total", "counter", "Frames that came too fast.", lambda one: one.dropped),
    ("decisions_total", "counter", "Frames that were decided on.", lambda one: one.decided),
    ("decisions_per_second", "gauge", "Over the last decisions.", lambda one: one.fps or 0.0),
    ("decision_latency_seconds", "gauge", "From capture to decision, of the last.", _latency_s),
    ("decision_confidence", "gauge", "Of the last decision.", _confidence),
    ("slowest_decision_seconds", "gauge", "The longest from capture to decision.", lambda one: one.slowest_ms / 1e3),
)
"""Metrics that each place has: name, kind, text, and the value, None: there is none yet."""


def exposition(places: Sequence[PlaceMetrics], *, streams: int, pictures: int) -> str:
    """Return the metrics; `streams` are open now, `pictures` were encoded so far.

    With several places the values of each have the label "place", and those of a group's classes "group".
    """
    several, first = len(places) > 1, places[0].status
    lines = [
        *_metric("info", "gauge", "The program.", [({"version": first.version}, 1)]),
        *_metric("up_seconds", "gauge", "Seconds since the start.", [({}, first.uptime_s)]),
    ]
    for name, kind, text, value in OF_PLACES:
        found = [({"place": one.tally.place} if several else {}, value(one.status)) for one in places]
        known = [(labels, number) for labels, number in found if number is not None]
        lines += _metric(name, kind, text, known) if known else []
    if first.temperature_c is not None:
        lines += _metric("temperature_celsius", "gauge", "Of the processor.", [({}, first.temperature_c)])
    slowed = "1 while the rate is lowered because of the temperature."
    lines += _metric("slowed", "gauge", slowed, [({}, first.slowed)])
    lines += _of_groups(list({one.group: one for one in places}.values()), several=several)
    # class="": unknown; a class may have any name but this
    told = [({"place": one.tally.place, "class": of.label or ""}, of) for one in places for of in one.tally.totals()]
    decisions = [(labels, one.decisions) for labels, one in told]
    lines += _metric("class_decisions_total", "counter", "Decisions with the class.", decisions)
    seconds = [(labels, one.seconds) for labels, one in told]
    lines += _metric("class_seconds_total", "counter", "Seconds that it was seen.", seconds)
    lines += _metric("streams", "gauge", "Pages and programs that are sent pictures or events.", [({}, streams)])
    lines += _metric("pictures_total", "counter", "Pictures made for them.", [({}, pictures)])
    return "\n".join(lines) + "\n"


def _of_groups(groups: Sequence[PlaceMetrics], *, several: bool) -> list[str]:
    """Return the metrics of what was taught; `groups` has one place of each."""
    marks: list[dict[str, str]] = [{"group": one.group} if several else {} for one in groups]
    pairs = list(zip(marks, groups, strict=True))
    rebuilding = [(mark, one.status.rebuilding) for mark, one in pairs]
    taught = [(mark, one.status.learnt) for mark, one in pairs]
    named = [({**mark, "class": report.label}, report) for mark, one in pairs for report in one.classes]
    return [
        *_metric("rebuilding", "gauge", "1 while a correction is not in use yet.", rebuilding),
        *_metric("taught_total", "counter", "Examples taught since the start.", taught),
        *_metric("class_examples", "gauge", "Stored examples.", [(mark, one.examples) for mark, one in named]),
        *_metric("class_enough", "gauge", "1 when shown enough.", [(mark, one.accuracy.enough) for mark, one in named]),
    ]


def _metric(name: str, kind: str, text: str, values: Sequence[Value]) -> list[str]:
    head = [f"# HELP edge_app_{name} {text}", f"# TYPE edge_app_{name} {kind}"]
    return head + [f"edge_app_{name}{_labels(labels)} {value:.15g}" for labels, value in values]


def _labels(labels: Mapping[str, str]) -> str:
    found = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{found}}}" if found else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
