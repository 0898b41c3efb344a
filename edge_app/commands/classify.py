"""`edge-app classify`: decide on image files."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge_app.commands.state_options import add_json_option, add_state_options, find_manifest, open_learner

if TYPE_CHECKING:
    from edge_app.messages import Decision

EPILOG = """\
The decision is the class whose column spiked most; the margin is its lead over the second. "unknown" means that no
column spiked, or that the image is too unlike the examples: --strictness 0 always names a class. A file that cannot be
read is reported, the others are still classified, and the exit status is 2. The state is only read, so a service may
be running.

examples:
  edge-app classify --state ~/things what-is-this.jpg
  edge-app classify --state ~/things --json *.jpg
"""

DEFAULT_STRICTNESS = 0.5
OCTAVE = 1024
"""Units of a novelty."""
SHOWN = 6
"""Columns shown for each image; --json has all."""


class Named(NamedTuple):
    """The result for an image."""

    label: str | None
    """None: unknown."""
    confidence: float
    """0..1."""
    decision: "Decision"


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
    parser.add_argument(
        "--strictness",
        type=float,
        default=DEFAULT_STRICTNESS,
        metavar="S",
        help=f'when an image is "unknown", from 0 (never) to 1 (unless it is certain) (default {DEFAULT_STRICTNESS:g})',
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="image file")
    return parser


def run(args: argparse.Namespace) -> int:
    """Classify each file; return 0, or 2 if a file could not be read."""
    from edge_app.errors import InputError
    from edge_app.learner.pictures import PictureEncoder
    from edge_app.pipeline.accuracy import judge
    from edge_app.pipeline.calibrator import DecisionCalibrator
    from edge_app.rejection import check_strictness
    from edge_app.storage.folder import require_state

    strictness = check_strictness(args.strictness)
    require_state(args.state)
    manifest = find_manifest(args.state, args.model)
    decisions: list[tuple[str, Named]] = []
    calibrator = DecisionCalibrator()
    failed = []
    with (
        PictureEncoder(manifest, threads=args.threads) as encoder,
        open_learner(args, read_only=True, manifest=manifest) as learner,
    ):
        calibrator.follow(judge(learner.examples()))
        limit = calibrator.limit(strictness)
        for file in args.files:
            try:
                decision = learner.classify(encoder.read(file).embedding)
                label = None if limit is not None and decision.novelty > limit else decision.label
                sure = calibrator.confidence(decision) if label is not None else 0.0
                decisions.append((str(file), Named(label, sure, decision)))
            except InputError as error:
                failed.append({"file": str(file), "error": str(error)})
                print(f"edge-app classify: {error}", file=sys.stderr)
    if args.json:
        found = [as_json(file, decision) for file, decision in decisions]
        print(json.dumps({"decisions": found, "failed": failed}, ensure_ascii=False, indent=1))
    else:
        print_table(decisions)
    return 2 if failed else 0


def as_json(file: str, named: Named) -> dict[str, object]:
    """Return a decision as JSON values; a label of null means unknown."""
    decision = named.decision
    return {
        "file": file,
        "label": named.label,
        "nearest": decision.label,
        "confidence": round(named.confidence, 4),
        "novelty": round(decision.novelty / OCTAVE, 3),
        "margin": int(decision.margin),
        "spikes": dict(zip(decision.labels, map(int, decision.spikes), strict=True)),
        "first_spike": dict(zip(decision.labels, map(int, decision.first_spike), strict=True)),
    }


def print_table(decisions: Sequence[tuple[str, Named]]) -> None:
    """Print a line per image: file, decision, margin, spikes of the columns that spiked most."""
    rows = [("file", "decision", "sure", "margin", "spikes per column")]
    rows += [
        (file, one.label or "unknown", f"{one.confidence:.0%}", str(one.decision.margin), _spikes(one.decision))
        for file, one in decisions
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for file, label, sure, margin, spikes in rows if decisions else ():
        print(f"{file:<{widths[0]}}  {label:<{widths[1]}}  {sure:>{widths[2]}}  {margin:>{widths[3]}}  {spikes}")


def _spikes(decision: "Decision") -> str:
    order = sorted(range(len(decision.labels)), key=lambda index: -int(decision.spikes[index]))
    shown = [f"{decision.labels[index]} {int(decision.spikes[index])}" for index in order[:SHOWN]]
    rest = len(order) - len(shown)
    return ", ".join(shown) + (f", and {rest} more" if rest else "") if shown else "no classes taught yet"
