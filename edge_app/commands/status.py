"""`edge-app status`: the condition of a running service."""

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from edge_app.commands.live_options import add_live_options, open_device
from edge_app.commands.state_options import add_json_option

if TYPE_CHECKING:
    from edge_app.client import DeviceClient

EPILOG = """\
The service must serve its API: enabled = true in [web], or `edge-app run --web`. The exit status is 1 if the device
reports a problem. Of a device with several places all are shown; --place shows one in full.

examples:
  edge-app status
  edge-app status --place gate
  edge-app status --url https://shelf.local:8765 --token-file ~/.edge-app-token
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "status",
        help="show the condition of a running service",
        description="Show decision, rate, camera, classes and problems of a running service.",
        epilog=EPILOG,
    )
    add_live_options(parser)
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the state of one place or of all; return 0, or 1 if the device reports a problem."""
    device = open_device(args)
    names = [] if args.place is not None else [one["name"] for one in device.get("/places")["places"]]
    if len(names) > 1:
        return _run_all(device, names, as_json=args.json)
    state = device.get("/state")
    if args.json:
        print(json.dumps(state, ensure_ascii=False))
    else:
        classes = device.get("/classes")["classes"]
        print("\n".join(lines(state, classes)))
    return 0 if state["health"]["ok"] else 1


def _run_all(device: "DeviceClient", names: Sequence[str], *, as_json: bool) -> int:
    states = {name: device.get(f"/places/{quote(name, safe='')}/state") for name in names}
    if as_json:
        print(json.dumps({"places": states}, ensure_ascii=False))
    else:
        print("\n".join(overview(states)))
    return 0 if all(state["health"]["ok"] for state in states.values()) else 1


def overview(states: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return the states of several places as lines of text: the device, then a line or more of each place."""
    width = max(map(len, states))
    found = [_device(next(iter(states.values())))]
    for name, state in states.items():
        rate = f"{state['fps'] or 0:.1f} frames/s, latency {state['latency_ms'] or 0:.0f} ms"
        camera = "" if state["camera"]["state"] == "good" else f"; camera {state['camera']['state']}"
        found.append(f"  {name:<{width}}  {_decision(state)}; {rate}; {len(state['classes'])} classes{camera}")
        found += [f"  {'':<{width}}  PROBLEM: {reason}" for reason in state["health"]["reasons"]]
    return found


def lines(state: dict[str, Any], classes: list[dict[str, Any]]) -> list[str]:
    """Return the state as lines of text."""
    rebuilding = ""
    if state["rebuilding"]:
        progress = state.get("rebuild")  # missing from an older device
        rebuilding = ", rebuilding" + (f" ({progress['done']} of {progress['total']})" if progress else "")
    found = [
        _device(state),
        f"decision: {_decision(state)}",
        f"rate:     {state['fps'] or 0:.1f} frames/s, latency {state['latency_ms'] or 0:.0f} ms",
        f"camera:   {state['camera']['state']}, reopened {state['camera']['reopened']} times",
        f"taught:   {state['learnt']} since start{rebuilding}",
    ]
    found += [f"PROBLEM:  {reason}" for reason in state["health"]["reasons"]]
    width = max((len(one["label"]) for one in classes), default=0)
    found += [f"  {one['label']:<{width}}  {one['examples']:>4} examples  {one['advice']}" for one in classes]
    return found


def _device(state: dict[str, Any]) -> str:
    # None: a machine without a readable sensor
    warm = "" if state["temperature_c"] is None else f", {state['temperature_c']:.0f} C"
    return f"edge-app {state['version']}, up {_duration(state['uptime_s'])}{warm}{', slowed down' * state['slowed']}"


def _decision(state: dict[str, Any]) -> str:
    decision = state["decision"]
    if decision is None:
        return "none yet"
    return f"{decision['label']}, {decision['confidence']:.0%} sure" if decision["label"] else "unknown"


def _duration(seconds: float) -> str:
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    # from two units on: "1 days" never appears, and 26 h say more than 1 day
    if days >= 2:
        return f"{days:.0f} days"
    if hours >= 2:
        return f"{hours:.0f} h"
    return f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"
