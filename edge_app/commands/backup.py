"""`edge-app backup`: write a backup of the whole device to one file."""

import argparse
import json
import os
import time
from pathlib import Path

from edge_app.commands.state_options import add_json_option, add_state_options, classes_in_all, examples

EPILOG = """\
The file holds what was taught, with the history of undo, with --config the configuration, and with --history the visits
and their pictures. Passwords, keys and the
tokens of the page are not in it. A service may be running. `edge-app restore` reads the file.

examples:
  edge-app backup --state ~/things things.zip
  sudo edge-app backup --state /var/lib/edge-app --config /etc/edge-app/config.toml shelf.zip
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "backup",
        help="write a backup of the whole device to a file",
        description="Write what was taught and the configuration, without secrets, to one file.",
        epilog=EPILOG,
    )
    add_state_options(parser, model=False)
    add_json_option(parser)
    parser.add_argument("--config", type=Path, metavar="CONFIG", help="also this configuration file")
    parser.add_argument("--history", action="store_true", help="also the visits, with their pictures")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument("file", metavar="FILE.zip", type=Path, help="file to write")
    return parser


def run(args: argparse.Namespace) -> int:
    """Write the file; return 0."""
    import tomli_w

    from edge_app.config import load_config
    from edge_app.errors import InputError
    from edge_app.files import replacing
    from edge_app.privileges import as_owner
    from edge_app.storage.backup import write_backup
    from edge_app.storage.errors import os_errors
    from edge_app.storage.folder import require_state

    if args.file.exists() and not args.force:
        raise InputError(f"{args.file} exists: choose another name, or replace it with --force")
    config = ""
    if args.config is not None:
        config = tomli_w.dumps(load_config(args.config, os.environ).without_passwords())
    # `replacing`: an interrupted backup leaves an earlier file as it was
    with os_errors(args.file.parent, f"write {args.file.name}"), replacing(args.file) as file:

        def work() -> int:
            require_state(args.state)
            done = write_backup(args.state, file, config, time.time_ns(), history=args.history)
            file.flush()  # as_owner may run this in a child process
            if not args.json:
                print(f"{examples(done.examples)}, {classes_in_all(done.classes)}", flush=True)
            return done.examples

        count = as_owner(args.state, work)
    size = args.file.stat().st_size
    if args.json:
        print(json.dumps({"file": str(args.file), "examples": count, "bytes": size}))
    else:
        print(f"written to {args.file} ({size / 1e6:.1f} MB)")
    return 0
