"""`edge-app classify`: decide on image files."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_app.commands.state_options import add_json_option, add_state_options, find_manifest, open_learner

if TYPE_CHECKING:
    from edge_app.messages import Decision

EPILOG = """\
The decision is the class whose column spiked most; the margin is its lead over the second. "unknown" means that no
column spiked. A file that cannot be read is reported, the others are still classified, and the exit status is 2. The
state is only read, so a service may be running.

examples:
  edge-app classify --state ~/things what-is-this.jpg
  edge-app classify --state ~/things --json *.jpg
"""

SHOWN = 6
"""Columns shown for each image; --json has all."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "classify",
        help="classify image files",
        description="Decide which of the taught classes each image file shows.",
        epilog=EPILOG,
    )
    add_state_options(parser)
    add_json_option(parser)
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="image file")
    return parser


def run(args: argparse.Namespace) -> int:
    """Classify each file; return 0, or 2 if a file could not be read."""
    from edge_app.errors import InputError
    from edge_app.learner.pictures import PictureEncoder
    from edge_app.storage.folder import require_state

    require_state(args.state)
    manifest = find_manifest(args.state, args.model)
    decisions: list[tuple[str, Decision]] = []
    failed = []
    with (
        PictureEncoder(manifest, threads=args.threads) as encoder,
        open_learner(args, read_only=True, manifest=manifest) as learner,
    ):
        for file in args.files:
            try:
                decisions.append((str(file), learner.classify(encoder.read(file).embedding)))
            except InputError as error:
                failed.append({"file": str(file), "error": str(error)})
                print(f"edge-app classify: {error}", file=sys.stderr)
    if args.json:
        found = [as_json(file, decision) for file, decision in decisions]
        print(json.dumps({"decisions": found, "failed": failed}, ensure_ascii=False, indent=1))
    else:
        print_table(decisions)
    return 2 if failed else 0


def as_json(file: str, decision: "Decision") -> dict[str, object]:
    """Return a decision as JSON values; a label of null means unknown."""
    return {
        "file": file,
        "label": decision.label,
        "margin": int(decision.margin),
        "spikes": dict(zip(decision.labels, map(int, decision.spikes), strict=True)),
        "first_spike": dict(zip(decision.labels, map(int, decision.first_spike), strict=True)),
    }


def print_table(decisions: "list[tuple[str, Decision]]") -> None:
    """Print a line per image: file, decision, margin, spikes of the columns that spiked most."""
    rows = [("file", "decision", "margin", "spikes per column")]
    rows += [(file, item.label or "unknown", str(item.margin), _spikes(item)) for file, item in decisions]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for file, label, margin, spikes in rows if decisions else ():
        print(f"{file:<{widths[0]}}  {label:<{widths[1]}}  {margin:>{widths[2]}}  {spikes}")


def _spikes(decision: "Decision") -> str:
    order = sorted(range(len(decision.labels)), key=lambda index: -int(decision.spikes[index]))
    shown = [f"{decision.labels[index]} {int(decision.spikes[index])}" for index in order[:SHOWN]]
    rest = len(order) - len(shown)
    return ", ".join(shown) + (f", and {rest} more" if rest else "") if shown else "no classes taught yet"
