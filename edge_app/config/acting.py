"""The sections that say what the device does by itself: [outputs], [[rules]] and [[webhooks]]."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from typing import Any
from urllib.parse import urlsplit

from edge_app.checks import FLAG, NAME, Check, list_of, matching, number, one_of, table_of, text, whole
from edge_app.config.section import NamedSection, Section, declared
from edge_app.config.values import PATH, SECTION_NAME, device, name_text
from edge_app.devices import OUTPUTS
from edge_app.devices.uri import without_password
from edge_app.errors import InputError
from edge_app.labels import check_label

ANY, UNKNOWN = "*", "unknown"
"""In place of a class's name in a rule: every decision, and the decision "unknown"."""
MOMENTS = ("entered", "held", "left", "absent")
LASTING = ("held", "absent")
"""Moments that need a time."""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FORMATS = ("cloudevents", "text")
TEXT_FIELDS = ("rule", "label", "place", "percent", "time")
"""Fields that the text of a webhook may have."""
URL = re.compile(r"https?://[^\s/?#@]+([/?][^\s#]*)?", re.ASCII)
"""An address without a user's name."""
OWN_HEADERS = ("authorization", "connection", "content-length", "content-type", "host", "transfer-encoding")
"""Headers that the device sets itself, besides those that begin with "webhook-"."""

OUTPUT_NAMES = list_of(NAME, "a list of names of outputs in quotes")
_OPTIONAL = text(40)
_HOURS = matching(
    r"|([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", 'a span such as "22:00-06:00", or "" (the whole day)'
)
_TOPIC = matching(
    r"|[^$+#\s\x00-\x1f][^+#\x00-\x1f]{0,254}(?<!/)", 'an MQTT topic without + and #, such as "house/door", or ""'
)
_HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")
_HEADER_VALUE = matching(r"[\x21-\x7e]([\x20-\x7e]{0,498}[\x21-\x7e])?", "printable ASCII text")


def _class(value: Any) -> str:
    # the same rules as for a class that is taught
    return value if value in (ANY, UNKNOWN) else check_label(value)


def _url(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    if value == "":
        return value
    parts = urlsplit(value)
    if without_password(value) != value or parts.username is not None:
        raise ValueError("it holds a secret: write the address into a file, mode 0600, and name that in url_file")
    if not URL.fullmatch(value) or not value.isascii() or not parts.hostname:
        raise ValueError
    _ = parts.port  # raises ValueError, which says more
    return value


def _headers(value: Any) -> Mapping[str, str]:
    found = table_of(_HEADER_VALUE).convert(value)
    for name in found:
        if not _HEADER.fullmatch(name) or name.lower() in OWN_HEADERS or name.lower().startswith("webhook-"):
            reason = "set by the device" if _HEADER.fullmatch(name) else "not the name of a header"
            raise ValueError(f"{name}: {reason}")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 500:
        raise ValueError
    template = Template(value)
    unknown = set(template.get_identifiers()) - set(TEXT_FIELDS)
    if unknown or not template.is_valid():
        raise ValueError(f"${min(unknown)} is unknown" if unknown else "write $$ for a dollar sign")
    return value


@dataclass(frozen=True, slots=True)
class OutputsConfig(Section):
    """[outputs]: lines that rules switch, such as those of relays."""

    uri: str = declared(
        "",
        device(OUTPUTS, needed=False),
        'The outputs, on lines that neither buttons nor lights use: gpio:CHIP?NAME=LINE,..., sim:NAME,...; "": none. '
        "docs/rules.md describes them.",
    )
    on_at_start: tuple[str, ...] = declared(
        (), OUTPUT_NAMES, "Outputs that are on from the start until the first decision; the others are off."
    )
    on_at_stop: tuple[str, ...] = declared(
        (), OUTPUT_NAMES, "Outputs that are switched on when the program stops; the others are switched off."
    )
    min_on_s: float = declared(0.1, number(0, 3600, "s"), "An output that is on stays on at least this long.")
    min_off_s: float = declared(0.1, number(0, 3600, "s"), "An output that is off stays off at least this long.")


@dataclass(frozen=True, slots=True)
class RuleConfig(NamedSection):
    """[[rules]]: a condition on decisions, and what is done when it is met; one table for each rule."""

    name: str = declared("", SECTION_NAME, "Name of the rule; each has another.")
    label: str = declared(
        ANY,
        Check('the name of a class, "unknown", or "*" (any)', _class),
        'The class that the rule is about, "unknown", or "*": whichever comes. A rule keeps its class when that is '
        "renamed or merged.",
    )
    place: str = declared("", name_text(40), 'Only in this place; "": in any. [camera] place names a device\'s place.')
    confidence: float = declared(0.0, number(0, 1), "Only once the confidence has been at least this.")
    when: str = declared(
        "entered",
        one_of(*MOMENTS),
        'The moment: "entered" (it comes into view), "held" (it has been in view for for_s), "left" (it is gone), '
        '"absent" (it has not been seen for for_s).',
    )
    for_s: float = declared(0.0, number(0.1, 86_400, "s", zero="at once"), 'The time of "held" and "absent".')
    hours: str = declared("", _HOURS, 'Only within these hours of the day, such as "22:00-06:00"; "": always.')
    weekdays: tuple[str, ...] = declared(
        (),
        list_of(one_of(*DAYS), f"a list of days, each one of {', '.join(DAYS)}", most=7),
        'Only on these days, such as ["sat", "sun"]; hours past midnight belong to the day on which they began.',
    )
    output: str = declared("", _OPTIONAL, 'The output that is switched on; "": none.')
    pulse_ms: int = declared(
        0, whole(0, 3_600_000, "ms"), "The output is on for this long; 0: while the condition holds."
    )
    webhook: str = declared("", name_text(40), 'Name of the webhook that is called; "": none.')
    file: str = declared("", PATH, 'File to which a line of JSON is appended; "": none.')
    topic: str = declared("", _TOPIC, 'MQTT topic to which the same JSON is published; "": none. Needs [mqtt].')
    pause_s: float = declared(0.0, number(0, 86_400, "s"), "Time between two firings at least.")
    per_hour: int = declared(60, whole(1, 3600), "Firings within an hour at most.")
    enabled: bool = declared(True, FLAG, "false: the rule never fires. What the page or the API sets counts instead.")

    @property
    def span(self) -> tuple[int, int] | None:
        """Minutes of the day at which `hours` begin and end; None: the whole day."""
        if not self.hours:
            return None
        begin, end = (int(time[:2]) * 60 + int(time[3:]) for time in self.hours.split("-"))
        return begin, end

    def _check_together(self) -> None:
        lasting = self.when in LASTING
        faults = (
            ("for_s", lasting and not self.for_s, f'above 0 with when = "{self.when}"'),
            ("for_s", self.for_s and not lasting, f'0 with when = "{self.when}"'),
            ("label", self.when == "absent" and self.label == ANY, 'a class or "unknown" with when = "absent"'),
            ("confidence", self.confidence and self.label == UNKNOWN, '0 with label = "unknown", which has none'),
            ("confidence", self.confidence and self.when == "absent", '0 with when = "absent"'),
            ("pulse_ms", self.pulse_ms and not self.output, "0 without output"),
            ("pulse_ms", self.output and self.when == "left" and not self.pulse_ms, 'above 0 with when = "left"'),
            ("hours", self.span and self.span[0] == self.span[1], "an end other than the begin"),
        )
        for key, wrong, expected in faults:
            if wrong:
                raise InputError(f"{self._named(key)} = {getattr(self, key)!r}, expected {expected}")
        if not (self.output or self.webhook or self.file or self.topic):
            raise InputError(f"{self._named('output')} and webhook, file, topic are missing: the rule does nothing")


@dataclass(frozen=True, slots=True)
class WebhookConfig(NamedSection):
    """[[webhooks]]: addresses that rules send to; one table for each."""

    name: str = declared("", SECTION_NAME, "Name of the webhook, by which rules refer to it.")
    url: str = declared(
        "",
        Check("an address such as https://house.example/camera", _url),
        "Address that an HTTP POST is sent to.",
    )
    url_file: str = declared(
        "", PATH, "File with the address, mode 0600, in place of url: for an address that is a secret itself."
    )
    format: str = declared(
        "cloudevents",
        one_of(*FORMATS),
        'Body: "cloudevents" (JSON, CloudEvents 1.0 in structured mode) or "text" (one line, for ntfy and the like).',
    )
    text: str = declared(
        "$label",
        Check(f"text of 1 to 500 characters with fields among {', '.join(f'${name}' for name in TEXT_FIELDS)}", _text),
        'The line of format "text", with the fields $rule, $label, $place, $percent and $time.',
    )
    headers: Mapping[str, str] = declared(
        {}, Check('a table HEADER = "VALUE"', _headers), 'Further headers: { Title = "The door", Priority = "high" }.'
    )
    picture: bool = declared(False, FLAG, "Send the picture too, as JPEG in base64.")
    picture_side: int = declared(640, one_of(320, 640, 1280, unit="pixels"), "Longer side of that picture.")
    token_file: str = declared("", PATH, "File with a token, mode 0600, sent as Authorization: Bearer TOKEN.")
    secret_file: str = declared(
        "", PATH, "File with a key of 16 characters or more, mode 0600, that each message is signed with."
    )
    ca_file: str = declared(
        "", PATH, "Certificate authority that the receiver's certificate is checked against; \"\": the system's."
    )
    allow_private: bool = declared(
        False, FLAG, "Allow addresses of this machine and of the local network. The name's address is checked."
    )
    redirects: int = declared(0, whole(0, 5), "Redirects (307, 308) that are followed.")
    timeout_s: float = declared(10.0, number(0.5, 120, "s"), "Time for one attempt.")
    retry_hours: float = declared(24.0, number(0, 168, "hours"), "A message is given up this long after its first try.")
    queue: int = declared(1000, whole(1, 10_000), "Messages kept on disk; beyond that the oldest are dropped.")

    def _check_together(self) -> None:
        if bool(self.url) == bool(self.url_file):
            raise InputError(f"{self._named('url')}, url_file: expected exactly one of them")
        if self.picture and self.format == "text":
            raise InputError(f'{self._named("picture")} = True, expected False with format = "text"')
