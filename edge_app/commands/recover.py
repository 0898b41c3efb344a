"""`edge-app recover`: save the intact part of a damaged state."""

import argparse
import json
from typing import TYPE_CHECKING

from edge_app.commands.state_options import add_json_option, add_state_options, examples

if TYPE_CHECKING:
    from edge_app.storage.records import Binding


EPILOG = """\
The damaged files are kept in damaged-N in the state folder. Every example has a checksum: a saved example is exactly
what was taught. Undo cannot go back beyond a recovery.

examples:
  edge-app recover --state ~/things
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "recover",
        help="save the intact part of a damaged state",
        description="Replace a damaged database by one with everything that can still be read.",
        epilog=EPILOG,
    )
    add_state_options(parser)
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Recover the state; return 0."""
    from edge_app.storage.recovery import recover

    done = recover(args.state, _binding(args))
    if args.json:
        print(
            json.dumps(
                {"damaged": False} if done is None else {**done._asdict(), "aside": str(done.aside), "damaged": True}
            )
        )
        return 0
    if done is None:
        print(f"{args.state} is not damaged; nothing was changed")
        return 0
    print(f"{examples(done.saved)} saved, {done.lost} lost, {done.thumbnails_lost} thumbnails lost")
    if done.changes_lost:
        print(f"the last {done.changes_lost} changes were lost with the end of the write-ahead log")
    if done.binding_assumed:
        print("the record of the encoder was lost; the model in use was assumed")
    print(f"the damaged files are in {done.aside}")
    return 0


def _binding(args: argparse.Namespace) -> "Binding | None":
    """Return the binding to assume if the state's own record is lost: that of --model."""
    if args.model is None:
        return None
    from edge_app.colanet.params import Params
    from edge_app.encoder.model import load_manifest
    from edge_app.encoder.ratecode import RateCode
    from edge_app.learner.state import binding_of

    manifest = load_manifest(args.model)
    return binding_of(manifest, RateCode.for_model(manifest), Params())
