"""`edge-app export`: write what was taught to a file, or to class folders."""

import argparse
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from edge_app.commands.state_options import (
    add_json_option,
    add_state_options,
    add_strictness_option,
    class_count,
    examples,
    find_manifest,
    take_account,
)

if TYPE_CHECKING:
    from edge_app.storage.store import Store

EPILOG = """\
formats:
  examples  a zip of embeddings, thumbnails, labels and checksums. `edge-app import` reads it on a device with the same
            encoder; with --re-encode, from the thumbnails, also on one with another encoder.
  folders   CLASS/N.jpg and examples.csv with everything known about each example, in a folder, or in a zip if the
            name ends in .zip. The pictures are the encoder's input. `edge-app teach --folder` reads it.
  npz       the network and the rate code as arrays of numpy, from which other programs decide as edge-app does
            (docs/npz.md). --strictness says when a decision is "unknown", as in `edge-app classify`.

A service may be running.

examples:
  edge-app export --state ~/things everything.zip
  edge-app export --state ~/things mug.zip --class mug
  edge-app export --state ~/things --as folders pictures
  edge-app export --state ~/things --as npz things.npz
"""
ZIP = ".zip"

Write = Callable[["Store", BinaryIO, Sequence[str] | None], int]
"""Writes the examples of some classes, None: of all, to a file; returns their number."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "export",
        help="write what was taught to a file",
        description="Write all examples, or those of one class: a backup, for another device, or for other programs.",
        epilog=EPILOG,
    )
    add_state_options(parser, model=False)
    add_json_option(parser)
    parser.add_argument("file", metavar="PATH", type=Path, help="file or folder to write")
    parser.add_argument(
        "--as",
        dest="kind",
        choices=("examples", "folders", "npz"),
        default="examples",
        help="format (default: examples)",
    )
    add_strictness_option(parser)
    parser.add_argument("--class", dest="label", metavar="CLASS", help="only this class")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    return parser


def run(args: argparse.Namespace) -> int:
    """Write the file or the folder; return 0."""
    from edge_app.errors import InputError
    from edge_app.rejection import check_strictness
    from edge_app.storage.exchange import write_archive
    from edge_app.storage.folders import write_folders

    check_strictness(args.strictness)
    if args.kind == "npz" and args.label is not None:
        raise InputError(f"--class {args.label}: --as npz writes the whole network; leave --class out")
    # folders cannot go through _write_file, which replaces one file in one step
    if args.kind == "folders" and args.file.suffix.lower() != ZIP:
        count = _write_folder(args)
    else:
        writers: dict[str, Write] = {
            "examples": write_archive,
            "folders": write_folders,
            "npz": partial(_write_npz, args),
        }
        count = _write_file(args, writers[args.kind])
    what = "classes" if args.kind == "npz" else "examples"
    if args.json:
        size = {} if args.file.is_dir() else {"bytes": args.file.stat().st_size}
        print(json.dumps({"file": str(args.file), what: count, **size}))
    else:
        size_mb = "" if args.file.is_dir() else f" ({args.file.stat().st_size / 1e6:.1f} MB)"
        print(f"{class_count(count) if what == 'classes' else examples(count)} written to {args.file}{size_mb}")
    return 0


def _write_file(args: argparse.Namespace, write: Write) -> int:
    from edge_app.errors import InputError
    from edge_app.files import replacing
    from edge_app.storage.errors import os_errors

    if args.file.exists() and not args.force:
        raise InputError(f"{args.file} exists: choose another name, or replace it with --force")
    with os_errors(args.file.parent, f"write {args.file.name}"), replacing(args.file) as file:
        return _write_examples(args, write, file)


def _write_folder(args: argparse.Namespace) -> int:
    """Write class folders, all or nothing: beside the folder, and renamed at the end."""
    from edge_app.errors import InputError
    from edge_app.storage.errors import os_errors
    from edge_app.storage.folders import write_folders

    target: Path = args.file
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise InputError(f"{target} exists: choose another name; only a file is replaced with --force")
    with (
        os_errors(target.parent, f"write {target.name}"),
        tempfile.TemporaryFile(dir=target.parent) as packed,  # not in /tmp: on many systems it is memory
    ):
        # packed first: as root, the examples are read in a child process of the owner's account, which can fill a file
        # that is open already but may not write beside the target
        count = _write_examples(args, write_folders, packed)
        take_account("export", target.parent)  # from here on root works by path
        # beside the target, because a rename does not cross file systems; hidden until it is complete
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part"))
        try:
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(draft)
            draft.rename(target)
        except BaseException:  # Ctrl-C must not leave a half-filled folder either
            shutil.rmtree(draft, ignore_errors=True)
            raise
    return count


def _write_npz(args: argparse.Namespace, store: "Store", file: BinaryIO, labels: Sequence[str] | None) -> int:
    """Write the network that follows from the examples; return its number of classes."""
    from edge_app.learner import Learner
    from edge_app.learner.portable import write_portable
    from edge_app.pipeline.accuracy import judge
    from edge_app.pipeline.calibrator import DecisionCalibrator

    manifest = find_manifest(args.state, None)
    calibrator = DecisionCalibrator()
    # the limit of "unknown" follows from these predictions, as in `classify` and in the service
    calibrator.follow(judge(store.examples()))
    with Learner.open(args.state, manifest, read_only=True) as learner:
        return write_portable(learner, manifest, calibrator.limit(args.strictness), file)


def _write_examples(args: argparse.Namespace, write: Write, file: BinaryIO) -> int:
    """Read the state in the account of its owner, and write its examples to an open file."""
    from edge_app.learner.corrections import members
    from edge_app.privileges import as_owner
    from edge_app.storage.folder import database_path, require_state
    from edge_app.storage.store import Store

    labels = None if args.label is None else [args.label]

    def work() -> int:
        require_state(args.state)
        with Store.reader(database_path(args.state)) as store:
            # for its error, which names the known classes
            for label in labels or ():
                members(store, label)
            count = write(store, file, labels)
        file.flush()  # as_owner may run this in a child process
        return count

    return as_owner(args.state, work)
