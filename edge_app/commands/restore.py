"""`edge-app restore`: put a backup in the place of a state."""

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from edge_app.commands.state_options import add_json_option, add_state_options, listed

if TYPE_CHECKING:
    from edge_app.storage.backup import Backup
    from edge_app.storage.restore import RestoredState

EPILOG = """\
The file is checked from end to end before anything is changed; --dry-run stops there. What was taught on this device is
replaced, and kept in before-restore-N in the state folder: delete that when you do not need it any more. Tokens stay as
they are. With --config the settings in the backup that differ from the defaults are written to that file, and the old
file is kept as NAME.before-restore. The service must not be running.

examples:
  edge-app restore --state ~/things things.zip --dry-run
  edge-app restore --state ~/things things.zip
  sudo edge-app restore --state /var/lib/edge-app --config /etc/edge-app/config.toml shelf.zip
"""
MOST_BYTES = 64 << 30
"""Size of a database that is restored at most."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "restore",
        help="put a backup in the place of what was taught",
        description="Replace what was taught by the contents of a file that `edge-app backup` or the page wrote.",
        epilog=EPILOG,
    )
    add_state_options(parser, model=False, creates=True)
    add_json_option(parser)
    parser.add_argument("--dry-run", action="store_true", help="only check the file, and show what would change")
    parser.add_argument("--config", type=Path, metavar="CONFIG", help="also write the configuration to this file")
    parser.add_argument("file", metavar="FILE.zip", type=Path, help="file to read")
    return parser


def run(args: argparse.Namespace) -> int:
    """Restore the state, then the configuration; return 0."""
    from edge_app.config import portable
    from edge_app.privileges import as_owner
    from edge_app.storage.backup import Backup

    with Backup(args.file, MOST_BYTES) as backup:
        text, left_out = portable(backup.config)

        def work() -> int:
            _restore(args, backup, text, left_out)
            return 0

        as_owner(args.state, work)
    # not as the state's owner: /etc/edge-app belongs to root
    if args.config is not None and not args.dry_run:
        _write_config(args.config, text)
    return 0


def _restore(args: argparse.Namespace, backup: "Backup", text: str, left_out: list[str]) -> None:
    """Check the backup, and put it in place unless this is a dry run."""
    from edge_app.storage.folder import FolderLock
    from edge_app.storage.restore import StagedRestore, complete_restore

    with ExitStack() as stack:
        if args.dry_run:
            # not in the state folder: a dry run needs no right to write there, and no lock
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-app-restore-")))
        else:
            folder = args.state
            stack.callback(FolderLock(folder).release)
            complete_restore(folder)
        staged = stack.enter_context(StagedRestore(folder, backup))
        _require_encoder(staged.state)
        replaced, aside = _stored(args.state), None
        if not args.dry_run:
            staged.commit()
            aside = complete_restore(folder)
    _tell(args, staged.state, replaced, aside, text, left_out)


def _require_encoder(state: "RestoredState") -> None:
    from edge_app.errors import ModelMismatch
    from edge_app.learner.manifest import installed

    if not installed(state.binding.encoder_sha256):
        raise ModelMismatch(
            f"the backup was taught with the encoder {state.encoder_name} (SHA-256 "
            f"{state.binding.encoder_sha256[:12]}...), which is not installed here: `edge-app models add FILE` adds "
            "its file, which the other device has. Nothing was changed"
        )


def _stored(folder: Path) -> dict[str, int]:
    """Return the examples of each class that are stored now."""
    from edge_app.errors import StateCorrupt
    from edge_app.storage.folder import database_path
    from edge_app.storage.store import Store

    if not database_path(folder).is_file():
        return {}
    try:
        with Store.reader(database_path(folder)) as store:
            return store.classes()
    except StateCorrupt:
        return {}  # a damaged state is a reason to restore one


def _tell(
    args: argparse.Namespace,
    state: "RestoredState",
    replaced: dict[str, int],
    aside: Path | None,
    text: str,
    left_out: list[str],
) -> None:
    if args.json:
        found = {
            "restored": not args.dry_run,
            "program": state.program,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(state.created_ns / 1e9)),
            "encoder": state.encoder_name,
            "classes": state.classes,
            "replaced": replaced,
            "kept_in": None if aside is None else str(aside),
            "config": text,
            "config_left_out": left_out,
        }
        print(json.dumps(found, ensure_ascii=False), flush=True)
        return
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(state.created_ns / 1e9))
    print(f"backup of {made}, edge-app {state.program}, encoder {state.encoder_name}")
    print(f"in the backup: {listed(state.classes)}")
    print(f"{'would be replaced' if args.dry_run else 'replaced'}: {listed(replaced)}")
    if aside is not None:
        print(f"what was replaced is in {aside}")
    if text:
        print(f"settings{'' if args.config else ' (--config FILE writes them)'}:\n{text.strip()}")
    if left_out:
        print(f"not in the backup, set by hand: {', '.join(left_out)}")
    print("nothing was changed (--dry-run)" if args.dry_run else "restored", flush=True)


def _write_config(path: Path, text: str) -> None:
    from edge_app.files import READABLE, write_atomically
    from edge_app.storage.errors import os_errors

    with os_errors(path.parent, f"write {path.name}"):
        if path.exists():
            write_atomically(path.with_name(f"{path.name}.before-restore"), path.read_bytes(), mode=READABLE)
        write_atomically(path, text.encode(), mode=READABLE)
    print(f"configuration written to {path}")
