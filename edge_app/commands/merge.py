"""`edge-app merge`: merge one class into another."""

import argparse

from edge_app.commands.state_options import add_json_option, add_state_options, open_learner, tell_change

EPILOG = """\
examples:
  edge-app merge --state ~/things mug cup
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "merge",
        help="merge one class into another",
        description="Move all examples of class OTHER to class CLASS; OTHER is then gone.",
        epilog=EPILOG,
    )
    add_state_options(parser)
    add_json_option(parser)
    parser.add_argument("into", metavar="CLASS", help="class that remains")
    parser.add_argument("other", metavar="OTHER", help="class that is merged into it")
    return parser


def run(args: argparse.Namespace) -> int:
    """Merge the classes; return 0."""
    with open_learner(args) as learner:
        action = learner.merge_classes(args.into, args.other)
        tell_change(args, action, learner.classes())
    return 0
