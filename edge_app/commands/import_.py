"""`edge-app import`: add the examples of an exported file."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge_app.commands.state_options import (
    add_json_option,
    add_state_options,
    examples,
    find_manifest,
    listed,
    open_learner,
    progress_bar,
)
from edge_app.errors import ModelMismatch

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest
    from edge_app.storage.exchange import Archive
    from edge_app.storage.records import NewExample


EPILOG = """\
Examples that are already stored are skipped. The whole file is checked before anything is imported. For a file from a
device with another encoder, --re-encode encodes its thumbnails instead; the embeddings then differ slightly from those
of the original photograph, and examples without a thumbnail are skipped.

examples:
  edge-app import --state ~/things mug.zip
  edge-app import --state ~/things --re-encode everything.zip
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "import",
        help="add the examples of an exported file",
        description="Add the examples of a file written by `edge-app export`, all of them or none.",
        epilog=EPILOG,
    )
    add_state_options(parser, creates=True)
    add_json_option(parser)
    parser.add_argument("file", metavar="FILE.zip", type=Path, help="file to read")
    parser.add_argument("--re-encode", action="store_true", help="encode the thumbnails with this device's encoder")
    return parser


def run(args: argparse.Namespace) -> int:
    """Import the examples; return 0."""
    from edge_app.storage.exchange import ROOM, Archive

    manifest = find_manifest(args.state, args.model)
    with Archive(args.file, ROOM) as archive:
        # before the state is opened: encoding may take minutes, and the state is locked while it is open
        chosen = _chosen(args, archive, manifest)
        with open_learner(args, manifest=manifest) as learner:
            action = learner.import_examples(
                chosen.examples,
                order=chosen.order,
                thumbnail=lambda index: archive.thumbnail(chosen.origin[index]),
                thumbnail_bytes=archive.unpacked_bytes,
            )
            taken = len(action.changes) if action else 0
            classes = learner.classes()
    left = {"known": len(chosen.examples) - taken, "without_thumbnail": len(archive.examples) - len(chosen.examples)}
    if args.json:
        print(json.dumps({"imported": taken, "left_out": left, "classes": classes}, ensure_ascii=False))
        return 0
    print(f"{examples(taken)} imported{_skipped(left)}")
    print(f"classes: {listed(classes)}")
    return 0


class SelectedExamples(NamedTuple):
    """The examples to import."""

    examples: "Sequence[NewExample]"
    order: list[int]
    origin: list[int]
    """Their positions in the file."""


def _chosen(args: argparse.Namespace, archive: "Archive", manifest: "ModelManifest") -> SelectedExamples:
    everything = list(range(len(archive.examples)))
    # the file states both, and it may be made up: the right hash with a wrong size
    if archive.encoder_sha256 == manifest.sha256 and archive.embedding_size == manifest.embedding_size:
        return SelectedExamples(archive.examples, archive.order, everything)
    if not args.re_encode:
        raise ModelMismatch(
            f"{args.file} was taught with the encoder {archive.encoder_name} ({archive.encoder_sha256[:12]}...), this "
            f"device uses {manifest.name} ({manifest.sha256[:12]}...): {archive.pictures} of {len(everything)} "
            "examples have a thumbnail that --re-encode can use instead; the others would be skipped"
        )
    origin = [index for index in everything if archive.has_thumbnail(index)]
    # positions shift where examples without a thumbnail are skipped
    place = {index: position for position, index in enumerate(origin)}
    order = [place[index] for index in archive.order if index in place]
    return SelectedExamples(_encoded(args, archive, manifest, origin), order, origin)


def _encoded(
    args: argparse.Namespace, archive: "Archive", manifest: "ModelManifest", origin: list[int]
) -> "list[NewExample]":
    from edge_app.learner.pictures import PictureEncoder

    found = []
    with PictureEncoder(manifest, threads=args.threads) as encoder, progress_bar("encoding") as progress:
        for index in origin:
            # never empty: `origin` holds examples with a thumbnail only
            values = encoder.encode_thumbnail(archive.thumbnail(index) or b"")
            found.append(archive.examples[index]._replace(embedding=values.tobytes()))
            progress(len(found), len(origin))
    return found


def _skipped(left: dict[str, int]) -> str:
    reasons = []
    if left["known"]:
        reasons.append(f"{examples(left['known'])} already stored")
    if left["without_thumbnail"]:
        reasons.append(f"{examples(left['without_thumbnail'])} without a thumbnail")
    return f"; skipped: {', '.join(reasons)}" if reasons else ""
