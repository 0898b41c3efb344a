"""Metrics in Prometheus's text format, version 0.0.4."""

from collections.abc import Iterable

from edge_app.control import ClassReport, DeviceStatus, LabelTally

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(
    status: DeviceStatus, classes: Iterable[ClassReport], tally: LabelTally, *, streams: int, pictures: int
) -> str:
    """Return the metrics; `streams` are open now, `pictures` were encoded so far."""
    lines: list[str] = []

    def add(name: str, kind: str, text: str, *values: tuple[str, float]) -> None:
        lines.append(f"# HELP edge_app_{name} {text}")
        lines.append(f"# TYPE edge_app_{name} {kind}")
        lines.extend(f"edge_app_{name}{labels} {value:.15g}" for labels, value in values)

    add("info", "gauge", "The program.", (f'{{version="{_escaped(status.version)}"}}', 1))
    add("up_seconds", "gauge", "Seconds since the start.", ("", status.uptime_s))
    add("healthy", "gauge", "1 when the device is well.", ("", status.health.ok))
    add("camera_good", "gauge", "1 when the camera delivers good pictures.", ("", status.camera == "good"))
    add("camera_reopened_total", "counter", "How often the camera was opened again.", ("", status.reopened))
    add("frames_captured_total", "counter", "Frames that arrived.", ("", status.captured))
    add("frames_dropped_total", "counter", "Frames that came too fast.", ("", status.dropped))
    add("decisions_total", "counter", "Frames that were decided on.", ("", status.decided))
    add("decisions_per_second", "gauge", "Over the last decisions.", ("", status.fps or 0.0))
    if status.last_decision is not None:
        latency, sure = status.last_decision.latency_ns / 1e9, status.last_decision.confidence
        add("decision_latency_seconds", "gauge", "From capture to decision, of the last.", ("", latency))
        add("decision_confidence", "gauge", "Of the last decision.", ("", sure))
    add("slowest_decision_seconds", "gauge", "The longest from capture to decision.", ("", status.slowest_ms / 1e3))
    if status.temperature_c is not None:
        add("temperature_celsius", "gauge", "Of the processor.", ("", status.temperature_c))
    add("slowed", "gauge", "1 while the rate is lowered because of the temperature.", ("", status.slowed))
    add("rebuilding", "gauge", "1 while a correction is not in use yet.", ("", status.rebuilding))
    add("taught_total", "counter", "Examples taught since the start.", ("", status.learnt))
    named = [(f'{{class="{_escaped(one.label)}"}}', one) for one in classes]
    add("class_examples", "gauge", "Stored examples.", *((mark, one.examples) for mark, one in named))
    add("class_enough", "gauge", "1 when shown enough.", *((mark, one.accuracy.enough) for mark, one in named))
    # class="": unknown; a class may have any name but this
    told = [(f'{{place="{_escaped(tally.place)}",class="{_escaped(one.label or "")}"}}', one) for one in tally.totals()]
    add("class_decisions_total", "counter", "Decisions with the class.", *((mark, one.decisions) for mark, one in told))
    add("class_seconds_total", "counter", "Seconds that it was seen.", *((mark, one.seconds) for mark, one in told))
    add("streams", "gauge", "Pages and programs that are sent pictures or events.", ("", streams))
    add("pictures_total", "counter", "Pictures made for them.", ("", pictures))
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
