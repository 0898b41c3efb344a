"""`edge-app check-config`: whether a configuration file is right."""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_app.config import Config, MqttConfig

EPILOG = """\
Nothing is opened: what the file names (camera, model, folder) may still be missing on this machine. What is right and
may still not work, or not be meant, is told as a warning; the status is 0 then.

examples:
  edge-app check-config /etc/edge-app/config.toml
  edge-app check-config --show my.toml
"""

UNIT = Path("/etc/systemd/system/edge-app.service")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "check-config",
        help="check a configuration file",
        description="Read a configuration file as `edge-app run` does, and say what is wrong with it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--show", action="store_true", help="print all values, the defaults too, as TOML")
    parser.add_argument("file", metavar="FILE", type=Path, help="configuration file")
    return parser


def run(args: argparse.Namespace) -> int:
    """Check the file; 0, or InputError."""
    from edge_app.config import load_config

    config = load_config(args.file, os.environ)
    if args.show:
        import tomli_w

        print(tomli_w.dumps(config.to_table()), end="")
    else:
        print(f"{args.file}: right")
    for warning in warnings(config):
        print(f"warning: {warning}", file=sys.stderr)
    return 0


def warnings(config: "Config") -> list[str]:
    """Return what of a right configuration may not work on this machine, or not be meant."""
    return _of_the_broker(config.mqtt) if config.mqtt.enabled else []


def _of_the_broker(mqtt: "MqttConfig") -> list[str]:
    found = []
    if find_spec("paho") is None:
        found.append("[mqtt] is enabled and paho-mqtt is not installed: pip install 'edge-app[mqtt]'")
    if _is_loopback(mqtt.host):
        return found
    if mqtt.password_file and not mqtt.tls:
        found.append(
            f"mqtt.host = {mqtt.host!r} is another machine and mqtt.tls is off: the password crosses the network for "
            "all to read"
        )
    if UNIT.exists() and not _may_leave(UNIT):
        found.append(
            f"mqtt.host = {mqtt.host!r} is another machine, and the installed service may only speak to this one: "
            "allow the broker's address by a drop-in (docs/mqtt.md), or all by `edge-app install-service --network`"
        )
    return found


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _may_leave(unit: Path) -> bool:
    """Return whether a drop-in of an installed unit opens the network, as far as it can be read."""
    folder = unit.with_name(unit.name + ".d")
    for path in sorted(folder.glob("*.conf")):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        if any(line.strip().startswith(("IPAddressAllow=", "IPAddressDeny=")) for line in lines):
            return True
    return False
