"""Finds, checks and requests lines of a GPIO chip through the kernel's character device, with gpiod 2."""

import errno
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_app.devices.uri import Reader, read_options, read_seconds, split_path
from edge_app.errors import DeviceError, InputError, RuntimeMissing

CONSUMER = "edge-app"
BIASES = {"pull-up": "PULL_UP", "pull-down": "PULL_DOWN", "disabled": "DISABLED", "as-is": "AS_IS"}


def load_library() -> Any:
    """Return the module gpiod, version 2; raises RuntimeMissing."""
    try:
        library = importlib.import_module("gpiod")
    except ImportError as error:
        raise RuntimeMissing('GPIO lines need gpiod 2: pip install "edge-app[gpio]"') from error
    # Debian's python3-libgpiod was version 1, with the same module name and another interface
    if not hasattr(library, "LineSettings"):
        raise RuntimeMissing(f'{library.__file__} is gpiod 1; version 2 is needed: pip install "edge-app[gpio]"')
    return library


def find_chip(uri: str, chip: str, library: Any) -> str:
    """Return the path of a chip given by its path or by its label (`pinctrl-rp1`); raises DeviceError."""
    if "/" in chip:
        return chip
    labels = []
    # labels are stable; numbers of chips changed between kernels of the Raspberry Pi 5
    for path in sorted(map(str, Path("/dev").glob("gpiochip*"))):
        with open_chip(uri, path, library) as candidate:
            label = candidate.get_info().label
        if label == chip:
            return path
        labels.append(f"{label} ({path})")
    raise DeviceError(f"{uri}: no GPIO chip is called {chip!r}; there are: {', '.join(labels) or 'none'}")


def request_lines(
    uri: str,
    chip: str,
    lines: Mapping[str, str],
    settings: Any,
    library: Any,
    own: Mapping[str, Any] | None = None,
) -> tuple[Any, dict[str, int]]:
    """Take lines of a chip; return gpiod's request and role -> offset.

    `lines` gives each role a line's number or name, `own` settings of its own to a role. Raises InputError for a line
    that is not there or is given twice, DeviceError for a chip that is not there, may not be used, or a line that is in
    use.
    """
    with open_chip(uri, find_chip(uri, chip, library), library) as opened:
        offsets = {role: _offset(uri, opened, role, line) for role, line in lines.items()}
        roles: dict[int, str] = {}
        for role, offset in offsets.items():
            if offset in roles:
                raise InputError(f"{uri}: {roles[offset]} and {role} are both on line {offset}")
            roles[offset] = role
            info = opened.get_line_info(offset)
            # asked first: the kernel's EBUSY does not say who uses the line
            if info.used:
                raise DeviceError(f"{uri}: {role} = {lines[role]}: the line is in use by {_user(info.consumer)}")
        try:
            request = opened.request_lines(config=_grouped(roles, settings, own or {}), consumer=CONSUMER)
        except OSError as error:
            raise _refusal(uri, error) from error
    return request, offsets


def _grouped(roles: Mapping[int, str], settings: Any, own: Mapping[str, Any]) -> dict[tuple[int, ...], Any]:
    """Return the lines of each kind of settings: the kernel takes few kinds in one request."""
    kinds: dict[int, tuple[Any, list[int]]] = {}
    for offset, role in roles.items():
        wanted = own.get(role, settings)
        kinds.setdefault(id(wanted), (wanted, []))[1].append(offset)
    return {tuple(offsets): wanted for wanted, offsets in kinds.values()}


def _user(consumer: str) -> str:
    if consumer != CONSUMER:
        return consumer or "the kernel"
    return f"{CONSUMER}: give buttons, lights and outputs lines of their own, and run {CONSUMER} once"


def open_chip(uri: str, path: str, library: Any) -> Any:
    """Open the chip at a path, for a `with` block; raises DeviceError with the reason."""
    try:
        return library.Chip(path)
    except FileNotFoundError:
        found = ", ".join(sorted(map(str, Path("/dev").glob("gpiochip*")))) or "none"
        raise DeviceError(f"{uri}: there is no {path}; GPIO chips here: {found}") from None
    except PermissionError as error:
        raise DeviceError(
            f"{uri}: no permission to use {path}; add the user to the group gpio: sudo usermod -aG gpio $USER "
            "(if the group does not exist, add the udev rule in docs/buttons.md)"
        ) from error
    except OSError as error:
        raise DeviceError(f"{uri}: {path} is not a GPIO chip: {error.strerror}") from error


def _offset(uri: str, chip: Any, role: str, line: str) -> int:
    count = chip.get_info().num_lines
    if line.isdecimal():
        if int(line) >= count:
            raise InputError(f"{uri}: {role} = {line}: the chip has lines 0 to {count - 1}")
        return int(line)
    try:
        return int(chip.line_offset_from_id(line))
    except OSError as error:
        names = [name for offset in range(count) if (name := chip.get_line_info(offset).name)]
        raise InputError(
            f"{uri}: {role} = {line}: the chip has no line of that name; it has "
            f"{', '.join(names) or f'no names, only numbers 0 to {count - 1}'}"
        ) from error


def _refusal(uri: str, error: OSError) -> DeviceError:
    if error.errno == errno.EBUSY:
        return DeviceError(f"{uri}: a line is in use by another program; `gpioinfo` shows which")
    if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, 524):  # 524: the kernel's own ENOTSUPP
        return DeviceError(f"{uri}: the chip does not support this setting of a line: {error.strerror}; try bias=as-is")
    return DeviceError(f"{uri}: the lines cannot be requested: {error.strerror}")


def parse_lines(uri: str, readers: Mapping[str, Reader]) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return chip, role -> line, and options of `gpio:CHIP?ROLE=LINE,...,OPTION=VALUE,...`; raises InputError.

    A name that is not an option in `readers` is a role, so a button or class cannot have the name of an option.
    """
    chip, text = split_path(uri)
    parts = [part for part in text.split(",") if part]
    names = [part.partition("=")[0] for part in parts]
    roles = [name for name in names if name not in readers]
    values = read_options(uri, text, dict(readers) | dict.fromkeys(roles, str))
    return chip, {role: values.pop(role) for role in roles}, values


def read_active(text: str) -> bool:
    """Read low or high as whether a line is active when low; raises ValueError."""
    if text not in ("low", "high"):
        raise ValueError("expected low or high")
    return text == "low"


def read_bias(text: str) -> str:
    """Read a bias as the name of gpiod's constant; raises ValueError."""
    if text not in BIASES:
        raise ValueError(f"expected one of {', '.join(BIASES)}")
    return BIASES[text]


def read_names(text: str) -> Sequence[str]:
    """Read names or lines that are joined by "+"; raises ValueError."""
    names = text.split("+")
    if not all(names) or len(set(names)) != len(names):
        raise ValueError("expected different names, joined by +")
    return names


LINE_OPTIONS: Mapping[str, Mapping[str, Reader]] = {
    "buttons": {"bias": read_bias, "active": read_active, "debounce": read_seconds},
    "lights": {"active": read_active, "code": read_names},
    "outputs": {"active": read_active, "inverted": read_names},
}
"""The options of each kind of lines, in their URIs."""
