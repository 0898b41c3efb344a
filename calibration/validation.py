"""Validation splits inside training data, and learning curves on them, for searching and comparing parameters.

No image of a test split is read. One network learns the examples in stages, first one of each class, then more up to 5,
10 and 20 of each, then the rest, in seeded random order within a stage, and is tested after each stage. So learning the
data once gives all few-shot rows and the `all` row.

sign_digits: the training part of the draw that `edge-app evaluate --seed 0` makes; a quarter of it is held out.
grocery:     its `train` split. Neighbouring pictures of a class are near-duplicates, and a random split of them is too
             easy. So each class, sorted by name, is cut into thirds: one is held out, its neighbours are left out.
imagenet64:  its `train` split, a quarter of it held out; for speed only some images of each class, unless all are asked
             for.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet.network import CoLaNET
from edge_app.datasets.contents import Item
from edge_app.datasets.dataset import Dataset
from edge_app.errors import InputError
from edge_app.evaluation.embedding import StagedEmbedder, embed
from edge_app.evaluation.splits import SplitChoice, draw, presentation_order

SHOTS = (1, 5, 10, 20)
THIRDS = 3
HELD_OUT = 0.25
IMAGES_OF_A_CLASS = 80
"""Of imagenet64, used unless asked otherwise: 60 learnt, 20 tested."""

_POOL_ORDER, _SPLIT_ORDER, _STAGE_ORDER = 1000, 1001, 1002
"""Numbers that keep the seeded orders of `presentation_order` apart from those of passes, and from one another."""


@dataclass(frozen=True)
class TrainingSet:
    """A data set, and how its training data are split.

    split: folder to take images from. test_drawn: whether that folder holds the test images of `edge-app evaluate
    --seed 0` too, which are left out. method: "random" images of a class are held out, or a contiguous "third".
    limit: images of a class that are used; None for all.
    """

    name: str
    file: str
    split: str
    test_drawn: bool
    method: Literal["random", "third"]
    shots: tuple[int, ...]
    limit: int | None = None


SOURCES = {
    "sign_digits": TrainingSet("sign_digits", "sign_digits.zip", "all", True, "random", SHOTS),
    "grocery": TrainingSet("grocery", "grocery.zip", "train", False, "third", SHOTS[:3]),
    "imagenet64": TrainingSet("imagenet64", "imagenet64.zip", "train", False, "random", SHOTS[:3], IMAGES_OF_A_CLASS),
}


class CurveStage(NamedTuple):
    """Examples that are learnt, in this order, before a test."""

    row: str
    """Name of the test's row: the shots of each class, or "all"."""
    learn: tuple[int, ...]


class Curve(NamedTuple):
    """One draw: indices into the items of a data set."""

    stages: tuple[CurveStage, ...]
    test: tuple[int, ...]


class ValidationData(NamedTuple):
    """Embeddings of the images that the curves of one data set use; the curves' indices count in `values`."""

    source: TrainingSet
    values: NDArray[np.uint8]
    """(m, n)."""
    labels: NDArray[np.intp]
    """(m,): index into `classes`."""
    classes: tuple[str, ...]
    zero_point: int
    curves: dict[int, Curve]
    """By seed."""


def sources(names: Sequence[str], limit: int | None = IMAGES_OF_A_CLASS) -> list[TrainingSet]:
    """Return the data sets named, imagenet64 with `limit` images a class (None: all). Raises InputError."""
    if unknown := sorted(set(names) - SOURCES.keys()):
        raise InputError(f"data set {unknown[0]!r} is not known here, expected one of {', '.join(SOURCES)}")
    if limit is not None and limit < 4:
        raise InputError(f"limit = {limit}: a quarter of each class is held out, expected at least 4 images")
    return [
        dataclasses.replace(SOURCES[name], limit=limit) if SOURCES[name].limit is not None else SOURCES[name]
        for name in names
    ]


def draw_curve(items: Sequence[Item], source: TrainingSet, seed: int) -> Curve:
    """Choose what is learnt in which stage, and what is tested; indices into `items`."""
    learn: list[list[int]] = []
    test: list[int] = []
    for pool in _pools(items, source):
        kept, held_out = _third(pool, seed) if source.method == "third" else _random(items, pool, seed)
        learn.append(_ordered(items, kept, seed, _SPLIT_ORDER))
        test += held_out
    stages = []
    before = 0
    for shots in (*source.shots, None):
        new = [i for pool in learn for i in pool[before:shots]]
        before = shots or before
        if new:
            row = "all" if shots is None else str(shots)
            stages.append(CurveStage(row, tuple(_ordered(items, new, seed, _STAGE_ORDER + (shots or 0)))))
    return Curve(tuple(stages), tuple(test))


def _pools(items: Sequence[Item], source: TrainingSet) -> list[list[int]]:
    """The images of each class that may be learnt or held out, sorted by name."""
    usable: Iterable[int] = range(len(items))
    if source.test_drawn:
        # always seed 0, whatever the draw: the images that `evaluate --seed 0` tests stay unseen in every draw
        usable = draw(items, SplitChoice(source.split, None), seed=0).train
    pools: dict[str, list[int]] = defaultdict(list)
    for index in sorted(usable, key=lambda i: items[i].name):
        if items[index].split == source.split:
            pools[items[index].label].append(index)
    if source.limit is None:
        return [pools[label] for label in sorted(pools)]
    # seed 0 here too: all draws share one pool, so that its embeddings are computed once
    return [_ordered(items, pools[label], 0, _POOL_ORDER)[: source.limit] for label in sorted(pools)]


def _third(pool: Sequence[int], seed: int) -> tuple[list[int], list[int]]:
    """Hold out a contiguous third, and leave out the picture on either side of it."""
    part = seed % THIRDS
    start, stop = len(pool) * part // THIRDS, len(pool) * (part + 1) // THIRDS
    # the pictures next to the held-out third are near-duplicates of its first and last one
    return [*pool[: max(start - 1, 0)], *pool[stop + 1 :]], list(pool[start:stop])


def _random(items: Sequence[Item], pool: Sequence[int], seed: int) -> tuple[list[int], list[int]]:
    order = _ordered(items, pool, seed, _SPLIT_ORDER)
    n_test = round(HELD_OUT * len(order))
    return order[n_test:], order[:n_test]


def _ordered(items: Sequence[Item], chosen: Sequence[int], seed: int, number: int) -> list[int]:
    return [chosen[i] for i in presentation_order([items[i].name for i in chosen], seed, number)]


def load(
    source: TrainingSet,
    folder: Path,
    encoder: StagedEmbedder,
    seeds: Sequence[int],
    *,
    cache: Path | None = None,
    progress: Callable[[Sequence[Item]], Iterable[Item]] = lambda items: items,
) -> ValidationData:
    """Embed the images that the draws of these seeds use, and no others; `cache` keeps embeddings.

    Raises InputError when the data set is not there, or an image of it is corrupt.
    """
    with Dataset(folder / source.file) as dataset:
        drawn = {seed: draw_curve(dataset.items, source, seed) for seed in seeds}
        used = sorted({i for curve in drawn.values() for i in _members(curve)})
        wanted = [dataset.items[i] for i in used]
        found = embed(dataset, encoder, items=wanted, cache=cache, progress=progress)
    if found.skipped:
        name, reason = found.skipped[0]
        raise InputError(f"{dataset.path}: {name}: {reason}; validation needs all of its images")
    row_of = {index: row for row, index in enumerate(used)}
    curves = {seed: _renumbered(curve, row_of) for seed, curve in drawn.items()}
    return ValidationData(source, found.values, found.labels, found.classes, encoder.zero_point, curves)


def _members(curve: Curve) -> list[int]:
    return [*(i for stage in curve.stages for i in stage.learn), *curve.test]


def _renumbered(curve: Curve, row_of: dict[int, int]) -> Curve:
    stages = tuple(CurveStage(row, tuple(row_of[i] for i in learn)) for row, learn in curve.stages)
    return Curve(stages, tuple(row_of[i] for i in curve.test))


def accuracies(network: CoLaNET, material: ValidationData, counts: NDArray[np.uint8], seed: int) -> dict[str, float]:
    """Show a fresh network the stages of a draw, counts (m, n) row by row; return its accuracy after each, by row.

    A class is added when its first example comes, as on the device; "unknown" counts as wrong.
    """
    curve = material.curves[seed]
    test = np.array(curve.test)
    truth = [material.classes[i] for i in material.labels[test]]
    found = {}
    for row, learn in curve.stages:
        for index in learn:
            label = material.classes[material.labels[index]]
            if label not in network.labels:
                network.add_class(label)
            network.learn_one(counts[index], label)
        decisions = network.predict_many(counts[test])
        hits = [decision.label == label for decision, label in zip(decisions, truth, strict=True)]
        found[row] = float(np.mean(hits))
    return found
