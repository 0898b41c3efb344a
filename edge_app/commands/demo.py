"""`edge-app demo`: the main job without a camera."""

import argparse
from pathlib import Path

EPILOG = """\
Photographs from scikit-image's wheel are held up before a simulated camera, turned, lit and half covered by a hand; a
virtual thumb presses the buttons. Encoder, classifier and memory are the real ones. The same seed gives the same run,
times apart.

examples:
  edge-app demo
  edge-app demo --seed 7 --shots 2 --frames 200
  edge-app demo --json > demo.json
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "demo",
        help="see it learn: a simulated camera, real photographs, a virtual thumb",
        description="Teach a few things by a press each, then let the device name what it sees; no camera needed.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another run for another seed (default 0)")
    parser.add_argument("--shots", type=int, default=4, metavar="N", help="presses for each class (default 4)")
    parser.add_argument("--frames", type=int, default=64, metavar="N", help="frames to name (default 64)")
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="where demo.png is written (default: here)"
    )
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep what was learnt in this empty or new folder")
    parser.add_argument("--model", metavar="NAME", help="encoder model, by name or manifest (default: the shipped one)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON; the transcript goes to stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the demo; raises EdgeAppError."""
    import json
    import sys

    from edge_app.demo.composition import Options, play

    options = Options(args.seed, args.shots, args.frames, args.out, args.state, args.model)
    result = play(options, sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps(result, indent=2))
    return 0
