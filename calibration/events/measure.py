"""Measure encoders on the events of pictures of the validation draws, never of test data.

    python -m calibration.events.measure --data FOLDER --models NAME ...

Each model learns all examples of a draw (calibration/validation.py), as events of all steps, and is tested on the
events of the first 1, 2, 4 and 8 steps: CoLaNET, and nearest class mean on the same embeddings. Pictures with fewer
than 1,000 events are left out. Told are means over the draws; and, of the first draw's tested pictures, how many of the
pixels that fire at all have fired after 1, 2, 4, 6 and 8 steps.

The encoder of events has seen nothing of sign_digits. Of grocery and imagenet64 the draws are made of the training
splits, and it was trained, without labels, on most of their pictures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration import validation
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.datasets.dataset import Dataset
from edge_app.encoder.background import load_background
from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import ModelManifest, load_manifest
from edge_app.encoder.ratecode import RateCode
from edge_app.evaluation.edges import EventEncoder
from edge_app.evaluation.embedding import Embedded, embed
from edge_app.events.gradient import FEWEST, events_of_picture

STEPS = (1, 2, 4, 8)
FIRED_AFTER = (1, 2, 4, 6, 8)


def accuracies(
    manifest: ModelManifest, source: validation.TrainingSet, draw: int, data: Path, cache: Path
) -> dict[str, float]:
    """Return the accuracies on one draw of a data set, by classifier and steps, and how many pictures were tested."""
    code, background = RateCode.for_model(manifest), load_background(manifest)
    network = CoLaNET(Params.preset("default"), code.n_inputs, background=background)
    found: dict[str, float] = {}
    with Dataset(data / source.file) as dataset:
        curve = validation.draw_curve(dataset.items, source, draw)
        examples = [dataset.items[index] for stage in curve.stages for index in stage.learn]
        with EventEncoder(manifest) as encoder:
            learnt = embed(dataset, encoder, items=examples, cache=cache)
        for row, label in zip(learnt.values, learnt.labels, strict=True):
            if learnt.classes[label] not in network.labels:
                network.add_class(learnt.classes[label])
            network.learn_one(code(row), learnt.classes[label])
        for steps in STEPS:
            with EventEncoder(manifest, steps=steps) as encoder:
                tested = embed(dataset, encoder, items=[dataset.items[index] for index in curve.test], cache=cache)
            decided = [network.predict_one(code(row)).label for row in tested.values]
            truth = [tested.classes[label] for label in tested.labels]
            found[f"CoLaNET {steps}"] = float(np.mean([a == b for a, b in zip(decided, truth, strict=True)]))
            found[f"nearest class mean {steps}"] = float(np.mean(nearest(learnt, tested) == tested.labels))
        return found | {"tested": len(tested.values), "left out": len(tested.skipped)}


def fired(source: validation.TrainingSet, draw: int, data: Path) -> dict[int, float]:
    """Return {steps: share of the pixels that fire in any step which have fired after them}, mean over the pictures."""
    found = []
    with Dataset(data / source.file) as dataset, ImageEncoder(load_manifest()) as encoder:
        for index in validation.draw_curve(dataset.items, source, draw).test:
            events = events_of_picture(encoder.prepare(dataset.read(dataset.items[index])))
            if np.count_nonzero(events) >= FEWEST:
                whole = events.any(axis=(0, 1))
                found.append([events[:steps].any(axis=(0, 1)).sum() / whole.sum() for steps in FIRED_AFTER])
    return dict(zip(FIRED_AFTER, np.mean(found, axis=0).tolist(), strict=True))


def nearest(learnt: Embedded, tested: Embedded) -> NDArray[np.intp]:
    """Return the class of nearest mean, by the cosine, of each tested picture."""
    classes = np.unique(learnt.labels)
    rows, shown = (one.values.astype(np.float64) for one in (learnt, tested))
    rows, shown = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (rows, shown))
    means = np.stack([rows[learnt.labels == label].mean(axis=0) for label in classes])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(classes[(shown @ means.T).argmax(axis=1)])


def main() -> None:
    """Measure and print; keep the figures with --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets' zips")
    parser.add_argument("--models", nargs="+", required=True, help="names, or paths of manifests")
    parser.add_argument("--cache", type=Path, default=Path(".cache/embeddings"), help="folder that keeps embeddings")
    parser.add_argument("--sets", nargs="*", default=["sign_digits", "grocery", "imagenet64"])
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2], help="seeds (default: 0 1 2)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    found: dict[str, Any] = {}
    for source in validation.sources(args.sets):
        shares = fired(source, args.draws[0], args.data)
        found.setdefault("fired", {})[source.name] = shares
        print(source.name, "fired", {steps: round(share, 3) for steps, share in shares.items()}, flush=True)
    for name in args.models:
        for source in validation.sources(args.sets):
            draws = [accuracies(load_manifest(name), source, draw, args.data, args.cache) for draw in args.draws]
            values = {key: float(np.mean([draw[key] for draw in draws])) for key in draws[0]}
            found.setdefault(name, {})[source.name] = values
            print(name, source.name, {key: round(value, 4) for key, value in values.items()}, flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
