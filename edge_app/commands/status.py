"""`edge-app status`: the condition of a running service."""

import argparse
import json
from typing import Any

from edge_app.commands.live_options import add_live_options, open_device
from edge_app.commands.state_options import add_json_option

EPILOG = """\
The service must serve its API: enabled = true in [web], or `edge-app run --web`. The exit status is 1 if the device
reports a problem.

examples:
  edge-app status
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
    """Print the state; return 0, or 1 if the device reports a problem."""
    device = open_device(args)
    state = device.get("/state")
    if args.json:
        print(json.dumps(state, ensure_ascii=False))
    else:
        classes = device.get("/classes")["classes"]
        print("\n".join(lines(state, classes)))
    return 0 if state["health"]["ok"] else 1


def lines(state: dict[str, Any], classes: list[dict[str, Any]]) -> list[str]:
    """Return the state as lines of text."""
    decision = state["decision"]
    said = "none yet"
    if decision is not None:
        said = f"{decision['label'] or 'unknown'}" + (
            f", {decision['confidence']:.0%} sure" if decision["label"] else ""
        )
    # None: a machine without a readable sensor
    warm = "" if state["temperature_c"] is None else f", {state['temperature_c']:.0f} C"
    rebuilding = ""
    if state["rebuilding"]:
        progress = state.get("rebuild")  # missing from an older device
        rebuilding = ", rebuilding" + (f" ({progress['done']} of {progress['total']})" if progress else "")
    found = [
        f"edge-app {state['version']}, up {_duration(state['uptime_s'])}{warm}{', slowed down' * state['slowed']}",
        f"decision: {said}",
        f"rate:     {state['fps'] or 0:.1f} frames/s, latency {state['latency_ms'] or 0:.0f} ms",
        f"camera:   {state['camera']['state']}, reopened {state['camera']['reopened']} times",
        f"taught:   {state['learnt']} since start{rebuilding}",
    ]
    found += [f"PROBLEM:  {reason}" for reason in state["health"]["reasons"]]
    width = max((len(one["label"]) for one in classes), default=0)
    found += [f"  {one['label']:<{width}}  {one['examples']:>4} examples  {one['advice']}" for one in classes]
    return found


def _duration(seconds: float) -> str:
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    # from two units on: "1 days" never appears, and 26 h say more than 1 day
    if days >= 2:
        return f"{days:.0f} days"
    if hours >= 2:
        return f"{hours:.0f} h"
    return f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"
