"""`edge-app export`: write examples to a zip file."""

import argparse
import json
from pathlib import Path

from edge_app.commands.state_options import add_json_option, add_state_options, examples

EPILOG = """\
The file holds embeddings, thumbnails, labels and checksums. `edge-app import` reads it on a device with the same
encoder; with --re-encode, from the thumbnails, also on one with another encoder. A service may be running.

examples:
  edge-app export --state ~/things everything.zip
  edge-app export --state ~/things mug.zip --class mug
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "export",
        help="write examples to a zip file",
        description="Write all examples, or those of one class, to a zip file: a backup, or for another device.",
        epilog=EPILOG,
    )
    add_state_options(parser, model=False)
    add_json_option(parser)
    parser.add_argument("file", metavar="FILE.zip", type=Path, help="file to write")
    parser.add_argument("--class", dest="label", metavar="CLASS", help="only this class")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    return parser


def run(args: argparse.Namespace) -> int:
    """Write the file; return 0."""
    from edge_app.errors import InputError
    from edge_app.files import replacing
    from edge_app.learner.corrections import members
    from edge_app.privileges import as_owner
    from edge_app.storage.errors import os_errors
    from edge_app.storage.exchange import write_archive
    from edge_app.storage.folder import database_path, require_state
    from edge_app.storage.store import Store

    if args.file.exists() and not args.force:
        raise InputError(f"{args.file} exists: choose another name, or replace it with --force")
    labels = None if args.label is None else [args.label]
    with os_errors(args.file.parent, f"write {args.file.name}"), replacing(args.file) as file:

        def write() -> int:
            require_state(args.state)
            with Store.reader(database_path(args.state)) as store:
                for label in labels or ():
                    members(store, label)
                count = write_archive(store, file, labels)
            file.flush()  # as_owner may run this in a child process
            return count

        count = as_owner(args.state, write)
    if args.json:
        print(json.dumps({"file": str(args.file), "examples": count, "bytes": args.file.stat().st_size}))
    else:
        print(f"{examples(count)} written to {args.file} ({args.file.stat().st_size / 1e6:.1f} MB)")
    return 0
