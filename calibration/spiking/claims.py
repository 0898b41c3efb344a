"""Small measurements of claims of the papers, each by one command, results in docs/spiking.json:

    python -m calibration.spiking.claims losses --data FOLDER     hybrid, local, end-only losses at equal CPU time
    python -m calibration.spiking.claims rates --data FOLDER      rate-based backpropagation beside that through time
    python -m calibration.spiking.claims pipe --data FOLDER       pipe-S: pre-trained at T = 1, or from scratch

losses: the encoder itself at 64 pixels, T = 8, by `seconds` of CPU time each, cosine on held-out pictures.
rates, pipe: small.py on 16 classes of imagenet64's train split at 32 pixels; a fifth of each class is held out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from calibration import efficientnet
from calibration.spiking import pictures
from calibration.spiking.convert import convert
from calibration.spiking.distil import Distillation, Recipe
from calibration.spiking.network import (
    Architecture,
    SourceNetwork,
    SpikingTwin,
    compiled,
    normalised,
    pooled,
    source_arrays,
)
from calibration.spiking.small import SmallNetwork
from edge_app.datasets.pictures import decode_image
from edge_app.files import write_atomically

Keep = Callable[[dict[str, Any]], None]
"""Writes what a claim has found so far."""
SEEDS = (0, 1, 2)
CLASSES = 16
SIDE = 32
BATCH = 64
SECONDS = {"losses": 60.0, "pipe": 90.0}
"""Processor time of each run, by the claim."""
SLOPES = (1.0, 1.2)
"""Of the hard tanh at the beginning and the end of the training at T = 1: it ends as the neuron's rate over 8 steps. A
steeper end loses more by the step to T = 8 (chosen on 16 other classes)."""
PRETRAINED = 0.28
"""Share of the seconds of a run from scratch that the training at T = 1 takes."""
TUNED = 0.1
"""Share that the training by rates after it takes."""
RATE = 1e-3
"""Learning rate at first, from scratch and at T = 1; it falls linearly."""
TUNING_RATE = 5e-5
"""The same of the training by rates after the one at T = 1."""
LOSSES: dict[str, dict[str, Any]] = {
    "end only": {"hybrid": 0.0, "maps": 0.0},
    "hybrids": {"hybrid": 0.5, "maps": 0.0},
    "maps of each unit, gradients through all": {"hybrid": 0.0, "maps": 1.0},
    "local: maps, no gradient between units": {"hybrid": 0.0, "maps": 1.0, "apart": True},
    "hybrids and maps": {"hybrid": 0.5, "maps": 1.0},
}


class Labelled(NamedTuple):
    """Pictures (n, 3, 32, 32) float in -1..1 and classes (n,)."""

    train: tuple[Tensor, Tensor]
    held_out: tuple[Tensor, Tensor]


def labelled(data: Path) -> Labelled:
    """Return the first classes of imagenet64's train split; every fifth picture of a class is held out."""
    parts: list[list[Tensor]] = [[], [], [], []]
    with zipfile.ZipFile(data / "imagenet64.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("train/") and name.endswith(".jpg"))
        classes = sorted({name.split("/")[1] for name in names})[:CLASSES]
        for number, label in enumerate(classes):
            members = [name for name in names if name.split("/")[1] == label]
            shown = [
                cv2.resize(decode_image(archive.read(one)), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
                for one in members
            ]
            x = normalised(np.stack(shown))
            out = torch.arange(len(x)) % 5 == 0
            for target, picked in ((0, ~out), (2, out)):
                parts[target].append(x[picked])
                parts[target + 1].append(torch.full((int(picked.sum()),), number))
    joined = [torch.cat(part) for part in parts]
    return Labelled((joined[0], joined[1]), (joined[2], joined[3]))


def losses(args: argparse.Namespace, found: dict[str, Any], keep: Keep) -> dict[str, Any]:
    """Distil the encoder at 64 pixels with each loss, for the same CPU time; go on where an earlier run ended."""
    weights = efficientnet.load_weights("lite0")
    architecture = Architecture()
    arrays = source_arrays(weights, architecture)
    source = SourceNetwork(arrays, architecture)
    head = (torch.from_numpy(weights["_fc.weight"]).float(), torch.from_numpy(weights["_fc.bias"]).float())
    pools = pictures.load(args.data, args.cache)
    side = 64
    held_out = normalised(
        np.concatenate([pictures.whole(pool.validation[:: len(pool.validation) // 32], side) for pool in pools])
    )
    spike = compiled()

    @torch.no_grad()
    def cosine(twin: SpikingTwin) -> float:
        wanted, got = (pooled(one.run(held_out), architecture) for one in (source, twin))
        return float(F.cosine_similarity(got, wanted).mean())

    asked = {"T": 8, "side": side, "seconds": args.seconds, "seeds": len(SEEDS)}
    if any(found.get(key) != value for key, value in asked.items()):
        found = dict(asked)
    for name, options in LOSSES.items():
        row = found.setdefault(name, [])
        for seed in SEEDS[len(row) :]:
            twin = SpikingTwin(arrays, architecture, [8] * len(arrays))
            convert(source, twin, normalised(pictures.views(pools, side, seed, 1 << 30, range(96))))
            twin.spike = spike
            before = cosine(twin)

            def views(step: int, places: range, seed: int = seed) -> tuple[Tensor, Tensor]:
                shown = normalised(pictures.views(pools, side, seed, step, places))
                return shown, shown

            with tempfile.TemporaryDirectory() as folder:
                recipe = Recipe(steps=10_000, seed=seed, **options)
                run = Distillation(source, head, twin, recipe, views, Path(folder))
                steps = for_cpu_seconds(run.step, args.seconds)
            row.append({"converted": round(before, 4), "distilled": round(cosine(twin), 4), "steps": steps})
            print(name, seed, row[-1], flush=True)
            keep(found)
    return found


def rates(args: argparse.Namespace) -> dict[str, Any]:
    """Measure memory that the graph keeps, and time, of both ways over T; and how alike their gradients are."""
    x, classes = (part[:BATCH] for part in labelled(args.data).train)
    found: dict[str, Any] = {"batch": BATCH, "rows": []}
    for steps in (2, 4, 8, 16, 32):
        row: dict[str, Any] = {"T": steps}
        grads = {}
        for name in ("through_time", "by_rates"):
            network = SmallNetwork(CLASSES, 0)
            kept = KeptBytes()
            start = time.process_time()
            with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor):
                loss = F.cross_entropy(getattr(network, name)(x, steps), classes)
            grads[name] = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()))])
            row[name] = {"seconds": round(time.process_time() - start, 3), "megabytes": round(kept.total / 1e6, 1)}
        row["cosine"] = round(float(F.cosine_similarity(grads["through_time"], grads["by_rates"], dim=0)), 3)
        found["rows"].append(row)
        print(row, flush=True)
    return found


class KeptBytes:
    """Adds up the tensors that a graph keeps for its backward pass, each storage once."""

    def __init__(self) -> None:
        self.total = 0
        self._seen: set[int] = set()

    def pack(self, tensor: Tensor) -> Tensor:
        """Count a tensor."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.total += storage.nbytes()
        return tensor


def pipe(args: argparse.Namespace) -> dict[str, Any]:
    """Train from scratch by rates at T = 8, and pre-trained at T = 1; time until scratch's best accuracy."""
    data = labelled(args.data)
    found: dict[str, Any] = {"T": 8, "seconds": args.seconds, "seeds": []}
    for seed in SEEDS:
        scratch = curve(SmallNetwork(CLASSES, seed), data, seed, args.seconds, RATE)
        network = SmallNetwork(CLASSES, seed)
        spent = pretrain(network, data, seed, args.seconds * PRETRAINED)
        tuned = curve(network, data, seed, args.seconds * TUNED, TUNING_RATE)
        best = max(accuracy for _, accuracy in scratch)
        reached = next((spent + seconds for seconds, accuracy in tuned if accuracy >= best), None)
        when = next(seconds for seconds, accuracy in scratch if accuracy >= best)
        row = {
            "scratch_best": best,
            "scratch_seconds": round(when, 1),
            "carried_over": tuned[0][1],
            "pretrained_best": max(accuracy for _, accuracy in tuned),
            "pretrained_seconds": None if reached is None else round(reached, 1),
        }
        found["seeds"].append(row)
        print(row, flush=True)
    return found


def pretrain(network: SmallNetwork, data: Labelled, seed: int, seconds: float) -> float:
    """Train at T = 1 while a hard tanh sharpens; return the CPU seconds that it took."""
    start = time.process_time()
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    draw = torch.Generator().manual_seed(seed)

    def step() -> None:
        part = (time.process_time() - start) / seconds
        set_rate(optimiser, RATE, part)
        slope = SLOPES[0] * (SLOPES[1] / SLOPES[0]) ** part
        train_step(optimiser, data, draw, lambda x: network.sharpened(x, slope))

    for_cpu_seconds(step, seconds)
    return time.process_time() - start


def curve(network: SmallNetwork, data: Labelled, seed: int, seconds: float, rate: float) -> list[tuple[float, float]]:
    """Train by rates with a falling learning rate; return (CPU seconds so far, held-out accuracy 0..1) as it goes."""
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    draw = torch.Generator().manual_seed(100 + seed)
    spent, points = 0.0, [(0.0, accuracy_of(network, data))]
    while spent < seconds:
        set_rate(optimiser, rate, spent / seconds)
        start = time.process_time()
        for _ in range(4):
            train_step(optimiser, data, draw, lambda x: network.by_rates(x, 8))
        spent += time.process_time() - start
        # seldom: measuring takes as long as ten steps, and is not counted
        if spent - points[-1][0] > seconds / 10 or spent >= seconds:
            points.append((spent, accuracy_of(network, data)))
    return points


def set_rate(optimiser: torch.optim.Optimizer, rate: float, part: float) -> None:
    """Set the learning rate after a part, 0..1, of the time: it falls linearly to about none."""
    for group in optimiser.param_groups:
        group["lr"] = rate * max(1 - part, 0.01)


def train_step(
    optimiser: torch.optim.Optimizer, data: Labelled, draw: torch.Generator, logits: Callable[[Tensor], Tensor]
) -> None:
    """Take one step on a random batch, mirrored at random."""
    picked = torch.randint(len(data.train[0]), (BATCH,), generator=draw)
    x = data.train[0][picked]
    mirrored = torch.rand(BATCH, generator=draw) < 0.5
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    optimiser.zero_grad()
    F.cross_entropy(logits(x), data.train[1][picked]).backward()
    optimiser.step()


@torch.no_grad()
def accuracy_of(network: SmallNetwork, data: Labelled) -> float:
    """Return the accuracy at T = 8 on the held-out pictures."""
    x, classes = data.held_out
    hits = [
        (network.by_rates(x[start : start + 200], 8).argmax(1) == classes[start : start + 200]).float().sum()
        for start in range(0, len(x), 200)
    ]
    return round(float(torch.stack(hits).sum()) / len(x), 4)


def for_cpu_seconds(action: Callable[[], object], seconds: float) -> int:
    """Repeat an action until it has used so much CPU time; return how often."""
    start = time.process_time()
    count = 0
    while time.process_time() - start < seconds:
        action()
        count += 1
    return count


def main() -> None:
    """Measure one claim, and keep its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claim", choices=("losses", "rates", "pipe"))
    parser.add_argument("--data", type=Path, required=True, help="folder of imagenet64.zip and grocery.zip")
    parser.add_argument("--cache", type=Path, default=Path(".cache/spiking"), help="decoded pictures")
    parser.add_argument("--seconds", type=float, help="of CPU time for each run (default: losses 60, pipe 90)")
    parser.add_argument("--json", type=Path, default=Path("docs/spiking.json"), help="where the figures are kept")
    args = parser.parse_args()
    args.seconds = args.seconds or SECONDS.get(args.claim)
    torch.set_num_threads(1)
    kept = json.loads(args.json.read_text(encoding="ascii")) if args.json.is_file() else {}

    def keep(found: dict[str, Any]) -> None:
        write_atomically(args.json, (json.dumps(kept | {args.claim: found}, indent=1) + "\n").encode(), mode=0o644)

    if args.claim == "losses":
        keep(losses(args, kept.get("losses", {}), keep))
    else:
        keep({"rates": rates, "pipe": pipe}[args.claim](args))


if __name__ == "__main__":
    main()
