"""The configuration file: TOML to checked, immutable values. Reading it opens no device and writes nothing.

Every key has a default; `systemd/config.toml` documents them all. An unknown key and a value out of its range are
refused by name, with what was expected.
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from edge_app.devices import BUTTONS, CAMERAS, INDICATORS
from edge_app.devices.uri import split_scheme, without_password
from edge_app.errors import InputError
from edge_app.labels import check_label
from edge_app.roles import ROLES
from edge_app.storage.limits import POLICIES

Check = Callable[[Any], Any]
"""Returns the value as it is kept; raises ValueError with what was expected."""

RECORDINGS = ("dir", "file")
"""Camera schemes whose pictures may stand still for good reason."""
LEVELS = ("debug", "info", "warning", "error")
MQTT_ROLES = ("none", "teach", "administer")
MQTT_OFFERS = ("off", "by-hand", "signed")


def _key(default: Any, check: Check) -> Any:
    if isinstance(default, Mapping):
        return field(default_factory=lambda: MappingProxyType(dict(default)), metadata={"check": check})
    return field(default=default, metadata={"check": check})


def _number(low: float, high: float, *, zero: str = "") -> Check:
    """Accept a number in a range; with `zero`, which says what it means, 0 too."""

    def check(value: Any) -> float:
        right = isinstance(value, int | float) and not isinstance(value, bool)
        if not right or not (low <= value <= high or (zero and value == 0)):
            raise ValueError(f"a number from {low:g} to {high:g}" + (f", or 0 ({zero})" if zero else ""))
        return float(value)

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def _one_of(*choices: Any) -> Check:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or value not in choices:
            raise ValueError(f"one of {', '.join(repr(choice) for choice in choices)}")
        return value

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text in quotes")
    return value


def _matching(pattern: str, wanted: str) -> Check:
    def check(value: Any) -> str:
        if not re.fullmatch(pattern, _text(value)):
            raise ValueError(wanted)
        return str(value)

    return check


def _absolute(value: Any) -> str:
    path = _text(value)
    if path and not Path(path).expanduser().is_absolute():
        raise ValueError("an absolute path in quotes")
    return path


def _device(registry: Mapping[str, str], *, needed: bool = True) -> Check:
    def check(value: Any) -> str:
        if value == "" and not needed:
            return ""
        try:
            scheme, _ = split_scheme(_text(value))
        except InputError as error:
            raise ValueError("a device URI, SCHEME:DETAILS") from error
        if scheme not in registry:
            raise ValueError(f"a URI that begins with one of {', '.join(f'{name}:' for name in registry)}")
        return str(value)

    return check


def _region(value: Any) -> tuple[float, float, float, float]:
    wanted = "four fractions [x, y, width, height] with width, height > 0, x + width <= 1, y + height <= 1"
    if not isinstance(value, list | tuple) or len(value) != 4:
        raise ValueError(wanted)
    if not all(isinstance(part, int | float) and not isinstance(part, bool) for part in value):
        raise ValueError(wanted)
    x, y, width, height = (float(part) for part in value)
    if not (x >= 0 and y >= 0 and width > 0 and height > 0 and x + width <= 1 + 1e-9 and y + height <= 1 + 1e-9):
        raise ValueError(wanted)
    return x, y, width, height


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        raise ValueError("a list of texts in quotes")
    return tuple(value)


def _address(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(_text(value)))
    except ValueError as error:
        raise ValueError(
            "an IP address of this machine in quotes: 127.0.0.1 for this machine only, 0.0.0.0 or :: for all"
        ) from error


def _networks(value: Any) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(name)) for name in _names(value))
    except ValueError as error:
        raise ValueError('a list of IP addresses or networks, such as ["127.0.0.1", "10.0.0.0/24"]') from error


def _classes(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError('a table BUTTON = "CLASS"')
    try:
        return MappingProxyType({button: check_label(label) for button, label in value.items()})
    except InputError as error:
        raise ValueError(f'a table BUTTON = "CLASS" ({error})') from error


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """[camera]: where frames come from, what part of them is looked at, and when it counts as broken."""

    uri: str = _key("sim:", _device(CAMERAS))
    region: tuple[float, float, float, float] = _key((0.0, 0.0, 1.0, 1.0), _region)
    rotation: int = _key(0, _one_of(0, 90, 180, 270))
    mirror: bool = _key(False, _flag)
    stall_after_s: float = _key(5.0, _number(0.1, 600))
    stuck_after_s: float = _key(10.0, _number(1, 3600, zero="never"))
    give_up_after_s: float = _key(120.0, _number(1, 86400))

    @property
    def recording(self) -> bool:
        """Whether the camera plays pictures or a video."""
        return split_scheme(self.uri)[0] in RECORDINGS


@dataclass(frozen=True, slots=True)
class ButtonsConfig:
    """[buttons]: what a person presses, and what it means."""

    uri: str = _key("sim:", _device(BUTTONS))
    classes: Mapping[str, str] = _key({}, _classes)
    undo: str = _key("undo", _text)
    hold_to_forget_s: float = _key(0.0, _number(0.5, 60, zero="off"))
    chord_s: float = _key(0.0, _number(0.02, 1, zero="off"))


@dataclass(frozen=True, slots=True)
class LightsConfig:
    """[lights]: what shows the decision, and acknowledges a press."""

    uri: str = _key("", _device(INDICATORS, needed=False))


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """[encoder]: the model, and the processor cores that it may use."""

    model: str = _key("", _text)
    threads: int = _key(1, _whole(1, 64))


@dataclass(frozen=True, slots=True)
class StateConfig:
    """[state]: where what was taught is kept, and how much of it."""

    folder: str = _key("", _absolute)
    examples_per_class: int = _key(1000, _whole(1, 1_000_000))
    disk_mb: int = _key(1024, _whole(1, 1_000_000))
    when_full: str = _key("refuse", _one_of(*POLICIES))


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    """[decision]: how often, and over how many frames."""

    max_fps: float = _key(0.0, _number(0.01, 1000, zero="no cap"))
    vote: int = _key(1, _whole(1, 100))


@dataclass(frozen=True, slots=True)
class IdleConfig:
    """[idle]: when a picture counts as unchanged, and need not be encoded again."""

    threshold: float = _key(0.0, _number(0.1, 255, zero="off"))
    watch_fps: float = _key(5.0, _number(1, 1000, zero="every frame"))


@dataclass(frozen=True, slots=True)
class ConsolidationConfig:
    """[consolidation]: dreams and rehearsals of what was taught, while nothing happens."""

    enabled: bool = _key(True, _flag)
    dreams: int = _key(1, _whole(0, 16))
    per_class: int = _key(60, _whole(0, 1_000_000))
    rehearsals: int = _key(4, _whole(0, 16))
    idle_s: float = _key(30.0, _number(1, 86400))
    share: float = _key(0.1, _number(0.01, 1))


@dataclass(frozen=True, slots=True)
class TemperatureConfig:
    """[temperature]: when the processor is too warm, and what then."""

    sensor: str = _key("/sys/class/thermal/thermal_zone0/temp", _absolute)
    slow_at_c: float = _key(75.0, _number(20, 120))
    resume_at_c: float = _key(70.0, _number(20, 120))
    slow_fps: float = _key(2.0, _number(0.01, 1000))


_TOPIC = r"[^/$+#\s\x00-\x1f][^+#\s\x00-\x1f]{0,98}(?<!/)"
"""Levels of an MQTT topic that others may follow."""


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """[mqtt]: decisions and events to a message broker, and commands from it."""

    enabled: bool = _key(False, _flag)
    host: str = _key("localhost", _matching(r"[^\s/]{1,253}", "a host name or an address"))
    port: int = _key(0, _whole(0, 65535))
    device: str = _key("", _matching(r"[A-Za-z0-9_-]{0,64}", "at most 64 letters, digits, - and _"))
    name: str = _key("", _text)
    base: str = _key(
        "edge-app", _matching(_TOPIC, "the first levels of a topic, without +, #, white space or / at an end")
    )
    user: str = _key("", _text)
    password_file: str = _key("", _absolute)
    tls: bool = _key(False, _flag)
    ca_file: str = _key("", _absolute)
    certificate_file: str = _key("", _absolute)
    key_file: str = _key("", _absolute)
    discovery: str = _key("homeassistant", _matching(f"|{_TOPIC}", 'the prefix of a topic, or "" (off)'))
    commands: str = _key("none", _one_of(*MQTT_ROLES))
    hold_s: float = _key(0.5, _number(0.05, 60, zero="every change"))
    thumbnails: bool = _key(False, _flag)
    thumbnail_side: int = _key(320, _one_of(320, 640, 1280))
    buffer: int = _key(1000, _whole(16, 100_000))
    offers: str = _key("off", _one_of(*MQTT_OFFERS))
    offers_key_file: str = _key("", _absolute)
    offer_mb: int = _key(4, _whole(1, 16))

    @property
    def port_in_use(self) -> int:
        """The port, that of the protocol where none was named."""
        return self.port or (8883 if self.tls else 1883)


@dataclass(frozen=True, slots=True)
class WebConfig:
    """[web]: the page and the API; who may reach them, and who may do what."""

    enabled: bool = _key(False, _flag)
    host: str = _key("127.0.0.1", _address)
    port: int = _key(8765, _whole(0, 65535))
    names: tuple[str, ...] = _key((), _names)
    loopback_role: str = _key("administer", _one_of("none", *ROLES))
    tokens: str = _key("", _absolute)
    certificate: str = _key("", _absolute)
    key: str = _key("", _absolute)
    plain_http: bool = _key(False, _flag)
    proxies: tuple[str, ...] = _key((), _networks)
    max_clients: int = _key(16, _whole(1, 1000))
    picture_fps: float = _key(10.0, _number(0.1, 60))
    max_upload_mb: int = _key(64, _whole(1, 4096))
    session_days: int = _key(30, _whole(1, 3650))

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback


@dataclass(frozen=True, slots=True)
class LogConfig:
    """[log]: what is worth a line."""

    level: str = _key("info", _one_of(*LEVELS))


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a person may set; immutable."""

    camera: CameraConfig = field(default_factory=CameraConfig)
    buttons: ButtonsConfig = field(default_factory=ButtonsConfig)
    lights: LightsConfig = field(default_factory=LightsConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    state: StateConfig = field(default_factory=StateConfig)
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    idle: IdleConfig = field(default_factory=IdleConfig)
    consolidation: ConsolidationConfig = field(default_factory=ConsolidationConfig)
    temperature: TemperatureConfig = field(default_factory=TemperatureConfig)
    mqtt: MqttConfig = field(default_factory=MqttConfig)
    web: WebConfig = field(default_factory=WebConfig)
    log: LogConfig = field(default_factory=LogConfig)

    def overridden(
        self,
        *,
        camera: str | None = None,
        buttons: str | None = None,
        state: Path | None = None,
        web: bool | None = None,
    ) -> Self:
        """Return the configuration with what the command line says instead; None leaves a value as it is.

        Raises InputError.
        """
        changed = self
        if camera is not None:
            changed = replace(changed, camera=_changed(changed.camera, "--camera", "uri", camera))
        if buttons is not None:
            changed = replace(changed, buttons=_changed(changed.buttons, "--buttons", "uri", buttons))
        if state is not None:
            folder = str(state.expanduser().absolute())
            changed = replace(changed, state=_changed(changed.state, "--state", "folder", folder))
        if web is not None:
            changed = replace(changed, web=_changed(changed.web, "--web", "enabled", web))
            _check_web("", changed.web)
        return changed

    def to_table(self) -> dict[str, dict[str, Any]]:
        """Return all values as a TOML table of sections."""
        return {part.name: _plain(getattr(self, part.name)) for part in fields(self)}

    def without_passwords(self) -> dict[str, dict[str, Any]]:
        """Return the same for those outside, who are not to have the password in a camera's address."""
        return {
            section: {key: without_password(value) if isinstance(value, str) else value for key, value in table.items()}
            for section, table in self.to_table().items()
        }

    def needs_restart(self, other: "Config") -> list[str]:
        """Return the sections that differ in `other` and that a running program cannot take over."""
        fixed = ("camera", "buttons", "lights", "encoder", "state", "mqtt", "web", "consolidation")
        return [name for name in fixed if getattr(self, name) != getattr(other, name)]


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Return the configuration in a TOML file; None: the defaults.

    A state folder that the file does not name is the first of $STATE_DIRECTORY (which systemd sets) and
    $EDGE_APP_STATE. Raises InputError, naming the file, the key, its value and what was expected.
    """
    table = {} if path is None else _read(path)
    where = "" if path is None else f"{path}: "
    sections = {entry.name: _type_of(entry.name) for entry in fields(Config)}
    for name in table:
        if name not in sections:
            raise InputError(f"{where}unknown section [{name}]{_meant(name, sections)}")
    read = {name: _section(where, name, kind, table.get(name, {})) for name, kind in sections.items()}
    config = Config(**read)
    heat = config.temperature
    if heat.resume_at_c >= heat.slow_at_c:
        raise InputError(
            f"{where}temperature.resume_at_c = {heat.resume_at_c:g}, expected less than slow_at_c = {heat.slow_at_c:g}"
        )
    _check_mqtt(where, config.mqtt)
    _check_web(where, config.web)
    if not config.state.folder:
        given = environ.get("STATE_DIRECTORY", "").split(":")[0] or environ.get("EDGE_APP_STATE", "")
        if given:
            config = config.overridden(state=Path(given))
    return config


def _check_mqtt(where: str, mqtt: MqttConfig) -> None:
    """Raise InputError for keys that do nothing without another one."""
    needs = (
        ("password_file", "user", mqtt.password_file and not mqtt.user),
        ("ca_file", "tls", mqtt.ca_file and not mqtt.tls),
        ("certificate_file", "tls", mqtt.certificate_file and not mqtt.tls),
        ("certificate_file", "key_file", mqtt.certificate_file and not mqtt.key_file),
        ("key_file", "certificate_file", mqtt.key_file and not mqtt.certificate_file),
        ('offers = "signed"', "offers_key_file", mqtt.offers == "signed" and not mqtt.offers_key_file),
    )
    for key, other, missing in needs:
        if missing:
            raise InputError(f"{where}mqtt.{key} is set and {other} is not: set both, or neither")


def _check_web(where: str, web: WebConfig) -> None:
    if bool(web.certificate) != bool(web.key):
        missing, given = ("key", "certificate") if web.certificate else ("certificate", "key")
        raise InputError(f"{where}web.{missing} is missing: TLS needs web.{given} and web.{missing}")
    if web.enabled and not web.loopback and not web.certificate and not web.plain_http:
        raise InputError(
            f"{where}web.host = {web.host!r} lets other machines in, and a token would cross the network for all to "
            "read: give web.certificate and web.key (docs/api.md says how to make them), put a proxy with TLS before "
            "127.0.0.1, or say plain_http = true where the network is yours alone"
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise InputError(f"{path}: is not valid TOML: {error}") from error


def _plain(section: Any) -> dict[str, Any]:
    values = {entry.name: getattr(section, entry.name) for entry in fields(section)}
    return {
        key: dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
    }


def _type_of(section: str) -> type:
    return type(getattr(Config(), section))


def _section(where: str, name: str, kind: type, table: Any) -> Any:
    if not isinstance(table, Mapping):
        raise InputError(f"{where}{name} = {table!r}, expected a section [{name}]")
    checks = {entry.name: entry.metadata["check"] for entry in fields(kind)}
    values = {}
    for key, value in table.items():
        if key not in checks:
            raise InputError(f"{where}unknown key {name}.{key}{_meant(key, checks)}")
        values[key] = _checked(f"{where}{name}.{key}", checks[key], value)
    return kind(**values)


def _changed(section: Any, option: str, key: str, value: Any) -> Any:
    check = next(entry.metadata["check"] for entry in fields(section) if entry.name == key)
    return replace(section, **{key: _checked(option, check, value)})


def _checked(name: str, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except ValueError as error:
        shown = without_password(value) if isinstance(value, str) else value
        raise InputError(f"{name} = {shown!r}, expected {error}") from error


def _meant(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"{f': did you mean {near[0]!r}?' if near else ';'} known: {', '.join(known)}"
