"""`edge-app consolidate`: dream of what was taught, at once instead of in idle time."""

import argparse
import json
from typing import TYPE_CHECKING

from edge_app.commands.state_options import (
    add_json_option,
    add_state_options,
    find_manifest,
    open_learner,
    progress_bar,
)

if TYPE_CHECKING:
    from edge_app.config import ConsolidationConfig
    from edge_app.encoder.model import ModelManifest
    from edge_app.learner import Learner

EPILOG = """\
Each stored example is seen again a little closer, off its middle or in a mirror, and learnt so; of a class that was
seen often enough it is rehearsed as it was. What was taught, its
order and its history stay as they are: undo, relabel and forget take an example's dreams along. It can be interrupted
and called again at any time, and goes on where it was; when all is dreamt, nothing happens. The service does the same
while nothing happens on camera ([consolidation] in its configuration). What it is worth: docs/consolidation.md.

examples:
  edge-app consolidate --state ~/things
  edge-app consolidate --state ~/things --dreams 4
  edge-app consolidate --state ~/things --forget
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser and return it."""
    parser = subparsers.add_parser(
        "consolidate",
        help="go through the stored examples again, altered, to know them better",
        description="Learn altered views of what was taught: what the service does in idle time, at once.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_state_options(parser)
    parser.add_argument("--dreams", type=int, metavar="N", help="dreams of one example at most (default: 1)")
    parser.add_argument(
        "--per-class",
        type=int,
        metavar="N",
        help="examples and dreams of a class from which on it is rehearsed instead (default: 60)",
    )
    parser.add_argument(
        "--rehearsals", type=int, metavar="N", help="of one example at most, dreams of it counted (default: 4)"
    )
    parser.add_argument("--forget", action="store_true", help="forget all dreams, as if there had never been any")
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Dream, or forget the dreams; return 0."""
    from edge_app.config import ConsolidationConfig
    from edge_app.errors import InputError

    if args.forget and any(bound is not None for bound in (args.dreams, args.per_class, args.rehearsals)):
        raise InputError("--forget forgets all dreams: give it without --dreams, --per-class and --rehearsals")
    config = ConsolidationConfig()
    for key, value in (("dreams", args.dreams), ("per_class", args.per_class), ("rehearsals", args.rehearsals)):
        config = config.changed(key, value, f"--{key.replace('_', '-')}")
    manifest = find_manifest(args.state, args.model)
    with open_learner(args, manifest=manifest) as learner:
        before, _ = learner.dreams(config)
        if args.forget:
            learner.forget_dreams()
        else:
            _dream(learner, manifest, config, args.threads)
        now, left = learner.dreams(config)
    if args.json:
        print(json.dumps({"before": before, "dreams": now, "left": left}))
    elif args.forget:
        print(f"{_dreams(before)} forgotten")
    else:
        rest = f", {left} left to make: the folder is half full of its cap" if left else ""
        print(f"{_dreams(now - before)} learnt, {now} in all{rest}")
    return 0


def _dream(learner: "Learner", manifest: "ModelManifest", config: "ConsolidationConfig", threads: int) -> None:
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.learner.dreams import dream_picture

    _, left = learner.dreams(config)
    if not left:
        return
    done = 0
    with TFLiteEncoder(manifest, threads=threads) as encoder, progress_bar("dreaming") as progress:
        while (task := learner.next_dream(config)) is not None:
            if task.thumbnail is None:
                done += learner.learn_rehearsals(config)
            else:
                picture = dream_picture(task.thumbnail, task.number, manifest.input_size)
                done += learner.learn_dream(task, encoder.encode(picture))
            progress(done, left)


def _dreams(count: int) -> str:
    return f"{count} dream{'' if count == 1 else 's'}"
