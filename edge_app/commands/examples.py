"""`edge-app examples`: list the stored examples."""

import argparse
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_app.commands.state_options import add_json_option, add_state_options, describe, listed

if TYPE_CHECKING:
    from edge_app.storage.store import Store

EPILOG = """\
Times are those of the device's clock when the example was taught; the order is that of teaching.

examples:
  edge-app examples --state ~/things
  edge-app examples --state ~/things mug
  edge-app examples --state ~/things --history
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "examples",
        help="list the stored examples",
        description="List the stored examples, all or of one class. A service may be running.",
        epilog=EPILOG,
    )
    add_state_options(parser, model=False)
    add_json_option(parser)
    parser.add_argument("--history", action="store_true", help="list the actions that undo can revert instead")
    parser.add_argument("label", metavar="CLASS", nargs="?", help="only this class")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the examples or the history; return 0."""
    from edge_app.learner.corrections import members
    from edge_app.storage.folder import database_path, require_state
    from edge_app.storage.store import Store

    require_state(args.state)
    with Store.reader(database_path(args.state)) as store:
        if args.history:
            _print_history(args, store)
            return 0
        if args.label is not None:
            # for its error: an empty list would look like a class without examples
            members(store, args.label)
        found = store.examples(args.label)
        if args.json:
            rows = [example._asdict() for example in found]
            print(json.dumps({"classes": store.classes(), "examples": rows}, ensure_ascii=False, indent=1))
            return 0
        width = max((len(example.label) for example in found), default=0)
        for example in found:
            print(f"{example.id:>6}  {example.label:<{width}}  {when(example.time_ns)}  {example.source}")
        print(f"classes: {listed(store.classes())}")
    return 0


def _print_history(args: argparse.Namespace, store: "Store") -> None:
    history = store.history()
    if args.json:
        rows = [{**action._asdict(), "changes": [c._asdict() for c in action.changes]} for action in history]
        print(json.dumps({"history": rows}, ensure_ascii=False, indent=1))
        return
    for action in history:
        print(f"{when(action.time_ns)}  {describe(action)}")


def when(time_ns: int) -> str:
    """Return a time as text in the local time zone; in seconds if it is outside the calendar's range."""
    try:
        return datetime.fromtimestamp(time_ns / 1e9, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{time_ns / 1e9:.0f} s"
