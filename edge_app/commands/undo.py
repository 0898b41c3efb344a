"""`edge-app undo`: the last thing that was done is taken back."""

import argparse

from edge_app.commands.state_options import add_json_option, add_state_options, open_learner, positive, tell_change

EPILOG = """\
The state is then as if the action had never been. The last 100 actions can be taken back, the last one first.

examples:
  edge-app undo --state ~/things
  edge-app undo --state ~/things --times 3
  edge-app examples --state ~/things --history
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "undo",
        help="take the last thing back",
        description="Take back the last action: an example taught, a correction, an import.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_state_options(parser)
    add_json_option(parser)
    parser.add_argument(
        "--times", type=positive, default=1, metavar="N", help="take back the last N actions (default: 1)"
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Take back one action after the other; return 0."""
    with open_learner(args) as learner:
        for _ in range(args.times):
            action = learner.undo(background=True)
            tell_change(args, action, learner.classes(), "taken back: {}")
        learner.wait()
    return 0
