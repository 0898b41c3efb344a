"""A rule as a sentence, for check-config and the page."""

from edge_app.config import RuleConfig
from edge_app.config.acting import ANY, UNKNOWN

_DAYS = {
    "mon": "Mondays",
    "tue": "Tuesdays",
    "wed": "Wednesdays",
    "thu": "Thursdays",
    "fri": "Fridays",
    "sat": "Saturdays",
    "sun": "Sundays",
}


def sentence(rule: RuleConfig, label: str | None = None) -> str:
    """Return what a rule does; `label` is the present name of its class, where that was renamed."""
    label = rule.label if label is None else label
    name = {ANY: "any class or something unknown", UNKNOWN: "something unknown"}.get(label, f'"{label}"')
    happens = {
        "entered": f"{name} comes into view",
        "held": f"{name} has been in view for {rule.for_s:g} s",
        "left": f"{name} has left",
        "absent": f"{name} has not been seen for {rule.for_s:g} s",
    }[rule.when]
    place = f' in "{rule.place}"' if rule.place else ""
    confidence = f" with a confidence of {rule.confidence:.0%} or more" if rule.confidence else ""
    return f"When {happens}{place}{confidence}{_time(rule)}: {_actions(rule)}{_limits(rule)}."


def _time(rule: RuleConfig) -> str:
    hours = " to ".join(rule.hours.split("-"))
    parts = [f"from {hours}"] if hours else []
    if rule.weekdays:
        parts.append(f"on {_joined([_DAYS[day] for day in rule.weekdays])}")
    return f", {' '.join(parts)}" if parts else ""


def _actions(rule: RuleConfig) -> str:
    parts = []
    if rule.output and rule.pulse_ms:
        parts.append(f'switch "{rule.output}" on for {rule.pulse_ms} ms')
    elif rule.output:
        parts.append(f'switch "{rule.output}" on for as long as this holds')
    if rule.webhook:
        parts.append(f'call the webhook "{rule.webhook}"')
    if rule.file:
        parts.append(f"append a line to {rule.file}")
    if rule.topic:
        parts.append(f"publish on {rule.topic}")
    return _joined(parts)


def _limits(rule: RuleConfig) -> str:
    pause = f"once in {rule.pause_s:g} s and " if rule.pause_s else ""
    return f"; at most {pause}{rule.per_hour} times an hour"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
