"""Buttons, lights and outputs on GPIO lines: chip, permissions, whether each line exists and is free. Takes none."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from edge_app.devices.gpiolines import CONSUMER, LINE_OPTIONS, find_chip, open_chip, parse_lines
from edge_app.devices.uri import split_scheme
from edge_app.doctor.findings import Finding, System
from edge_app.doctor.software import user_groups
from edge_app.errors import DeviceError


def check_lines(system: System, what: str, uri: str, load_library: Callable[[], Any]) -> Iterator[Finding]:
    """Check the lines of `uri`; `what` is "buttons", "lights" or "outputs", `load_library` returns gpiod."""
    if not uri:
        yield Finding(what, "ok", "none configured")
        return
    scheme = split_scheme(uri)[0]
    if scheme == "sim":
        page = "rules" if what == "outputs" else "buttons"
        yield Finding(what, "warning", f"simulated ({uri})", f"set uri in [{what}]: docs/{page}.md")
        return
    if scheme != "gpio":
        yield Finding(what, "ok", f"{uri}: nothing to check")
        return
    library = load_library()
    name, lines, options = parse_lines(uri, LINE_OPTIONS[what])
    wanted = lines | {f"bit {bit} of the code": line for bit, line in enumerate(options.get("code", ()))}
    for path in sorted(system.root.glob("dev/gpiochip*")):
        if not os.access(path, os.R_OK | os.W_OK):
            shown = f"/{path.relative_to(system.root)}"
            yield Finding(f"{what} rights", "warning", f"this user may not use {shown}", user_groups(path))
    try:
        chip = open_chip(uri, find_chip(uri, name, library), library)
    except DeviceError as error:
        yield Finding(what, "failed", str(error))
        return
    with chip:
        yield from _check_each(what, chip, wanted)


def _check_each(what: str, chip: Any, wanted: dict[str, str]) -> Iterator[Finding]:
    info = chip.get_info()
    for role, line in wanted.items():
        try:
            offset = int(line) if line.isdecimal() else int(chip.line_offset_from_id(line))
            if offset >= info.num_lines:
                raise DeviceError(f"the chip has lines 0 to {info.num_lines - 1}")
        except OSError as error:
            detail = f"{role} = {line}: {error if isinstance(error, DeviceError) else 'no line of this name'}"
            yield Finding(what, "failed", detail, f"`gpioinfo` lists the lines of {info.label}")
            continue
        found = chip.get_line_info(offset)
        shown = f"{role}: line {offset} of {info.label}" + (f" ({found.name})" if found.name else "")
        if not found.used:
            yield Finding(what, "ok", f"{shown}, free")
        elif found.consumer == CONSUMER:  # the service runs: no fault
            yield Finding(what, "ok", f"{shown}, in use by edge-app")
        else:
            advice = (
                "use another line, or disable its user (for example a device tree overlay in config.txt, such as SPI)"
            )
            yield Finding(what, "failed", f"{shown} is in use by {found.consumer or 'the kernel'}", advice)
