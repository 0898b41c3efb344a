"""`edge-app undo`: revert the last action."""

import argparse
import json

from edge_app.commands.live_options import add_live_options, open_device
from edge_app.commands.state_options import (
    add_json_option,
    add_state_options,
    open_learner,
    positive,
    require_state_option,
    tell_change,
)

EPILOG = """\
The state is then as if the action had never happened. The last 100 actions can be undone, the latest first.

examples:
  edge-app undo --state ~/things
  edge-app undo --state ~/things --times 3
  edge-app examples --state ~/things --history
  edge-app undo --live                       # of a running service
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "undo",
        help="revert the last action",
        description="Revert the last action: an example taught, a correction or an import.",
        epilog=EPILOG,
    )
    add_state_options(parser, needed=False)
    add_json_option(parser)
    add_live_options(parser)
    parser.add_argument("--live", action="store_true", help="undo on a running service")
    parser.add_argument("--times", type=positive, default=1, metavar="N", help="undo the last N actions (default: 1)")
    return parser


def run(args: argparse.Namespace) -> int:
    """Undo one action after the other; return 0."""
    if args.live:
        return _undo_live(args)
    require_state_option(args)
    with open_learner(args) as learner:
        for _ in range(args.times):
            # in the background, so that one rebuild at the end serves all of them
            action = learner.undo(background=True)
            tell_change(args, action, learner.classes(), "undone: {}")
        learner.wait()
    return 0


def _undo_live(args: argparse.Namespace) -> int:
    device = open_device(args)
    # one request each: an undo of several actions is not in the API
    for _ in range(args.times):
        action = device.change("/undo", {})["action"]
        if args.json:
            print(json.dumps(action, ensure_ascii=False))
        else:
            print(f"undone: {action['kind']} of {', '.join(action['labels'])} ({action['examples']} examples)")
    return 0
