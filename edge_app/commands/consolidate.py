"""`edge-app consolidate`: replay the stored examples now instead of in idle time."""

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
Each stored example is learnt again, slightly enlarged, shifted or mirrored (a dream), or unchanged if its class has
been seen often enough (a rehearsal). Examples, their order and the history stay as they are; undo, relabel and forget
include an example's dreams. The command can be interrupted and continues where it stopped. The service does the same
while it is idle ([consolidation] in its configuration). docs/consolidation.md has the gain in accuracy.

examples:
  edge-app consolidate --state ~/things
  edge-app consolidate --state ~/things --dreams 4
  edge-app consolidate --state ~/things --forget
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "consolidate",
        help="replay the stored examples to raise accuracy",
        description="Learn altered views of the stored examples now; the service does it in idle time.",
        epilog=EPILOG,
    )
    add_state_options(parser)
    parser.add_argument("--dreams", type=int, metavar="N", help="dreams of one example at most (default: 1)")
    parser.add_argument(
        "--per-class",
        type=int,
        metavar="N",
        help="a class with N examples and dreams is rehearsed instead (default: 60)",
    )
    parser.add_argument(
        "--rehearsals",
        type=int,
        metavar="N",
        help="rehearsals of one example at most, its dreams included (default: 4)",
    )
    parser.add_argument("--forget", action="store_true", help="forget all dreams and rehearsals")
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Replay, or forget the dreams; return 0."""
    from edge_app.config import ConsolidationConfig
    from edge_app.errors import InputError

    if args.forget and any(bound is not None for bound in (args.dreams, args.per_class, args.rehearsals)):
        raise InputError("--forget cannot be combined with --dreams, --per-class or --rehearsals")
    config = ConsolidationConfig()
    # through the section's own check, so that an option and the configuration accept the same values
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
        rest = f", {left} left: the folder has reached half of its limit" if left else ""
        print(f"{_dreams(now - before)} learnt, {now} in total{rest}")
    return 0


def _dream(learner: "Learner", manifest: "ModelManifest", config: "ConsolidationConfig", threads: int) -> None:
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.errors import InputError
    from edge_app.learner.dreams import dream_picture

    # the encoder is not loaded in vain
    _, left = learner.dreams(config)
    if not left:
        return
    done = 0
    with TFLiteEncoder(manifest, threads=threads) as encoder, progress_bar("dreaming") as progress:
        while (task := learner.next_dream(config)) is not None:
            # a rehearsal uses the stored embedding: no picture to decode, and many in one commit
            if task.thumbnail is None:
                done += learner.learn_rehearsals(config)
            else:
                try:
                    picture = dream_picture(task.thumbnail, task.number, manifest.input_size)
                except InputError as error:  # a thumbnail that an older edge-app imported unchecked
                    learner.leave_out(task.example, str(error))
                    continue
                done += learner.learn_dream(task, encoder.encode(picture))
            progress(done, left)


def _dreams(count: int) -> str:
    return f"{count} dream{'' if count == 1 else 's'}"
