"""The gain from dreams on validation splits of training data: the last table of docs/consolidation.md.

    python -m calibration.consolidation --data DATA --sets sign_digits --seeds 0 1

For every row of a draw a fresh network learns the examples, is tested, learns one dream of each (or rehearses it,
where its class was seen often enough) and is tested again, as often as `--dreams` says. With `--all-images` imagenet64
is used in full, which is where correction and rehearsal matter. No image of a test split is read.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.validation import IMAGES_OF_A_CLASS, SOURCES, TrainingSet, draw_curve, sources
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.commands.output import show_progress
from edge_app.config import ConsolidationConfig
from edge_app.datasets.dataset import Dataset
from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import load_manifest
from edge_app.encoder.ratecode import RateCode
from edge_app.evaluation.dreaming import DreamEmbedder
from edge_app.evaluation.embedding import Embedder, embed
from edge_app.learner.consolidation import schedule_new

Counts = dict[int, NDArray[np.uint8]]
"""Spike counts (n_inputs,) by index of the data set's items."""


def counts_of(dataset: Dataset, embedder: Embedder, rate_code: RateCode, used: Sequence[int], cache: Path) -> Counts:
    """Return the spike counts of some items; every picture must be readable."""
    items = [dataset.items[i] for i in used]
    found = embed(dataset, embedder, items=items, cache=cache, progress=lambda some: show_progress("encoding", some))
    if found.skipped:
        raise SystemExit(f"{dataset.path}: {found.skipped[0].name}: {found.skipped[0].reason}")
    return dict(zip(used, rate_code(found.values), strict=True))


def measure(source: TrainingSet, data: Path, cache: Path, seed: int, dreams: int) -> dict[str, list[float]]:
    """Return {row: accuracy without dreams, after one of each example, after two, ...} of one draw."""
    manifest = load_manifest()
    rate_code = RateCode.for_model(manifest)
    with Dataset(data / source.file) as dataset, ImageEncoder(manifest) as encoder:
        curve = draw_curve(dataset.items, source, seed)
        learnt = sorted({i for stage in curve.stages for i in stage.learn})
        counts = counts_of(dataset, encoder, rate_code, [*learnt, *curve.test], cache)
        dreamt = [
            counts_of(dataset, DreamEmbedder(encoder, number), rate_code, learnt, cache) for number in range(dreams)
        ]
        labels = [item.label for item in dataset.items]
    found: dict[str, list[float]] = {}
    shown: list[int] = []
    for stage in curve.stages:
        shown += stage.learn
        # a fresh network for each row: dreams of the row before must not count
        network = CoLaNET(Params(), rate_code.n_inputs)
        for i in shown:
            if labels[i] not in network.labels:
                network.add_class(labels[i])
            network.learn_one(counts[i], labels[i])
        found[stage.row] = [_accuracy(network, counts, labels, curve.test)]
        steps = schedule_new([labels[i] for i in shown], ConsolidationConfig(dreams=dreams))
        for number in range(dreams):
            for step in (step for step in steps if step.number == number):
                i = shown[step.example]
                if step.altered:
                    network.learn_variation(dreamt[number][i], labels[i])
                else:
                    network.rehearse_one(counts[i], labels[i])
            found[stage.row].append(_accuracy(network, counts, labels, curve.test))
    return found


def _accuracy(network: CoLaNET, counts: Counts, labels: Sequence[str], test: Sequence[int]) -> float:
    return float(np.mean([network.predict_one(counts[i]).label == labels[i] for i in test]))


def main() -> None:
    """Measure, and print the rows."""
    parser = argparse.ArgumentParser(prog="python -m calibration.consolidation", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the measuring data sets (zips)")
    parser.add_argument("--cache", type=Path, default=Path(".cache/embeddings"), help="folder that keeps embeddings")
    parser.add_argument("--sets", nargs="+", choices=list(SOURCES), default=list(SOURCES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1], help="draws")
    parser.add_argument("--dreams", type=int, default=2, help="of each example")
    parser.add_argument("--all-images", action="store_true", help="of imagenet64 too, instead of 80 a class")
    args = parser.parse_args()
    for source in sources(args.sets, None if args.all_images else IMAGES_OF_A_CLASS):
        draws = [measure(source, args.data, args.cache, seed, args.dreams) for seed in args.seeds]
        for row in draws[0]:
            mean = 100 * np.mean([draw[row] for draw in draws], axis=0)
            gains = " ".join(f"{value - mean[0]:+.2f}" for value in mean[1:])
            print(f"{source.name}, {row}: {mean[0]:.2f}, points after dreams: {gains}", flush=True)


if __name__ == "__main__":
    main()
