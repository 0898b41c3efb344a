"""`python -m benchmarks.coach`: the time that the teaching coach adds to a press, beside the press itself.

A state of CLASSES classes with as many examples as the coach compares is made in a temporary folder; then pictures are
taught one by one, and each step of a press is timed.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from edge_app import machine
from edge_app.config import StateConfig
from edge_app.encoder.model import load_manifest
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.learner import Learner
from edge_app.learner.pictures import thumbnail_of
from edge_app.learner.samples import Sample
from edge_app.pipeline.coach import PER_CLASS, Coach

STEPS = ("encode", "thumbnail", "store and learn", "coach")


def measure(classes: int, presses: int, folder: Path) -> dict[str, float]:
    """Return the median time of each step of a press, milliseconds."""
    random, manifest = np.random.default_rng(8), load_manifest()
    spent: dict[str, list[float]] = defaultdict(list)
    with TFLiteEncoder(manifest) as encoder, Learner.open(folder, manifest, limits=StateConfig()) as learner:
        for number in range(classes):
            rows = np.minimum(random.gamma(0.3, 60, (PER_CLASS, manifest.embedding_size)), 255).astype(np.uint8)
            learner.teach_many([Sample(row) for row in rows], f"class {number}", source="benchmark")
        coach = Coach(learner.spike_counts_of)
        coach.follow(learner.examples())
        start = time.perf_counter()
        coach.load(None)
        loaded_ms = 1000 * (time.perf_counter() - start)
        for number in range(presses):
            picture = random.integers(0, 256, (manifest.input_size, manifest.input_size, 3), np.uint8)
            label, ticks = f"class {number % classes}", [time.perf_counter()]
            embedding = encoder.encode(picture)
            ticks.append(time.perf_counter())
            thumbnail = thumbnail_of(picture)
            ticks.append(time.perf_counter())
            done = learner.teach(embedding, label, source="benchmark", thumbnail=thumbnail)
            ticks.append(time.perf_counter())
            coach.taught(done.example_id, label, time.time_ns(), learner.spike_counts(embedding), picture)
            ticks.append(time.perf_counter())
            for name, ms in zip(STEPS, np.diff(ticks) * 1000, strict=True):
                spent[name].append(float(ms))
    return {name: statistics.median(values) for name, values in spent.items()} | {"load": loaded_ms}


def main() -> int:
    """Print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=64)
    parser.add_argument("--presses", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edge-app-coach-") as folder:
        found = measure(args.classes, args.presses, Path(folder) / "state")
    press = found["encode"] + found["thumbnail"] + found["store and learn"]
    result = {"machine": machine.describe(), "ms": found, "of_the_press": found["coach"] / press}
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
