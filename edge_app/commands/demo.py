"""`edge-app demo`: teaching and recognition without a camera."""

import argparse
from pathlib import Path

EPILOG = """\
A simulated camera shows photographs from scikit-image's wheel, turned, lit and half covered by a hand; simulated
buttons are pressed. Encoder, classifier and storage are the real ones. The same seed gives the same run, except for
the times.

examples:
  edge-app demo
  edge-app demo --seed 7 --shots 2 --frames 200
  edge-app demo --events
  edge-app demo --json > demo.json
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "demo",
        help="teach a simulated camera, and watch it recognise what it was shown",
        description="Teach a few objects with a press each, then let the device name what it sees. Needs no camera.",
        epilog=EPILOG,
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the run (default: 0)")
    parser.add_argument("--shots", type=int, default=4, metavar="N", help="presses per class (default: 4)")
    parser.add_argument("--frames", type=int, default=64, metavar="N", help="frames to decide on (default: 64)")
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="folder for demo.png (default: the current one)"
    )
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="keep the state in this folder, which must be empty or new"
    )
    parser.add_argument("--model", metavar="NAME", help="encoder model, by name or manifest (default: the shipped one)")
    parser.add_argument(
        "--events",
        action="store_true",
        help="show the encoder events, as an event camera gives them, drawn as the model takes them",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON; the transcript goes to stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the demo. Raises EdgeAppError."""
    import json
    import sys

    from edge_app.demo.composition import Options, play

    options = Options(args.seed, args.shots, args.frames, args.out, args.state, args.model, args.events)
    result = play(options, sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps(result, indent=2))
    return 0
