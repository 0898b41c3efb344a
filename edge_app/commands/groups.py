"""`edge-app groups`: the groups of places that a state folder holds."""

import argparse
import json
from pathlib import Path

from edge_app.commands.state_options import add_json_option, add_state_options, listed

EPILOG = """\
examples:
  edge-app groups list --state /var/lib/edge-app
  edge-app groups rename --state /var/lib/edge-app gate "front gate"
  edge-app groups remove --state /var/lib/edge-app shelf

Every other command with --state takes --group NAME too: export, import, backup, teach, forget, history, ...
Places that name no group have one of their own, called like the place. See docs/places.md.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "groups",
        help="list, rename or remove groups of places",
        description="List, rename or remove the groups of places: each has classes and examples of its own.",
        epilog=EPILOG,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the groups and their classes")
    rename = actions.add_parser("rename", help="give a group another name; then change it in [[places]] too")
    rename.add_argument("name", metavar="NAME")
    rename.add_argument("to", metavar="NEW")
    remove = actions.add_parser("remove", help="move what a group has learnt aside")
    remove.add_argument("name", metavar="NAME")
    for action in (listing, rename, remove):
        add_state_options(action, model=False, group=False)
        add_json_option(action)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run an action."""
    from edge_app.storage.groups import remove_group, rename_group

    if args.action == "list":
        return _list(args)
    if args.action == "rename":
        rename_group(args.state, args.name, args.to)
        found, text = {"renamed": args.name, "to": args.to}, f"{args.name} renamed to {args.to}"
    else:
        aside = remove_group(args.state, args.name)
        found = {"removed": args.name, "kept": str(aside)}
        text = f"{args.name} removed; what it had learnt lies in {aside}"
    print(json.dumps(found, ensure_ascii=False) if args.json else text)
    return 0


def _list(args: argparse.Namespace) -> int:
    from edge_app.storage.groups import stored_groups

    found = {name: _classes(folder) for name, folder in stored_groups(args.state).items()}
    if args.json:
        print(json.dumps({"groups": found}, ensure_ascii=False))
        return 0
    for name, classes in found.items():
        print(f"{name}: {listed(classes)}")
    if not found:
        print("no groups: nothing was taught yet")
    return 0


def _classes(folder: Path) -> dict[str, int]:
    from edge_app.storage.folder import database_path
    from edge_app.storage.store import Store

    with Store.reader(database_path(folder)) as store:
        return store.classes()
