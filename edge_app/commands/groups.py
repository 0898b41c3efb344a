"""`edge-app groups`: the groups of places that a state folder holds."""

import argparse
import json
import sys
from pathlib import Path

from edge_app.commands.state_options import add_json_option, add_state_options, listed
from edge_app.errors import EdgeAppError, StateCorrupt

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
    from edge_app.storage.groups import groups_below, stored_groups

    found: dict[str, dict[str, int]] = {}
    damaged: list[tuple[str | None, EdgeAppError]] = []
    try:
        groups = stored_groups(args.state)
    except StateCorrupt as error:  # nobody knows the name of the one in the folder itself
        groups, damaged = groups_below(args.state), [(None, error)]
    for name, folder in groups.items():
        try:
            found[name] = _classes(folder)
        except EdgeAppError as error:
            damaged.append((name, error))
    if args.json:
        reasons = [{"group": group, "reason": str(reason)} for group, reason in damaged]
        print(json.dumps({"groups": found, "damaged": reasons}, ensure_ascii=False))
    else:
        for name, classes in found.items():
            print(f"{name}: {listed(classes)}")
        if not groups and not damaged:
            print("no groups: nothing was taught yet")
    for group, reason in damaged:
        print(f"edge-app groups: {'' if group is None else f'{group}: '}{reason}", file=sys.stderr)
    return damaged[0][1].exit_status if damaged else 0


def _classes(folder: Path) -> dict[str, int]:
    from edge_app.storage.folder import database_path
    from edge_app.storage.store import Store

    with Store.reader(database_path(folder)) as store:
        return store.classes()
