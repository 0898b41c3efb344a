"""Measures how often the coach's warnings are right: `python calibration/coach.py DATA [--choose] [--json FILE]`.

For each data set, from its pictures:

    dark       right: a picture at a sixteenth of its brightness with a sensor's noise; false: the picture itself
    blurred    right: the picture out of focus (Gaussian, 4 pixels of the encoder's input), or moved by 21 pixels;
               false: the picture itself
    same       right: the picture once more, with a sensor's noise, 2 pixels aside, 3 % brighter; false: the next
               picture of its class
    resembles  SHOTS examples of each class are taught; right: a further picture under a wrong class, named by its own;
               false: a further picture under its own class

`--choose` prints, for training data, what other thresholds would do; without it the test data are measured with the
thresholds in use. "One-sided" is a rule about times, which these data do not have: it is right by its definition.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edge_app.datasets.contents import Item  # noqa: E402
from edge_app.datasets.dataset import Dataset  # noqa: E402
from edge_app.encoder.model import load_manifest  # noqa: E402
from edge_app.encoder.preprocess import Preprocessor  # noqa: E402
from edge_app.encoder.ratecode import RateCode  # noqa: E402
from edge_app.encoder.tflite import TFLiteEncoder  # noqa: E402
from edge_app.learner.pictures import read_picture  # noqa: E402
from edge_app.pipeline import coach  # noqa: E402
from edge_app.pipeline.coach import TaughtExamples, advise, blur_of, brightness_of, correlation, mosaic_of, similarities  # noqa: E402

SETS = ("sign_digits", "grocery", "imagenet64")
PICTURES = 200
"""Pictures of a set that each warning is tried on."""
SHOTS = 5
APART_NS = 3600 * 10**9
Image = NDArray[np.uint8]


class Material:
    """Pictures of one split as the encoder sees them, and their spike counts."""

    def __init__(self, data: Path, name: str, *, test: bool) -> None:
        manifest = load_manifest()
        self._preprocess = Preprocessor(manifest.input_size, crop=manifest.crop)
        self._encoder = TFLiteEncoder(manifest)
        self._code = RateCode.for_model(manifest)
        self._dataset = Dataset(data / f"{name}.zip")
        self.classes = _split(self._dataset, test=test)

    def picture(self, item: Item) -> Image:
        """Return the encoder's input, (side, side, 3)."""
        return self._preprocess(read_picture(self._dataset.read(item))).copy()

    def embedding(self, picture: Image) -> Image:
        """Return the embedding (n,) of an encoder's input."""
        return self._encoder.encode(picture)

    def counts(self, picture: Image) -> Image:
        """Return the spike counts (n,) of an encoder's input."""
        return self._code(self.embedding(picture))


def _split(dataset: Dataset, *, test: bool) -> dict[str, list[Item]]:
    """Return the pictures of each class in the order of their names; of a set without splits every fifth is test."""
    classes: dict[str, list[Item]] = defaultdict(list)
    for item in dataset.items:
        if not dataset.splits or dataset.splits == ("all",) or item.split == ("test" if test else "train"):
            classes[item.label].append(item)
    if dataset.splits in ((), ("all",)):
        return {label: [one for i, one in enumerate(items) if (i % 5 == 0) == test] for label, items in classes.items()}
    return classes


def spread(classes: dict[str, list[Item]], start: int, count: int) -> Iterator[tuple[str, Item, Item]]:
    """Yield class, picture and the next picture of the class, the classes in turns, from picture `start` on."""
    at, given = start, 0
    while given < count:
        before = given
        for label, items in classes.items():
            if at + 1 < len(items) and given < count:
                yield label, items[at], items[at + 1]
                given += 1
        if given == before:
            return
        at += 1


def darkened(picture: Image, random: np.random.Generator) -> Image:
    """Return a picture at a sixteenth of its brightness, with noise."""
    return _noisy(picture / 16, 2, random)


def again(picture: Image, random: np.random.Generator) -> Image:
    """Return the picture that a camera would take of the same scene a moment later."""
    return _noisy(np.roll(picture, 2, axis=1) * 1.03, 4, random)


def _noisy(values: NDArray[np.float64], sigma: float, random: np.random.Generator) -> Image:
    return np.clip(np.rint(values + random.normal(0, sigma, values.shape)), 0, 255).astype(np.uint8)


def out_of_focus(picture: Image) -> Image:
    """Return a picture blurred by a Gaussian of 4 pixels."""
    return cv2.GaussianBlur(picture, (0, 0), 4)


def moved(picture: Image) -> Image:
    """Return a picture blurred by a movement of 21 pixels."""
    return cv2.blur(picture, (21, 1))


def measure(data: Path, name: str, *, test: bool) -> dict[str, Any]:
    """Return, for each warning, the values that it depends on: of pictures where it is right, and where it is false."""
    material, random = Material(data, name, test=test), np.random.default_rng(5)
    taught, labels = [], []
    for label, items in material.classes.items():
        for item in items[:SHOTS]:
            taught.append(material.counts(material.picture(item)))
            labels.append(label)
    known = TaughtExamples(range(len(labels)), labels, [-APART_NS] * len(labels), np.stack(taught), {})
    others = list(material.classes)
    values: dict[str, dict[str, list[Any]]] = defaultdict(lambda: {"right": [], "false": []})
    for number, (label, item, after) in enumerate(spread(material.classes, SHOTS, PICTURES)):
        picture, following = material.picture(item), material.picture(after)
        counts = material.counts(picture)
        dark, repeated = darkened(picture, random), again(picture, random)
        values["dark"]["right"].append(_darkness(dark))
        values["dark"]["false"].append(_darkness(picture))
        values["blurred"]["right"].append(blur_of((out_of_focus, moved)[number % 2](picture)))
        values["blurred"]["false"].append(blur_of(picture))
        for kind, other in (("right", repeated), ("false", following)):
            values["same"][kind].append(correlation(mosaic_of(picture), mosaic_of(other)))
        wrong = others[(others.index(label) + 1 + number % (len(others) - 1)) % len(others)]
        for kind, told in (("right", wrong), ("false", label)):
            values["resembles"][kind].append(_resemblance(counts, told, label, known))
            values["advised"][kind].append([one.kind for one in advise(picture, counts, told, 0, known)])
    return values


def _darkness(picture: Image) -> float:
    return -float(np.quantile(brightness_of(picture), 0.9))


def _resemblance(counts: Image, told: str, true: str, known: TaughtExamples) -> tuple[float, float, bool]:
    """Return the similarity of the most similar other class, its lead over the own, and whether it is the true one."""
    similarity = similarities(counts, known.counts)
    own = np.array([label == told for label in known.labels])
    best = int(np.where(own, -1, similarity).argmax())
    return float(similarity[best]), float(similarity[best] - similarity[own].max()), known.labels[best] == true


def rates(values: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Return (right, false): the share of pictures that each warning comes at, with the thresholds in use."""
    limits = {"dark": -coach.DARK, "blurred": coach.BLURRED, "same": coach.SAME}
    found = {
        kind: (share(values[kind]["right"], limit), share(values[kind]["false"], limit))
        for kind, limit in limits.items()
    }
    found["resembles"] = resembling(values, coach.RESEMBLES, coach.RESEMBLES_BY)
    return found


def share(values: list[float], limit: float) -> float:
    """Return the share of values above a limit."""
    return float((np.array(values) >= limit).mean())


def resembling(values: dict[str, Any], limit: float, lead: float) -> tuple[float, float]:
    """Return the shares of "resembles": that name the true class under a wrong one, and under the right one."""
    right = [s >= limit and by >= lead and true for s, by, true in values["resembles"]["right"]]
    false = [s >= limit and by >= lead for s, by, _ in values["resembles"]["false"]]
    return float(np.mean(right)), float(np.mean(false))


def choices(values: dict[str, Any]) -> dict[str, Any]:
    """Return what other thresholds would do."""
    found: dict[str, Any] = {}
    for kind, limits in (
        ("dark", range(-60, -7, 4)),
        ("blurred", np.arange(0.5, 0.96, 0.02)),
        ("same", np.arange(0.9, 1, 0.01)),
    ):
        found[kind] = {
            f"{limit:.2f}": [
                round(share(values[kind]["right"], limit), 3),
                round(share(values[kind]["false"], limit), 3),
            ]
            for limit in limits
        }
    found["resembles"] = {
        f"{limit:.2f} by {lead:.2f}": [round(value, 3) for value in resembling(values, limit, lead)]
        for limit in np.arange(0.6, 0.96, 0.05)
        for lead in np.arange(0, 0.21, 0.02)
    }
    return found


def main() -> int:
    """Print the rates as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("--choose", action="store_true", help="other thresholds, on training data")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    args = parser.parse_args()
    found = {}
    for name in SETS:
        values = measure(args.data, name, test=not args.choose)
        found[name] = choices(values) if args.choose else rates(values)
        print(name, json.dumps(found[name]), file=sys.stderr)
    text = json.dumps(found, indent=1)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
