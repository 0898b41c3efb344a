"""`edge-app watch`: the events of a running service, as they happen."""

import argparse
import json
from typing import Any

from edge_app.commands.live_options import add_live_options, open_device
from edge_app.commands.state_options import add_json_option, positive

EPILOG = """\
A decision is printed when it changes, or with --all up to ten times a second. Ctrl-C stops.

examples:
  edge-app watch
  edge-app watch --json --all | jq .confidence
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "watch",
        help="print the events of a running service as they happen",
        description="Print decisions, examples taught, corrections and faults of a running service as they happen.",
        epilog=EPILOG,
    )
    add_live_options(parser)
    add_json_option(parser)
    parser.add_argument("--all", action="store_true", help="every decision received, not only changes")
    parser.add_argument("--count", type=positive, metavar="N", help="stop after N lines")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print events; return 0 after --count of them. Raises DeviceUnreachable when the connection ends."""
    from edge_app.client import DeviceUnreachable

    printed = 0
    # a tuple, because None is the label of "unknown" and no decision was printed yet
    last: tuple[str | None] | None = None
    device = open_device(args)
    for name, value in device.events():
        if name == "decision" and not args.all:
            if (value["label"],) == last:
                continue
            last = (value["label"],)
        text = json.dumps({"event": name, **value}, ensure_ascii=False) if args.json else line(name, value)
        if text is None:
            continue
        print(text, flush=True)
        printed += 1
        if printed == args.count:
            return 0
    # not success: a script that waits for --count events must notice that they will not come
    raise DeviceUnreachable(f"{device.url}: the service closed the connection")


def line(name: str, value: dict[str, Any]) -> str | None:
    """Return an event as text; None for an event that is not shown."""
    if name == "decision":
        sure = f"{value['confidence']:.0%} sure, " if value["label"] else ""
        return f"{value['label'] or 'unknown'} ({sure}frame {value['sequence']})"
    if name == "taught":
        before = value["before"]["label"] or "unknown"
        advice = "".join(f"; {one['text']}" for one in value["advice"])
        return f"taught: example {value['example']} is {value['label']} (before: {before}){advice}"
    if name == "corrected":
        return f"{value['kind']}: {', '.join(value['labels'])} ({len(value['examples'])} examples)"
    if name == "refused":
        return f"rejected: {value['reason']}"
    if name == "health":
        fields = " ".join(f"{key}={field}" for key, field in value["fields"].items())
        return f"{value['what'].replace('_', ' ')} {fields}".rstrip()
    return None
