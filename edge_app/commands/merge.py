"""`edge-app merge`: two classes become one."""

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
        help="make one class of two",
        description="Let the examples of class OTHER belong to class CLASS; OTHER is then no class any more.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_state_options(parser)
    add_json_option(parser)
    parser.add_argument("into", metavar="CLASS", help="the class that stays")
    parser.add_argument("other", metavar="OTHER", help="the class that becomes part of it")
    return parser


def run(args: argparse.Namespace) -> int:
    """Merge the classes; return 0."""
    with open_learner(args) as learner:
        action = learner.merge_classes(args.into, args.other)
        tell_change(args, action, learner.classes())
    return 0
