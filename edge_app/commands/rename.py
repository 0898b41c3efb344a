"""`edge-app rename`: rename a class."""

import argparse

from edge_app.commands.state_options import add_json_option, add_state_options, open_learner, tell_change

EPILOG = """\
examples:
  edge-app rename --state ~/things mug "blue mug"
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "rename",
        help="rename a class",
        description="Rename a class. No other class may have the new name.",
        epilog=EPILOG,
    )
    add_state_options(parser)
    add_json_option(parser)
    parser.add_argument("old", metavar="CLASS", help="class to rename")
    parser.add_argument("new", metavar="NAME", help="its new name")
    return parser


def run(args: argparse.Namespace) -> int:
    """Rename the class; return 0."""
    with open_learner(args) as learner:
        action = learner.rename_class(args.old, args.new)
        tell_change(args, action, learner.classes())
    return 0
