"""From a TOML file and the command line to a configuration."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from edge_app.config.sections import (
    ButtonsConfig,
    CameraConfig,
    ConsolidationConfig,
    DecisionConfig,
    EncoderConfig,
    IdleConfig,
    LightsConfig,
    LogConfig,
    MqttConfig,
    Section,
    StateConfig,
    TemperatureConfig,
    WebConfig,
)
from edge_app.devices.uri import without_password
from edge_app.errors import InputError
from edge_app.files import expanded, read_text

HIDDEN = "***"
"""In place of a password."""
NEEDS_RESTART = ("camera", "buttons", "lights", "encoder", "state", "mqtt", "web", "consolidation")
"""Sections that a running program does not take over."""


@dataclass(frozen=True, slots=True)
class Config:
    """All sections; immutable."""

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
        """Return the configuration with the command line's values; None leaves a value as it is. Raises InputError."""
        return replace(
            self,
            camera=self.camera.changed("uri", camera, "--camera"),
            buttons=self.buttons.changed("uri", buttons, "--buttons"),
            # absolute: relative to the caller's folder, not to the service's
            state=self.state.changed("folder", state and str(expanded(state).absolute()), "--state"),
            web=self.web.changed("enabled", web, "--web"),
        )

    def to_table(self) -> dict[str, dict[str, Any]]:
        """Return all values as a TOML table of sections."""
        return {part.name: _plain(getattr(self, part.name)) for part in fields(self)}

    def without_passwords(self) -> dict[str, dict[str, Any]]:
        """Return the same with *** for the password in a camera's address, for clients of the API."""
        return {
            section: {key: without_password(value) if isinstance(value, str) else value for key, value in table.items()}
            for section, table in self.to_table().items()
        }

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
    changed = {
        section: {key: value for key, value in values.items() if value != defaults[section][key]}
        for section, values in found.items()
    }
    return tomli_w.dumps({section: values for section, values in changed.items() if values}), left_out


def sections() -> dict[str, type[Section]]:
    """Return the sections by their names in the file, in the order in which they are documented."""
    return {entry.name: type(getattr(Config(), entry.name)) for entry in fields(Config)}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise InputError(f"{path}: is not valid TOML: {error}") from error


def _config(table: Mapping[str, Any]) -> Config:
    known = sections()
    for name in table:
        if name not in known:
            raise InputError(f"unknown section [{name}]{_suggestion(name, known)}")
    # every section is made, so that its checks also see the defaults together
    return Config(**{name: _section(name, kind, table.get(name, {})) for name, kind in known.items()})


def _section(name: str, kind: type[Section], table: Any) -> Any:
    if not isinstance(table, Mapping):
        raise InputError(f"{name} = {table!r}, expected a section [{name}]")
    known = {entry.name: None for entry in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise InputError(f"unknown key {name}.{key}{_suggestion(key, known)}")
    return kind(**table)


def _plain(section: Any) -> dict[str, Any]:
    values = {entry.name: getattr(section, entry.name) for entry in fields(section)}
    return {
        key: dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
    }


def _suggestion(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"{f': did you mean {near[0]!r}?' if near else ';'} known: {', '.join(known)}"
