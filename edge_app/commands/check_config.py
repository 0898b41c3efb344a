"""`edge-app check-config`: check a configuration file."""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from edge_app.storage.folder import PLACES

if TYPE_CHECKING:
    from edge_app.config import Config, MqttConfig, PlaceConfig

EPILOG = """\
Nothing is opened: the camera, model or folder that the file names may still be missing on this machine. A valid
setting that probably does not work here is reported as a warning; the exit status is 0 then.

examples:
  edge-app check-config /etc/edge-app/config.toml
  edge-app check-config --show my.toml
"""

UNIT, SERVICE_STATE = Path("/etc/systemd/system/edge-app.service"), Path("/var/lib/edge-app")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "check-config",
        help="check a configuration file",
        description="Read a configuration file as `edge-app run` does, and report errors in it.",
        epilog=EPILOG,
    )
    parser.add_argument("--show", action="store_true", help="print all values as TOML, defaults included")
    parser.add_argument("file", metavar="FILE", type=Path, help="configuration file")
    return parser


def run(args: argparse.Namespace) -> int:
    """Check the file; return 0. Raises InputError."""
    from edge_app.config import load_config
    from edge_app.rules.sentence import sentence

    config = load_config(args.file, os.environ)
    if args.show:
        # here, not above: only --show needs it
        import tomli_w

        print(tomli_w.dumps(config.to_table()), end="")
    else:
        print(f"{args.file}: valid")
        for place in config.places:
            print(_place(place))
        for rule in config.rules:
            print(f"{rule.name}: {sentence(rule)}{'' if rule.enabled else ' (It is switched off.)'}")
    for warning in warnings(print_kept_places(config)):
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def print_kept_places(config: "Config") -> "Config":
    """Tell of places that were set on the page or over the API, and return the configuration with them."""
    from edge_app.storage.kept_places import places_in_use

    if not config.state.folder and (SERVICE_STATE / PLACES).is_file():  # what the service uses for ""
        config = config.overridden(state=SERVICE_STATE)

    def report(level: int, event: str, /, **fields: object) -> None:
        print(f"warning: {fields['file']} is ignored: {fields['reason']}", file=sys.stderr)

    found = places_in_use(config, report)
    if found.places != config.places:
        print(
            "note: other places were set on the page or over the API; they count until [[places]] is changed:",
            file=sys.stderr,
        )
        for place in found.places:
            print(f"note: {_place(place)}", file=sys.stderr)
    return found


def _place(place: "PlaceConfig") -> str:
    x, y, width, height = place.region
    part = "the whole picture" if place.region == (0, 0, 1, 1) else f"{width:.0%} x {height:.0%} at {x:.0%}, {y:.0%}"
    used = place.in_use
    shared = f"what the group {used.group!r} learns" if place.group else "classes of its own"
    return f"{place.name}: {part} of the camera {used.camera!r}, with {shared}."


def warnings(config: "Config") -> list[str]:
    """Return the settings of a valid configuration that probably do not work on this machine."""
    from edge_app.commands.cameras import unsuited_cameras
    from edge_app.config.together import button_names

    found = _broker_warnings(config.mqtt) if config.mqtt.enabled else []
    found += [f"no place refers to the camera {name!r}: it is not opened" for name in config.unused_cameras()]
    found += [f"camera {name!r}: {reason}" for name, reason in unsuited_cameras(config).items()]
    names = button_names(config.buttons.uri)
    found += [
        f"{key}: {button!r} is none of the buttons in buttons.uri: {', '.join(names)}"
        for key, button in config.buttons.unknown(names)
    ]
    return found + _rule_warnings(config)


def _rule_warnings(config: "Config") -> list[str]:
    from urllib.parse import urlsplit

    places = [place.name for place in config.places_in_use()]
    known = f"the places are {', '.join(places)}" if config.places else f"camera.place = {places[0]!r}"
    found = [
        f"rule {rule.name!r} is for the place {rule.place!r}, and {known}: it never fires here"
        for rule in config.rules
        if rule.place not in ("", *places)
    ]
    far = [one for one in config.webhooks if not _is_loopback(urlsplit(one.url).hostname or "")]
    found += [
        f"webhook {one.name!r} sends a token unencrypted: use an https address"
        for one in far
        if one.token_file and one.url.startswith("http:")
    ]
    if far and UNIT.exists() and not _network_allowed(UNIT):
        found.append(
            f"webhook {far[0].name!r} is on another machine, and the installed service may only connect to this one: "
            "allow its address by a drop-in (docs/rules.md), or all addresses by `edge-app install-service --network`"
        )
    return found


def _broker_warnings(mqtt: "MqttConfig") -> list[str]:
    found = []
    if find_spec("paho") is None:  # looked up, not imported
        found.append("[mqtt] is enabled and paho-mqtt is not installed: pip install 'edge-app[mqtt]'")
    if _is_loopback(mqtt.host):
        return found
    if mqtt.password_file and not mqtt.tls:
        found.append(
            f"mqtt.host = {mqtt.host!r} is another machine and mqtt.tls is off: the password crosses the network "
            "unencrypted"
        )
    # without the unit edge-app is run from a shell, and no address filter applies
    if UNIT.exists() and not _network_allowed(UNIT):
        found.append(
            f"mqtt.host = {mqtt.host!r} is another machine, and the installed service may only connect to this one: "
            "allow the broker's address by a drop-in (docs/mqtt.md), or all addresses by `edge-app install-service "
            "--network`"
        )
    return found


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # a final dot marks the same name as complete
        return host.lower().rstrip(".") == "localhost"


def _network_allowed(unit: Path) -> bool:
    """Return whether a readable drop-in of the installed unit opens the network."""
    folder = unit.with_name(unit.name + ".d")
    for path in sorted(folder.glob("*.conf")):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:  # the folder may be readable by root only: at worst there is one warning too many
            continue
        # whether the broker's address is among them is not checked: it may be a name, and nothing is resolved here
        if any(line.strip().startswith(("IPAddressAllow=", "IPAddressDeny=")) for line in lines):
            return True
    return False
