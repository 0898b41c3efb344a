"""`python -m benchmarks.speed.smaller`: how accurate is the encoder with a smaller input, which takes less time?

The network is the shipped one, whose convolutions take any size; its quantisation was calibrated at the full size.
Every picture is encoded at each size; CoLaNET learns each training example once. Data sets as in CONTRIBUTING.md.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.encoder import SIDES, make_interpreter
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.commands.output import show_progress
from edge_app.datasets.contents import Item
from edge_app.datasets.dataset import Dataset
from edge_app.datasets.pictures import decode_image
from edge_app.encoder.model import ModelManifest, load_manifest
from edge_app.encoder.preprocess import Preprocessor
from edge_app.encoder.ratecode import RateCode
from edge_app.evaluation.splits import choose_splits, draw, presentation_order

RESULT = Path(__file__).resolve().parents[1] / "results" / "encoder-sizes.json"
SETS = {"sign_digits": 3, "grocery": 1}
"""Draws of each data set: grocery has a split of its own."""


class SmallerEncoder:
    """The encoder at one input size."""

    def __init__(self, manifest: ModelManifest, side: int) -> None:
        self._preprocess = Preprocessor(side, crop=manifest.crop)
        self._interpreter = make_interpreter(manifest, side=side, num_threads=1)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def encode(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the embedding (n,) of a picture of any size."""
        self._interpreter.set_tensor(self._input, self._preprocess(picture)[None])
        self._interpreter.invoke()
        found: NDArray[np.uint8] = self._interpreter.get_tensor(self._output).reshape(-1)
        return found


def accuracy(counts: NDArray[np.uint8], items: list[Item], split: Any, seed: int) -> float:
    """Return the share of test items decided right after one pass over the others."""
    chosen = draw(items, split, seed=seed)
    network = CoLaNET(Params(), counts.shape[1])
    names = [items[index].name for index in chosen.train]
    for place in presentation_order(names, seed, 0):
        index = chosen.train[place]
        if items[index].label not in network.labels:
            network.add_class(items[index].label)
        network.learn_one(counts[index], items[index].label)
    decided = network.predict_many(counts[list(chosen.test)])
    return float(np.mean([one.label == items[index].label for one, index in zip(decided, chosen.test, strict=True)]))


def measure(path: Path, manifest: ModelManifest, seeds: int) -> dict[str, list[float]]:
    """Return the accuracies, one a seed, by side."""
    rate_code = RateCode.for_model(manifest)
    encoders = {side: SmallerEncoder(manifest, side) for side in SIDES}
    found: dict[int, list[NDArray[np.uint8]]] = {side: [] for side in SIDES}
    with Dataset(path) as dataset:
        split = choose_splits(dataset.splits)
        wanted = (split.train, split.test)
        items = [item for item in dataset.items if item.split in wanted]
        for item in show_progress(path.stem, items):
            picture = decode_image(dataset.read(item))
            for side, encoder in encoders.items():
                found[side].append(encoder.encode(picture))
    counts = {side: rate_code(np.array(rows)) for side, rows in found.items()}
    return {str(side): [accuracy(rows, items, split, seed) for seed in range(seeds)] for side, rows in counts.items()}


def main() -> int:
    """Measure, keep and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.smaller", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    args = parser.parse_args()
    manifest = load_manifest()
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for name, seeds in SETS.items():
        found[name] = measure(args.data / f"{name}.zip", manifest, seeds)
        RESULT.write_text(json.dumps(found, indent=1) + "\n")
        sys.stdout.write(f"{name}: {found[name]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
