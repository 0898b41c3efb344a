"""Shared by commands that use a state folder: its options, opening it, and printing what changed."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edge_app.errors import InputError
from edge_app.files import expanded

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest
    from edge_app.learner import Learner
    from edge_app.storage.records import Action


# as in [decision]; the parsers import no configuration
DEFAULT_STRICTNESS = 0.5


def add_state_options(
    parser: argparse.ArgumentParser,
    *,
    model: bool = True,
    needed: bool = True,
    group: bool = True,
    creates: bool = False,
) -> None:
    """Add --state, with `group` --group (see `enter_group`), and with `model` --model and --threads.

    If `needed` is false, call `require_state_option` where --state is required. `creates`: the command may begin a
    group that nothing is stored of yet.
    """
    parser.set_defaults(creates_group=creates)
    default = os.environ.get("EDGE_APP_STATE")
    parser.add_argument(
        "--state",
        type=folder_path,
        metavar="DIR",
        default=default or None,
        required=needed and not default,
        help="state folder (default: $EDGE_APP_STATE)",
    )
    if group:
        parser.add_argument(
            "--group", metavar="NAME", help="group of places (default: the one in the state folder itself)"
        )
    if model:
        parser.add_argument(
            "--model",
            metavar="NAME",
            help="encoder model, a name or the path of its manifest (default: the state's)",
        )
        parser.add_argument(
            "--threads", type=positive, default=1, metavar="N", help="processor cores to use (default: 1)"
        )


def folder_path(text: str) -> Path:
    """Return a folder's path with ~ replaced, for argparse."""
    try:
        return expanded(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def enter_group(args: argparse.Namespace) -> None:
    """Let a command that was given --group work in that group's state folder. Raises InputError."""
    if hasattr(args, "live"):
        if args.live and getattr(args, "group", None) is not None:
            raise InputError("--group goes with a state folder; with --live, name the place: --place NAME")
        if not args.live and args.place is not None:
            raise InputError("--place goes with --live; in a state folder, name the group: --group NAME")
    if getattr(args, "group", None) is not None and args.state is not None:
        from edge_app.storage.groups import find_group, folder_of

        args.state = (folder_of if args.creates_group else find_group)(args.state, args.group)


def take_account(command: str, folder: Path) -> None:
    """As root, work as the owner of `folder` from now on (`edge_app.privileges`), and say so on stderr."""
    # before the import: other users never need the module
    if os.geteuid() != 0:
        return
    from edge_app.privileges import become_owner

    name = become_owner(folder)
    if name is not None:
        print(f"edge-app {command}: working as {name}, who owns {folder}", file=sys.stderr)


def require_state_option(args: argparse.Namespace) -> None:
    """Raise InputError unless a state folder was given."""
    if args.state is None:
        raise InputError("no state folder: give --state DIR or $EDGE_APP_STATE, or --live for a running service")


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_strictness_option(parser: argparse.ArgumentParser) -> None:
    """Add --strictness."""
    parser.add_argument(
        "--strictness",
        type=float,
        default=DEFAULT_STRICTNESS,
        metavar="S",
        help='when an image is "unknown", from 0 (only if no column spiked) to 1 (unless it looks just like the '
        f"examples) (default {DEFAULT_STRICTNESS:g})",
    )


def find_manifest(folder: Path, name: str | None) -> "ModelManifest":
    """Return the manifest of a model, or of the state's model; see `learner.manifest`."""
    from edge_app.learner import manifest

    return manifest.find_manifest(folder, name)


@contextmanager
def open_learner(
    args: argparse.Namespace, *, read_only: bool = False, manifest: "ModelManifest | None" = None
) -> Iterator["Learner"]:
    """Open the state of `args`. Notices go to stderr, and progress too if that is a terminal."""
    from edge_app.learner import Learner

    manifest = manifest or find_manifest(args.state, args.model)
    with progress_bar("rebuilding") as progress:
        learner = Learner.open(args.state, manifest, threads=args.threads, read_only=read_only, progress=progress)
        with learner:
            for notice in learner.notices:
                print(f"edge-app {args.command}: {notice}", file=sys.stderr)
            yield learner


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield `progress(done, total)`, which draws a bar on stderr if that is a terminal."""
    from tqdm import tqdm

    # disable=None: tqdm draws on terminals only; the delay spares most starts, which replay little, a flicker
    bar = tqdm(desc=what, unit=" examples", leave=False, disable=None, delay=0.3)

    def progress(done: int, total: int) -> None:
        bar.total = total
        # `done` is a total, tqdm counts steps
        bar.update(done - bar.n)

    try:
        yield progress
    finally:
        bar.close()


def tell_change(args: argparse.Namespace, action: "Action", classes: Mapping[str, int], text: str = "{}") -> None:
    """Print an action (`text` holds {} for its description) and the classes after it."""
    if args.json:
        changes = [change._asdict() for change in action.changes]
        print(json.dumps({"action": action.kind, "changes": changes, "classes": dict(classes)}, ensure_ascii=False))
        return
    print(text.format(describe(action)))
    print(f"classes: {listed(classes)}")


def describe(action: "Action") -> str:
    """Return a description of an action."""
    changes = action.changes
    # dict.fromkeys: each name once, in the order of the changes
    before = ", ".join(dict.fromkeys(change.before for change in changes if change.before is not None))
    after = ", ".join(dict.fromkeys(change.after for change in changes if change.after is not None))
    count = examples(len(changes))
    replaced = [change for change in changes if change.after is None]
    if action.kind == "teach":
        note = f", in place of {examples(len(replaced))} of {before}" if replaced else ""
        return f"example {changes[-1].example} was taught as {changes[-1].after}{note}"
    if action.kind == "relabel":
        return f"example {changes[0].example} became {after} instead of {before}"
    return {
        "forget": f"{count} of {before} forgotten",
        "rename": f"{before} renamed to {after} ({count})",
        "merge": f"{before} merged into {after} ({count})",
        "import": f"{count} imported ({after})",
    }.get(action.kind, f"{action.kind}: {count}")


def listed(classes: Mapping[str, int]) -> str:
    """Return classes and their numbers of examples as text."""
    return ", ".join(f"{label} ({count})" for label, count in classes.items()) or "none"


def examples(count: int) -> str:
    """Return "1 example" or "N examples"."""
    return f"{count} example{'' if count == 1 else 's'}"


def class_count(count: int) -> str:
    """Return "1 class" or "N classes"."""
    return f"{count} class{'' if count == 1 else 'es'}"


def classes_in_all(count: int) -> str:
    """Return "1 class in all" or "N classes in all"."""
    return f"{class_count(count)} in all"


def positive(text: str) -> int:
    """Return a whole number of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value
