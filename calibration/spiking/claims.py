"""Small measurements of claims of the papers, each by one command, results in docs/spiking.json:

    python -m calibration.spiking.claims losses --data FOLDER     hybrid, local, end-only losses at equal CPU time
    python -m calibration.spiking.claims rates --data FOLDER      rate-based backpropagation beside that through time
    python -m calibration.spiking.claims pipe --data FOLDER       pipe-S: pre-trained at T = 1, or from scratch
    python -m calibration.spiking.claims events --data FOLDER     pipe-D: the same for streams of events

losses: the encoder itself at 64 pixels, T = 8, by `seconds` of CPU time each, cosine on held-out pictures.
rates, pipe, events: small.py on 16 classes of imagenet64's train split at 32 pixels; a fifth of each class is held out.
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
from numpy.typing import NDArray
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
from edge_app.events.gradient import events_of_picture
from edge_app.files import write_atomically

Keep = Callable[[dict[str, Any]], None]
"""Writes what a claim has found so far."""
SEEDS = (0, 1, 2)
CLASSES = 16
SIDE = 32
BATCH = 64
STEPS = 8
SECONDS = {"losses": 60.0, "pipe": 90.0, "events": 200.0}
"""Processor time of each run, by the claim."""
# these were chosen on the 16 classes after those that are measured
SLOPES = (1.0, 1.2)
"""Of the hard tanh at the beginning and the end of the training at T = 1: it ends as the neuron's rate over 8 steps. A
steeper end loses more by the step to T = 8."""
PRETRAINED = {"pipe": 0.28, "events": 0.35}
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
    """Inputs (n, ...), as `shown` made them, and classes (n,)."""

    train: tuple[Tensor, Tensor]
    held_out: tuple[Tensor, Tensor]


class Task(NamedTuple):
    """Data for a small network, the channels of its input, and how a batch becomes that at T = 1 and over STEPS."""

    data: Labelled
    channels: int
    at_once: Callable[[Tensor], Tensor]
    in_steps: Callable[[Tensor], Tensor]


def labelled(data: Path, shown: Callable[[list[NDArray[np.uint8]]], Tensor], first: int = 0) -> Labelled:
    """Return the classes of imagenet64's train split from `first` on; every fifth picture of a class is held out.

    `shown`: makes inputs of the pictures (height, width, 3) of a class.
    """
    parts: list[list[Tensor]] = [[], [], [], []]
    with zipfile.ZipFile(data / "imagenet64.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("train/") and name.endswith(".jpg"))
        classes = sorted({name.split("/")[1] for name in names})[first : first + CLASSES]
        for number, label in enumerate(classes):
            members = [name for name in names if name.split("/")[1] == label]
            x = shown([decode_image(archive.read(one)) for one in members])
            out = torch.arange(len(x)) % 5 == 0
            for target, picked in ((0, ~out), (2, out)):
                parts[target].append(x[picked])
                parts[target + 1].append(torch.full((int(picked.sum()),), number))
    joined = [torch.cat(part) for part in parts]
    return Labelled((joined[0], joined[1]), (joined[2], joined[3]))


def smaller(shown: list[NDArray[np.uint8]]) -> Tensor:
    """Return pictures as (n, 3, SIDE, SIDE) float in -1..1."""
    return normalised(np.stack([cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for one in shown]))


def streams(shown: list[NDArray[np.uint8]]) -> Tensor:
    """Return the events of pictures of 2 SIDE pixels, summed over 2 x 2 pixels: (n, 8, 2, SIDE, SIDE) uint8, to 4."""
    events = np.stack([events_of_picture(one) for one in shown])
    return torch.from_numpy(events.reshape(*events.shape[:3], SIDE, 2, SIDE, 2).sum((4, 6), dtype=np.uint8))


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
    x, classes = (part[:BATCH] for part in labelled(args.data, smaller, args.first).train)
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
    """Measure pipe-S: pictures, a constant current in all steps."""
    task = Task(labelled(args.data, smaller, args.first), 3, lambda x: x, lambda x: x)
    return pretrained_or_not(task, args.seconds, PRETRAINED["pipe"])


def events(args: argparse.Namespace) -> dict[str, Any]:
    """Measure pipe-D: streams of events, a current of its own in each step; at T = 1 the mean over the steps."""
    task = Task(labelled(args.data, streams, args.first), 2, lambda x: x.float().mean(1), lambda x: x.float())
    return pretrained_or_not(task, args.seconds, PRETRAINED["events"])


def pretrained_or_not(task: Task, seconds: float, share: float) -> dict[str, Any]:
    """Train from scratch by rates over STEPS steps, and pre-trained at T = 1; time until scratch's best accuracy."""
    found: dict[str, Any] = {"T": STEPS, "seconds": seconds, "seeds": []}
    for seed in SEEDS:
        scratch = curve(SmallNetwork(CLASSES, seed, task.channels), task, seed, seconds, RATE)
        network = SmallNetwork(CLASSES, seed, task.channels)
        spent = pretrain(network, task, seed, seconds * share)
        tuned = curve(network, task, seed, seconds * TUNED, TUNING_RATE)
        best = max(accuracy for _, accuracy in scratch)
        reached = next((spent + passed for passed, accuracy in tuned if accuracy >= best), None)
        when = next(passed for passed, accuracy in scratch if accuracy >= best)
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


def pretrain(network: SmallNetwork, task: Task, seed: int, seconds: float) -> float:
    """Train at T = 1 while a hard tanh sharpens; return the CPU seconds that it took."""
    start = time.process_time()
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    draw = torch.Generator().manual_seed(seed)

    def step() -> None:
        part = (time.process_time() - start) / seconds
        set_rate(optimiser, RATE, part)
        slope = SLOPES[0] * (SLOPES[1] / SLOPES[0]) ** part
        train_step(optimiser, task.data, draw, lambda x: network.sharpened(task.at_once(x), slope))

    for_cpu_seconds(step, seconds)
    return time.process_time() - start


def curve(network: SmallNetwork, task: Task, seed: int, seconds: float, rate: float) -> list[tuple[float, float]]:
    """Train by rates with a falling learning rate; return (CPU seconds so far, held-out accuracy 0..1) as it goes."""
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    draw = torch.Generator().manual_seed(100 + seed)
    spent, points = 0.0, [(0.0, accuracy_of(network, task))]
    while spent < seconds:
        set_rate(optimiser, rate, spent / seconds)
        start = time.process_time()
        for _ in range(4):
            train_step(optimiser, task.data, draw, lambda x: network.by_rates(task.in_steps(x), STEPS))
        spent += time.process_time() - start
        # seldom: measuring takes as long as ten steps, and is not counted
        if spent - points[-1][0] > seconds / 10 or spent >= seconds:
            points.append((spent, accuracy_of(network, task)))
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
    x[mirrored] = x[mirrored].flip(-1)
    optimiser.zero_grad()
    F.cross_entropy(logits(x), data.train[1][picked]).backward()
    optimiser.step()


@torch.no_grad()
def accuracy_of(network: SmallNetwork, task: Task) -> float:
    """Return the accuracy over STEPS steps on the held-out inputs."""
    x, classes = task.data.held_out
    hits = []
    for some, wanted in zip(x.split(200), classes.split(200), strict=True):
        hits.append((network.by_rates(task.in_steps(some), STEPS).argmax(1) == wanted).float().sum())
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
    parser.add_argument("claim", choices=("losses", "rates", "pipe", "events"))
    parser.add_argument("--data", type=Path, required=True, help="folder of imagenet64.zip and grocery.zip")
    parser.add_argument("--cache", type=Path, default=Path(".cache/spiking"), help="decoded pictures")
    parser.add_argument("--seconds", type=float, help=f"of CPU time for each run (default: {SECONDS})")
    parser.add_argument("--first", type=int, default=0, help="first of the 16 classes; settings were chosen with 16")
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
        keep({"rates": rates, "pipe": pipe, "events": events}[args.claim](args))


if __name__ == "__main__":
    main()
