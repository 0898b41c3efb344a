"""`edge-app rebuild`: learn the stored examples again with another encoder or other parameters."""

import argparse
import json
from typing import TYPE_CHECKING

from edge_app.commands.state_options import add_json_option, add_state_options, examples, find_manifest, progress_bar

if TYPE_CHECKING:
    from edge_app.learner.rebuild import Recognised

EPILOG = """\
The old state stays in use until the new one is complete. With the same encoder nothing is lost. With another encoder
each example is encoded again from its thumbnail (the old encoder's input as JPEG): the embeddings differ slightly from
those of the original photograph, and examples without a thumbnail are lost, which needs --accept-loss. The old database
is then kept in the folder as before-rebuild-*.sqlite. Finally the command prints how many examples were recognised
before they were learnt, with the old and with the new state.

examples:
  edge-app rebuild --state ~/things
  edge-app rebuild --state ~/things --model lite2
  edge-app rebuild --state ~/things --params paper
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "rebuild",
        help="move a state to another encoder or other parameters",
        description="Learn all stored examples again with another encoder, rate code or parameters.",
        epilog=EPILOG,
    )
    add_state_options(parser)
    add_json_option(parser)
    parser.add_argument("--params", metavar="PRESET", help="classifier's parameters (default: those of the state)")
    parser.add_argument("--accept-loss", action="store_true", help="drop examples that have no thumbnail")
    return parser


def run(args: argparse.Namespace) -> int:
    """Rebuild the state; return 0."""
    from edge_app.colanet.params import Params
    from edge_app.learner.pictures import PictureEncoder
    from edge_app.learner.rebuild import rebuild_for

    manifest = find_manifest(args.state, args.model)
    # None, not the default preset: a state keeps the parameters that it was taught with
    params = Params.preset(args.params) if args.params else None
    with PictureEncoder(manifest, threads=args.threads) as encoder, progress_bar("rebuilding") as progress:
        done = rebuild_for(
            args.state,
            manifest,
            params=params,
            threads=args.threads,
            encode=encoder.encode_thumbnail,
            accept_loss=args.accept_loss,
            progress=progress,
        )
    if args.json:
        kept = str(done.kept) if done.kept else None
        counts = {"before": done.before._asdict(), "after": done.after._asdict()}
        print(json.dumps({**done._asdict(), **counts, "kept": kept, "model": manifest.name}))
        return 0
    how = "encoded again from their thumbnails and learnt" if done.reencoded else "learnt"
    print(f"{examples(done.examples)} {how} with {manifest.name}")
    if done.lost:
        print(f"{examples(done.lost)} without a thumbnail dropped")
    if done.reencoded:
        print(f"encoder: {done.encoder} before, {manifest.name} now")
    print(f"recognised before they were learnt: {_told(done.before)} before, {_told(done.after)} now")
    if done.kept:
        print(f"the old database is kept: {done.kept}")
    return 0


def _told(found: "Recognised") -> str:
    return f"{found.right} of {found.tested}" if found.tested else "none tested"
