"""`edge-app relabel`: an example belongs to another class."""

import argparse

from edge_app.commands.state_options import add_json_option, add_state_options, open_learner, tell_change

EPILOG = """\
The number of an example is the one that teach printed; `edge-app examples` lists them.

examples:
  edge-app relabel --state ~/things 12 cup
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "relabel",
        help="correct the class of one example",
        description="Let one example belong to another class, as if it had been taught so from the beginning.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_state_options(parser)
    add_json_option(parser)
    parser.add_argument("example", metavar="NUMBER", type=int, help="the example")
    parser.add_argument("label", metavar="CLASS", help="what it really shows")
    return parser


def run(args: argparse.Namespace) -> int:
    """Relabel the example; return 0."""
    with open_learner(args) as learner:
        action = learner.relabel(args.example, args.label)
        tell_change(args, action, learner.classes())
    return 0
