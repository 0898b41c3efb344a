"""From a TOML file and the command line to a configuration."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from edge_app.checks import SHORT
from edge_app.config.acting import OutputsConfig, RuleConfig, WebhookConfig
from edge_app.config.places import NamedCameraConfig, PlaceConfig, PlaceInUse
from edge_app.config.section import NamedSection, Section
from edge_app.config.sections import (
    MAIN,
    ButtonsConfig,
    CameraConfig,
    CameraSettings,
    ConsolidationConfig,
    DecisionConfig,
    EncoderConfig,
    HistoryConfig,
    IdleConfig,
    LightsConfig,
    LogConfig,
    MqttConfig,
    StateConfig,
    TemperatureConfig,
    WebConfig,
)
from edge_app.config.together import check_places, check_together
from edge_app.devices.uri import without_password
from edge_app.errors import InputError
from edge_app.files import expanded, read_text

HIDDEN = "***"
"""In place of a password."""
NEEDS_RESTART = (
    *("camera", "buttons", "lights", "outputs", "encoder", "state", "mqtt", "web", "consolidation"),
    *("history", "rules", "webhooks", "cameras", "places"),
)
"""Sections that a running program does not take over."""


@dataclass(frozen=True, slots=True)
class Config:
    """All sections; immutable."""

    camera: CameraConfig = field(default_factory=CameraConfig)
    buttons: ButtonsConfig = field(default_factory=ButtonsConfig)
    lights: LightsConfig = field(default_factory=LightsConfig)
    outputs: OutputsConfig = field(default_factory=OutputsConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    state: StateConfig = field(default_factory=StateConfig)
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    idle: IdleConfig = field(default_factory=IdleConfig)
    consolidation: ConsolidationConfig = field(default_factory=ConsolidationConfig)
    history: HistoryConfig = field(default_factory=HistoryConfig)
    temperature: TemperatureConfig = field(default_factory=TemperatureConfig)
    mqtt: MqttConfig = field(default_factory=MqttConfig)
    web: WebConfig = field(default_factory=WebConfig)
    log: LogConfig = field(default_factory=LogConfig)
    cameras: tuple[NamedCameraConfig, ...] = ()
    places: tuple[PlaceConfig, ...] = ()
    rules: tuple[RuleConfig, ...] = ()
    webhooks: tuple[WebhookConfig, ...] = ()

    def __post_init__(self) -> None:
        """Check the sections against one another. Raises InputError."""
        check_together(
            {name: getattr(self, name).uri for name in ("buttons", "lights", "outputs")},
            self.outputs,
            self.mqtt,
            self.rules,
            self.webhooks,
        )
        check_places(self.camera, self.cameras, self.places, self.buttons, self.lights)

    def places_in_use(self) -> tuple[PlaceInUse, ...]:
        """Return the places: those of [[places]], or the one that [camera] names, which is its whole picture."""
        return tuple(one.in_use for one in self.places) or (PlaceInUse(self.camera.place),)

    def cameras_in_use(self) -> dict[str, CameraSettings]:
        """Return the cameras that places refer to, by their names, in the order of the places."""
        return {place.camera: self.camera_named(place.camera) for place in self.places_in_use()}

    @property
    def only_recordings(self) -> bool:
        """Whether every camera in use is a recording, at whose end the device stops."""
        return all(camera.recording for camera in self.cameras_in_use().values())

    def unused_cameras(self) -> dict[str, CameraSettings]:
        """Return the cameras that are configured, by their names, and that no place refers to."""
        # [camera] is always there; as it is by default it was not meant
        configured = {MAIN: self.camera} if self.camera.uri != CameraConfig().uri else {}
        used = self.cameras_in_use()
        return {
            name: one
            for name, one in (configured | {one.name: one for one in self.cameras}).items()
            if name not in used
        }

    def camera_named(self, name: str) -> CameraSettings:
        """Return a camera by its name; "camera" is that of [camera]."""
        return self.camera if name == MAIN else next(one for one in self.cameras if one.name == name)

    def overridden(
        self,
        *,
        camera: str | None = None,
        buttons: str | None = None,
        state: Path | None = None,
        web: bool | None = None,
    ) -> Self:
        """Return the configuration with the command line's values; None leaves a value as it is. Raises InputError."""
        return replace(
            self,
            camera=self.camera.changed("uri", camera, "--camera"),
            buttons=self.buttons.changed("uri", buttons, "--buttons"),
            # absolute: relative to the caller's folder, not to the service's
            state=self.state.changed("folder", state and str(expanded(state).absolute()), "--state"),
            web=self.web.changed("enabled", web, "--web"),
        )

    def with_places(self, places: tuple[PlaceConfig, ...]) -> Self:
        """Return the configuration with other [[places]]. Raises InputError.

        The name in [camera] is left out: it is that of the only place without [[places]].
        """
        return replace(self, places=places, camera=replace(self.camera, place=MAIN) if places else self.camera)

    def to_table(self) -> dict[str, Any]:
        """Return all values as a TOML table of sections, and of lists of them."""
        return {part.name: _plain(getattr(self, part.name)) for part in fields(self)}

    def without_passwords(self) -> dict[str, Any]:
        """Return the same with *** for the password in a camera's address, for clients of the API."""
        hidden: dict[str, Any] = _without_passwords(self.to_table())
        return hidden

    def needs_restart(self, other: "Config") -> list[str]:
        """Return the sections that differ in `other` and that a running program does not take over."""
        return [name for name in NEEDS_RESTART if getattr(self, name) != getattr(other, name)]


def load_config(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Return the configuration in a TOML file; None: the defaults. Opens no device and writes nothing.

    If the file names no state folder, it is the first of $STATE_DIRECTORY (set by systemd) and $EDGE_APP_STATE.
    Raises InputError, naming the file, the key, its value and what was expected.
    """
    table = {} if path is None else _read(path)
    try:
        config = _config(table)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    # the file has precedence over the environment, and the command line over both
    if not config.state.folder:
        # systemd separates several folders by colons
        given = environ.get("STATE_DIRECTORY", "").split(":")[0] or environ.get("EDGE_APP_STATE", "")
        if given:
            config = config.overridden(state=Path(given))
    return config


def read_places(tables: Any) -> tuple[PlaceConfig, ...]:
    """Return the sections [[places]] of a list of tables, each checked by itself. Raises InputError."""
    return _list(PlaceConfig.name_of(), PlaceConfig, tables)


def portable(text: str) -> tuple[str, list[str]]:
    """Return the settings of a configuration (TOML) that another device can take over, and the keys left out.

    Defaults are not written. Left out are the state folder, and values in which a password was hidden. Raises
    InputError for a configuration that this edge-app does not read.
    """
    import tomli_w

    try:
        table = tomllib.loads(text)
    except ValueError as error:
        raise InputError(f"the configuration in the backup is not valid TOML: {error}") from error
    left_out = []
    for section, values in table.items():
        for key, value in list(values.items()) if isinstance(values, dict) else ():
            if (section, key) == ("state", "folder") or (isinstance(value, str) and HIDDEN in value):
                left_out += [f"{section}.{key}"] if value else []
                del values[key]
    found, defaults = _config(table).to_table(), Config().to_table()
    changed: dict[str, Any] = {}
    for section, values in found.items():
        if section in (known := lists()):
            changed[section] = [_changed(one, {**defaults_of(known[section]), "name": None}) for one in values]
        else:
            changed[section] = _changed(values, defaults[section])
    return tomli_w.dumps({section: values for section, values in changed.items() if values}), left_out


def sections() -> dict[str, type[Section]]:
    """Return the sections by their names in the file, in the order in which they are documented."""
    return {entry.name: type(getattr(Config(), entry.name)) for entry in fields(Config) if entry.name not in lists()}


def lists() -> dict[str, type[NamedSection]]:
    """Return the sections of which a file may have several, by their names in it."""
    return {kind.name_of(): kind for kind in (NamedCameraConfig, PlaceConfig, RuleConfig, WebhookConfig)}


def defaults_of(kind: type[Section]) -> dict[str, Any]:
    """Return the defaults of a section's keys, as a TOML table has them."""
    return {
        entry.name: _plain_value(entry.default_factory() if callable(entry.default_factory) else entry.default)
        for entry in fields(kind)  # type: ignore[arg-type]
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise InputError(f"{path}: is not valid TOML: {error}") from error


def _config(table: Mapping[str, Any]) -> Config:
    known, several = sections(), lists()
    for name in table:
        if name not in known and name not in several:
            raise InputError(f"unknown section [{name}]{_suggestion(name, known | several)}")
    # every section is made, so that its checks also see the defaults together
    made: dict[str, Any] = {name: _section(name, kind, table.get(name, {})) for name, kind in known.items()}
    made |= {name: _list(name, kind, table.get(name, ())) for name, kind in several.items()}
    return Config(**made)


def _list(name: str, kind: type[NamedSection], tables: Any) -> tuple[Any, ...]:
    if not isinstance(tables, list | tuple) or not all(isinstance(one, Mapping) for one in tables):
        raise InputError(f"{name} = {SHORT.repr(tables)}, expected sections [[{name}]]")
    for number, one in enumerate(tables, 1):
        if "name" not in one:
            raise InputError(f'{kind.kind()} number {number} has no name: expected name = "..." in [[{name}]]')
    return tuple(_section(f"{kind.kind()} {SHORT.repr(one['name'])}: ", kind, one) for one in tables)


def _section(name: str, kind: type[Section], table: Any) -> Any:
    if not isinstance(table, Mapping):
        raise InputError(f"{name} = {table!r}, expected a section [{name}]")
    known = {entry.name: None for entry in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            where = name if name.endswith(": ") else f"{name}."
            raise InputError(f"unknown key {where}{key}{_suggestion(key, known)}")
    return kind(**table)


def _without_passwords(value: Any) -> Any:
    match value:
        case str():
            return without_password(value)
        case dict():
            return {key: _without_passwords(one) for key, one in value.items()}
        case list():
            return [_without_passwords(one) for one in value]
        case _:
            return value


def _changed(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value != defaults[key]}


def _plain(section: Any) -> Any:
    if isinstance(section, tuple):
        return [_plain(one) for one in section]
    return {entry.name: _plain_value(getattr(section, entry.name)) for entry in fields(section)}


def _plain_value(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value


def _suggestion(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"{f': did you mean {near[0]!r}?' if near else ';'} known: {', '.join(known)}"
