"""`edge-app teach`: teach a class from image files, or the classes of a data set."""

import argparse
import json
import sys
import time
from pathlib import Path

from edge_app.commands.live_options import add_live_options, open_device
from edge_app.commands.state_options import (
    add_json_option,
    add_state_options,
    classes_in_all,
    examples,
    find_manifest,
    open_learner,
    require_state_option,
)
from edge_app.commands.teach_folder import add_folder_options, teach_folder

EPILOG = """\
An example is stored before it is reported. A file that cannot be read is reported, the others are still taught, and the
exit status is 2.

examples:
  edge-app teach --state ~/things mug mug1.jpg mug2.jpg
  edge-app teach --state ~/things "red pen" pens/*.jpg
  edge-app teach --state ~/things --folder photos/ --dry-run      # show its classes
  edge-app teach --state ~/things --folder photos.zip
  edge-app teach --live mug                  # the current frame of the running service
  edge-app teach --live --folder photos/     # sent to the running service
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "teach",
        help="teach a class from image files",
        description="Teach a class from image files. A new class is added; a missing state folder is created.",
        epilog=EPILOG,
    )
    add_state_options(parser, needed=False, creates=True)
    add_json_option(parser)
    add_live_options(parser)
    parser.add_argument(
        "--live", action="store_true", help="teach a running service: its current frame, or with --folder a data set"
    )
    add_folder_options(parser)
    parser.add_argument("label", metavar="CLASS", nargs="?", help="name of the class")
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="image file")
    return parser


def run(args: argparse.Namespace) -> int:
    """Teach each file; return 0, or 2 if a file could not be read."""
    from edge_app.errors import InputError
    from edge_app.labels import check_label
    from edge_app.learner.pictures import PictureEncoder
    from edge_app.pipeline.coach import Coach

    if args.folder is not None:
        return teach_folder(args)
    if args.label is None:
        raise InputError("no class was named: edge-app teach CLASS FILE..., or --folder PATH for a data set")
    label = check_label(args.label)
    if args.live:
        return _teach_live(args, label)
    require_state_option(args)
    if not args.files:
        raise InputError("no image files: name some, or give --live to teach the current frame of a running service")
    manifest = find_manifest(args.state, args.model)
    taught, failed = [], []
    with PictureEncoder(manifest, threads=args.threads) as encoder, open_learner(args, manifest=manifest) as learner:
        coach = Coach(learner.spike_counts_of)
        coach.follow(learner.examples())
        coach.load(None)
        for file in args.files:
            try:
                picture = encoder.read(file)
            except InputError as error:
                failed.append({"file": str(file), "error": str(error)})
                print(f"edge-app teach: {error}", file=sys.stderr)
                continue
            done = learner.teach(picture.embedding, label, source=str(file), thumbnail=picture.thumbnail)
            counts, before = learner.spike_counts(picture.embedding), done.before.label
            advice = [one.text for one in coach.taught(done.example_id, label, time.time_ns(), counts, picture.image)]
            taught.append({"file": str(file), "example": done.example_id, "before": before, "advice": advice})
            if not args.json:
                said = "".join(f"; {text}" for text in advice)
                # flushed: a line says that the example is on disk, also to a reader of a pipe when this process is
                # killed
                print(f"example {done.example_id}: {file} is {label} (before: {before or 'unknown'}){said}", flush=True)
        learner.wait()  # a full class is rebuilt in the background; its error belongs to this command
        classes = learner.classes()
    if args.json:
        print(json.dumps({"label": label, "taught": taught, "failed": failed, "classes": classes}, ensure_ascii=False))
    elif taught:
        print(f"{label}: {examples(classes.get(label, 0))} now, {classes_in_all(len(classes))}")
    return 2 if failed else 0


def _teach_live(args: argparse.Namespace, label: str) -> int:
    from edge_app.client import class_path
    from edge_app.errors import InputError

    if args.files:
        raise InputError("--live teaches the current frame: it takes no image files")
    taught = open_device(args).change(class_path(label, "/teach"), {})
    if args.json:
        print(json.dumps(taught, ensure_ascii=False))
    else:
        before = taught["before"]["label"] or "unknown"
        said = "".join(f"; {one['text']}" for one in taught["advice"])
        print(f"example {taught['example']}: frame {taught['frame']} is {taught['label']} (before: {before}){said}")
    return 0
