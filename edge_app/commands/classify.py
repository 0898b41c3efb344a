"""`edge-app classify`: decide on image files."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge_app.commands.live_options import add_live_options, open_device
from edge_app.commands.state_options import (
    add_json_option,
    add_state_options,
    add_strictness_option,
    find_manifest,
    open_learner,
    require_state_option,
)

if TYPE_CHECKING:
    from edge_app.messages import Decision
    from edge_app.pipeline.calibrator import Verdict

EPILOG = """\
The decision is the class whose column spiked most; the margin is its lead over the second. "unknown" means that no
column spiked, or, unless --strictness is 0, that the image is too unlike the examples. A file that cannot be read is
reported, the others are still classified, and the exit status is 2. The state is only read, so a service may be
running; with --live that service decides, with its own strictness.

examples:
  edge-app classify --state ~/things what-is-this.jpg
  edge-app classify --state ~/things --json *.jpg
  edge-app classify --live what-is-this.jpg
"""

OCTAVE = 1024
"""Units of a novelty."""
# more would wrap in a terminal
SHOWN = 6
"""Columns shown for each image; --json has all."""


class Named(NamedTuple):
    """The result for an image."""

    file: str
    label: str | None
    """None: unknown."""
    nearest: str | None
    confidence: float
    """0..1."""
    novelty: float
    """In octaves."""
    margin: int
    spikes: dict[str, int]
    first_spike: dict[str, int]


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "classify",
        help="classify image files",
        description="Decide which of the taught classes each image file shows.",
        epilog=EPILOG,
    )
    add_state_options(parser, needed=False)
    add_json_option(parser)
    add_live_options(parser)
    parser.add_argument("--live", action="store_true", help="let a running service decide")
    add_strictness_option(parser)
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="image file")
    return parser


def run(args: argparse.Namespace) -> int:
    """Classify each file; return 0, or 2 if a file could not be read."""
    from edge_app.errors import InputError

    decisions: list[Named] = []
    failed = []
    with _live_decider(args) if args.live else _stored_decider(args) as decide:
        for file in args.files:
            try:
                decisions.append(decide(file))
            except InputError as error:
                failed.append({"file": str(file), "error": str(error)})
                print(f"edge-app classify: {error}", file=sys.stderr)
    if args.json:
        found = [one._asdict() for one in decisions]
        print(json.dumps({"decisions": found, "failed": failed}, ensure_ascii=False, indent=1))
    else:
        print_table(decisions)
    return 2 if failed else 0


@contextmanager
def _stored_decider(args: argparse.Namespace) -> "Iterator[Callable[[Path], Named]]":
    """Yield a function that decides on a file with what is stored in --state."""
    from edge_app.learner.pictures import PictureEncoder
    from edge_app.pipeline.accuracy import judge
    from edge_app.pipeline.calibrator import DecisionCalibrator
    from edge_app.rejection import check_strictness
    from edge_app.storage.folder import require_state

    # arguments and folder first: loading the encoder takes longer than everything else here
    strictness = check_strictness(args.strictness)
    require_state_option(args)
    require_state(args.state)
    manifest = find_manifest(args.state, args.model)
    calibrator = DecisionCalibrator()
    with (
        PictureEncoder(manifest, threads=args.threads) as encoder,
        # read-only needs no lock, which a running service holds
        open_learner(args, read_only=True, manifest=manifest) as learner,
    ):
        # the same history of right and wrong predictions that a service calibrates on
        calibrator.follow(judge(learner.examples()))

        def decide(file: Path) -> Named:
            decision = learner.classify(encoder.read(file).embedding)
            return _named(file, decision, calibrator.verdict(decision, strictness))

        yield decide


def _named(file: Path, decision: "Decision", verdict: "Verdict") -> Named:
    return Named(
        file=str(file),
        label=verdict.label,
        nearest=decision.label,
        confidence=round(verdict.confidence, 4),
        novelty=round(decision.novelty / OCTAVE, 3),
        margin=int(decision.margin),
        spikes=dict(zip(decision.labels, map(int, decision.spikes), strict=True)),
        first_spike=dict(zip(decision.labels, map(int, decision.first_spike), strict=True)),
    )


@contextmanager
def _live_decider(args: argparse.Namespace) -> "Iterator[Callable[[Path], Named]]":
    """Yield a function that lets a running service decide on a file."""
    from edge_app.client import RequestRejected
    from edge_app.datasets.pictures import read_picture_file
    from edge_app.errors import InputError

    device = open_device(args)

    def decide(file: Path) -> Named:
        try:
            found = device.send("/classify", read_picture_file(file))
        except RequestRejected as error:
            # 413 and 422 are about this file, and the next may be fine; any other status would meet them all
            if error.status not in (413, 422):
                raise
            raise InputError(f"{file}: {error}") from error
        return Named(str(file), **{name: found[name] for name in Named._fields if name != "file"})

    yield decide


def print_table(decisions: Sequence[Named]) -> None:
    """Print a line per image: file, decision, margin, spikes of the columns that spiked most."""
    rows = [("file", "decision", "sure", "margin", "spikes per column")]
    rows += [
        (one.file, one.label or "unknown", f"{one.confidence:.0%}", str(one.margin), _spikes(one.spikes))
        for one in decisions
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    # no heading above an empty table
    for file, label, sure, margin, spikes in rows if decisions else ():
        print(f"{file:<{widths[0]}}  {label:<{widths[1]}}  {sure:>{widths[2]}}  {margin:>{widths[3]}}  {spikes}")


def _spikes(spikes: Mapping[str, int]) -> str:
    shown = [f"{label} {count}" for label, count in sorted(spikes.items(), key=lambda item: -item[1])[:SHOWN]]
    rest = len(spikes) - len(shown)
    return ", ".join(shown) + (f", and {rest} more" if rest else "") if shown else "no classes taught yet"
