"""`edge-app forget`: remove a class or examples, as if they had never been taught."""

import argparse
import json
from typing import TYPE_CHECKING

from edge_app.commands.state_options import (
    add_json_option,
    add_state_options,
    examples,
    listed,
    open_learner,
    tell_change,
)
from edge_app.errors import InputError
from edge_app.labels import unknown_label

if TYPE_CHECKING:
    from edge_app.learner import Learner


EPILOG = """\
`undo` restores what was forgotten, within the last 100 actions. With --for-good it is deleted at once and cannot be
restored. Without a class or example, --for-good deletes the examples that were forgotten before and kept for undo.

examples:
  edge-app forget --state ~/things mug
  edge-app forget --state ~/things --example 12 --example 13
  edge-app forget --state ~/things mug --for-good
  edge-app forget --state ~/things --for-good
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "forget",
        help="forget a class or some examples",
        description="Forget a class, or examples by number, as if they had never been taught.",
        epilog=EPILOG,
    )
    add_state_options(parser)
    add_json_option(parser)
    parser.add_argument("label", metavar="CLASS", nargs="?", help="class to forget")
    parser.add_argument(
        "--example", metavar="NUMBER", type=int, action="append", default=[], help="example to forget; may be repeated"
    )
    parser.add_argument("--for-good", action="store_true", help="delete: undo cannot restore it")
    return parser


def run(args: argparse.Namespace) -> int:
    """Forget; return 0."""
    if args.label is not None and args.example:
        raise InputError("give a class or examples, not both")
    if args.label is None and not args.example and not args.for_good:
        raise InputError("give a class, or examples with --example NUMBER (`edge-app examples` lists them)")
    with open_learner(args) as learner:
        if args.for_good:
            _delete(args, learner)
        elif args.label is not None:
            tell_change(args, learner.forget_class(args.label), learner.classes())
        else:
            # in the background, so that one rebuild at the end serves all of them
            for example in args.example:
                tell_change(args, learner.forget_example(example, background=True), learner.classes())
            learner.wait()
    return 0


def _delete(args: argparse.Namespace, learner: "Learner") -> None:
    if args.label is not None:
        deleted = [example.id for example in learner.examples(args.label)]
        if not deleted:
            raise unknown_label(args.label, learner.classes())
    else:
        deleted = args.example or learner.forgotten()
    # forgotten examples are still stored for undo, and may be deleted too
    known = {example.id for example in learner.examples()} | set(learner.forgotten())
    for example in deleted:
        if example not in known:
            raise InputError(f"no example {example}; `edge-app examples` lists them")
    # all were checked above: a mistyped number must not leave half of them deleted
    learner.purge(deleted)
    if args.json:
        print(json.dumps({"action": "delete", "examples": deleted, "classes": learner.classes()}, ensure_ascii=False))
    else:
        print(f"{examples(len(deleted))} deleted for good")
        print(f"classes: {listed(learner.classes())}")
