"""Checks of the configuration's sections against one another: names that are referred to, lines that are used twice."""

from collections import Counter
from collections.abc import Mapping, Sequence

from edge_app.config.acting import OutputsConfig, RuleConfig, WebhookConfig
from edge_app.config.places import MOST_PLACES, NamedCameraConfig, PlaceConfig, topic_part
from edge_app.config.section import NamedSection
from edge_app.config.sections import MAIN, ButtonsConfig, CameraConfig, LightsConfig, MqttConfig
from edge_app.devices import watched_uri
from edge_app.devices.gpiolines import LINE_OPTIONS, parse_lines
from edge_app.devices.uri import split_options, split_scheme, without_password
from edge_app.errors import InputError
from edge_app.text import DIFFER_IN_FORM, alike

EXCLUSIVE = ("v4l2", "picamera2", "metavision")
"""Schemes of `watched_uri` whose cameras only one can read at a time."""


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
        _check_names(several)
    for rule in rules:
        _check_rule(rule, names, [one.name for one in webhooks], outputs.min_on_s, mqtt)


def check_places(
    camera: CameraConfig,
    cameras: Sequence[NamedCameraConfig],
    places: Sequence[PlaceConfig],
    buttons: ButtonsConfig,
    lights: LightsConfig,
) -> None:
    """Raise InputError, naming the section, its key and the way out, for names that do not fit together."""
    if len(places) > MOST_PLACES:
        raise InputError(f"there are {len(places)} [[places]], expected at most {MOST_PLACES}: leave some out")
    _check_names(cameras)
    _check_names(places)
    _check_topics(places)
    known = [MAIN, *(one.name for one in cameras)]
    for name in known[1:]:
        if alike(name) == MAIN:
            raise InputError(f"camera {name!r}: that is the name of the camera of [camera]; give it another name")
    _check_exclusive([(MAIN, camera.uri), *((one.name, one.uri) for one in cameras)])
    if places and camera.place != MAIN:
        raise InputError(f"camera.place = {camera.place!r}, expected none beside [[places]], which have names")
    if cameras and not places:
        raise InputError("[[cameras]] without [[places]]: expected [[places]] that name the cameras")
    # a group's folder has its name, and some disks ignore case
    _check_alike("group", sorted({place.in_use.group for place in places}))
    for place in places:
        if place.camera:
            _check_known(f"place {place.name!r}: camera", place.camera, known, '"camera" and the names of [[cameras]]')
    names = [place.name for place in places] or [camera.place]
    for button, name in buttons.places.items():
        _check_known(f"buttons.places: {button}", name, names, "the names of [[places]]")
    if lights.place:
        _check_known("lights.place", lights.place, names, "the names of [[places]]")


def _check_exclusive(cameras: Sequence[tuple[str, str]]) -> None:
    users: dict[str, str] = {}
    for name, uri in cameras:
        watched = watched_uri(uri)
        # without the options: they do not make it another camera
        user = users.setdefault(split_options(watched)[0], name)
        if user != name and split_scheme(watched)[0] in EXCLUSIVE:
            raise InputError(
                f"camera {name!r}: uri = {without_password(uri)!r} is the camera of {user!r}, and only one can read "
                f"it: let the places name the camera {user!r}"
            )


def _check_names(several: Sequence[NamedSection]) -> None:
    for name, times in Counter(one.name for one in several).items():
        if times > 1:
            raise InputError(f"{several[0].kind()} {name!r} is there {times} times: give each another name")
    if several:
        _check_alike(several[0].kind(), [one.name for one in several])


def _check_alike(kind: str, names: Sequence[str]) -> None:
    """Refuse different names that people confuse."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(alike(name), name)
        if other != name:
            raise InputError(f"{kind}s {other!r} and {name!r} {DIFFER_IN_FORM}: give one of them another name")


def _check_topics(places: Sequence[PlaceConfig]) -> None:
    users: dict[str, str] = {}
    for place in places:
        part = topic_part(place.name)
        user = users.setdefault(part, place.name)
        if user != place.name:
            raise InputError(
                f"places {user!r} and {place.name!r} would have the same MQTT topics, DEVICE-{part}: "
                "give one of them another name"
            )


def output_names(uri: str) -> tuple[str, ...]:
    """Return the names of the outputs in their URI, none for "". Raises InputError for a URI that is wrong."""
    return _names_in("outputs", uri)


def button_names(uri: str) -> tuple[str, ...]:
    """Return the names of the buttons in their URI, none for "". Raises InputError for a URI that is wrong."""
    return _names_in("buttons", uri)


def _names_in(section: str, uri: str) -> tuple[str, ...]:
    if not uri:
        return ()
    scheme, rest = split_scheme(uri)
    if scheme == "gpio":
        return tuple(parse_lines(uri, LINE_OPTIONS[section])[1])
    parts = filter(None, rest.split(","))
    # keyboard:KEY=NAME, and sim:NAME@TIMES
    return tuple(part.partition("=")[2] if scheme == "keyboard" else part.partition("@")[0] for part in parts)


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
