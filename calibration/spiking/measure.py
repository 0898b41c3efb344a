"""Measure encoders: cosine to the float network, top-1 of its head, CoLaNET on the validation draws.

    python -m calibration.spiking.measure --data FOLDER --models NAME ...

measures on held-out pictures and the validation draws; with --samples on imagenet_samples.zip alone, once, at the end.

Models are names or paths of manifests. The validation draws are those that the classifier's parameters are chosen on
(calibration/validation.py); sign_digits is read for them alone, never to calibrate or train.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calibration import efficientnet, validation
from calibration.build_encoder import read_samples
from calibration.spiking import pictures
from calibration.spiking.network import Architecture, SourceNetwork, normalised, pooled, source_arrays
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import ModelManifest, load_manifest
from edge_app.encoder.ratecode import RateCode
from edge_app.encoder.tflite import TFLiteEncoder

Floats = NDArray[np.float64]
CHUNK = 16


class FloatNetwork:
    """The float network: embeddings of pictures, and its 1,000-class head."""

    def __init__(self) -> None:
        weights = efficientnet.load_weights("lite0")
        self.architecture = Architecture()
        self.source = SourceNetwork(source_arrays(weights, self.architecture), self.architecture)
        self.head = weights["_fc.weight"], weights["_fc.bias"]

    @torch.no_grad()
    def embeddings(self, shown: NDArray[np.uint8]) -> Floats:
        """Return the embeddings (n, size) of pictures (n, side, side, 3) uint8."""
        parts = [shown[start : start + CHUNK] for start in range(0, len(shown), CHUNK)]
        found = [pooled(self.source.run(normalised(part)), self.architecture).double() for part in parts]
        return torch.cat(found).numpy()

    def classes(self, embeddings: Floats) -> NDArray[np.intp]:
        """Return the head's answers (n,)."""
        return np.asarray((embeddings @ self.head[0].T + self.head[1]).argmax(axis=1))


def coded(manifest: ModelManifest, shown: NDArray[np.uint8]) -> Floats:
    """Return a model's embeddings (n, size) as real values."""
    with TFLiteEncoder(manifest) as encoder:
        values = np.stack([encoder.encode(picture) for picture in shown]).astype(np.float64)
    return (values - manifest.embedding_zero_point) * manifest.embedding_scale


def cosines(one: Floats, other: Floats) -> Floats:
    """Return the cosine of each pair of rows."""
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / np.maximum(norms, 1e-12))


def held_out(manifest: ModelManifest, args: argparse.Namespace, network: FloatNetwork) -> dict[str, float]:
    """Return the mean cosine on held-out pictures of each source."""
    found = {}
    for name, pool in zip(("imagenet64", "grocery"), pictures.load(args.data, args.cache), strict=True):
        # every n-th, because the pool is sorted by class
        shown = pictures.whole(pool.validation[:: len(pool.validation) // args.pictures], manifest.input_size)
        found[f"cosine {name}"] = float(cosines(coded(manifest, shown), network.embeddings(shown)).mean())
    return found


def on_samples(manifest: ModelManifest, args: argparse.Namespace, network: FloatNetwork) -> dict[str, float]:
    """Return the cosine and the head's top-1 on one photograph of each ImageNet class."""
    shown = read_samples(args.data / "imagenet_samples.zip", manifest.input_size, manifest.crop)
    real, given = network.embeddings(shown), coded(manifest, shown)
    truth = np.arange(len(shown))
    found = cosines(given, real)
    return {
        "cosine": float(found.mean()),
        "cosine_min": float(found.min()),
        "top1": float((network.classes(given) == truth).mean()),
        "top1_float": float((network.classes(real) == truth).mean()),
    }


def rows(manifest: ModelManifest, args: argparse.Namespace) -> dict[str, float]:
    """Return CoLaNET's accuracy on the rows of the validation draws, means over the draws."""
    code = RateCode.for_model(manifest)
    found = {}
    with ImageEncoder(manifest) as encoder:
        for source in validation.sources(args.sets):
            data = validation.load(source, args.data, encoder, args.draws, cache=args.cache / "embeddings")
            counts = code(data.values)
            each = [validation.accuracies(CoLaNET(Params(), code.n_inputs), data, counts, seed) for seed in args.draws]
            found |= {f"{source.name} {row}": float(np.mean([one[row] for one in each])) for row in each[0]}
    return found


def measure(models: Sequence[str], args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the figures of each model."""
    network = FloatNetwork()
    found: dict[str, dict[str, float]] = {}
    for name in models:
        manifest = load_manifest(name)
        if args.samples:
            found[name] = on_samples(manifest, args, network)
        else:
            found[name] = held_out(manifest, args, network) | (rows(manifest, args) if args.sets else {})
        print(name, {key: round(value, 4) for key, value in found[name].items()}, flush=True)
    return found


def main() -> None:
    """Measure and print; keep the figures with --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets' zips")
    parser.add_argument("--models", nargs="+", required=True, help="names, or paths of manifests")
    parser.add_argument("--cache", type=Path, default=Path(".cache/spiking"), help="decoded pictures, embeddings")
    parser.add_argument(
        "--sets", nargs="*", default=["sign_digits", "grocery", "imagenet64"], help="validation rows of"
    )
    parser.add_argument("--draws", type=int, nargs="+", default=[0], help="seeds of the validation draws")
    parser.add_argument("--pictures", type=int, default=32, help="held-out pictures of each source")
    parser.add_argument("--samples", action="store_true", help="imagenet_samples.zip alone: test data, at the end")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = measure(args.models, args)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
