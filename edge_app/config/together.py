"""Checks of the configuration's sections against one another: names that are referred to, lines that are used twice."""

from collections import Counter
from collections.abc import Mapping, Sequence

from edge_app.config.acting import OutputsConfig, RuleConfig, WebhookConfig
from edge_app.config.sections import MqttConfig
from edge_app.devices.gpiolines import LINE_OPTIONS, parse_lines
from edge_app.devices.uri import split_scheme
from edge_app.errors import InputError


def check_together(
    uris: Mapping[str, str],
    outputs: OutputsConfig,
    mqtt: MqttConfig,
    rules: Sequence[RuleConfig],
    webhooks: Sequence[WebhookConfig],
) -> None:
    """Raise InputError, naming the rule or section, its key and the way out.

    `uris` has those of buttons, lights and outputs.
    """
    if outputs.uri:
        _check_lines(uris)
    names = output_names(outputs.uri)
    for key in ("on_at_start", "on_at_stop"):
        for name in getattr(outputs, key):
            _check_known(f"outputs.{key}", name, names, "the names in outputs.uri")
    for several in (rules, webhooks):
        for name, times in Counter(one.name for one in several).items():
            if times > 1:
                raise InputError(f"{several[0].kind()} {name!r} is there {times} times: give each another name")
    for rule in rules:
        _check_rule(rule, names, [one.name for one in webhooks], outputs.min_on_s, mqtt)


def output_names(uri: str) -> tuple[str, ...]:
    """Return the names of the outputs in their URI, none for "". Raises InputError for a URI that is wrong."""
    if not uri:
        return ()
    scheme, rest = split_scheme(uri)
    if scheme == "gpio":
        return tuple(parse_lines(uri, LINE_OPTIONS["outputs"])[1])
    return tuple(name for name in rest.split(",") if name)


def _check_rule(
    rule: RuleConfig, outputs: Sequence[str], webhooks: Sequence[str], min_on_s: float, mqtt: MqttConfig
) -> None:
    where = f"rule {rule.name!r}"
    if rule.output:
        _check_known(f"{where}: output", rule.output, outputs, "the names in outputs.uri")
    if rule.webhook:
        _check_known(f"{where}: webhook", rule.webhook, webhooks, "the names of [[webhooks]]")
    if rule.pulse_ms and rule.pulse_ms < min_on_s * 1000:
        raise InputError(
            f"{where}: pulse_ms = {rule.pulse_ms}, expected {min_on_s * 1000:g} or more: an output stays on for "
            f"outputs.min_on_s = {min_on_s:g}"
        )
    if rule.topic and not mqtt.enabled:
        raise InputError(f"{where}: topic = {rule.topic!r} needs a broker: set enabled and host in [mqtt]")
    if rule.topic.startswith(f"{mqtt.base}/"):
        raise InputError(f"{where}: topic = {rule.topic!r}, expected one outside of {mqtt.base}/, the device's own")


def _check_known(key: str, name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        raise InputError(f"{key} = {name!r}, expected one of {what}: {', '.join(known) or 'there are none'}")


def _check_lines(uris: Mapping[str, str]) -> None:
    """Refuse a line that two sections use; what only the chip knows (a line's other name) it refuses when opened."""
    users: dict[tuple[str, str], str] = {}
    for section, uri in uris.items():
        if not uri or split_scheme(uri)[0] != "gpio":
            continue
        chip, lines, options = parse_lines(uri, LINE_OPTIONS[section])
        for role, line in (*lines.items(), *((f"code {line}", line) for line in options.get("code", ()))):
            user = users.setdefault((chip, line), f"{section} ({role})")
            if user != f"{section} ({role})":
                raise InputError(f"{section}.uri: {role} = {line} of {chip} is used by {user}: use another line")
