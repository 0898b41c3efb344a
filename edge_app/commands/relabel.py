"""`edge-app relabel`: move an example to another class."""

import argparse

from edge_app.commands.state_options import add_json_option, add_state_options, open_learner, tell_change

EPILOG = """\
`edge-app examples` lists the numbers of the examples; `teach` prints them too.

examples:
  edge-app relabel --state ~/things 12 cup
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "relabel",
        help="move one example to another class",
        description="Move one example to another class, as if it had been taught so.",
        epilog=EPILOG,
    )
    add_state_options(parser)
    add_json_option(parser)
    parser.add_argument("example", metavar="NUMBER", type=int, help="number of the example")
    parser.add_argument("label", metavar="CLASS", help="its correct class")
    return parser


def run(args: argparse.Namespace) -> int:
    """Relabel the example; return 0."""
    with open_learner(args) as learner:
        action = learner.relabel(args.example, args.label)
        tell_change(args, action, learner.classes())
    return 0
