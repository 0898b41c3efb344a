"""Akida's simulator learns and decides one frame at a time; run by a Python that has `akida`. Prints JSON."""

import json
import sys
from time import perf_counter

import akida
import numpy as np

INPUTS, CLASSES, TIMES = 1280, 64, 300


def network(neurons_per_class: int, active: int) -> akida.Model:
    """Return Akida's edge-learning layer: 1-bit inputs and weights, competing neurons of each class."""
    model = akida.Model()
    model.add(akida.InputData(input_shape=(1, 1, INPUTS), input_bits=1))
    model.add(akida.FullyConnected(units=CLASSES * neurons_per_class, activation=False))
    model.compile(akida.AkidaUnsupervised(num_weights=active, num_classes=CLASSES, learning_competition=0.1))
    return model


def main(share: float) -> None:
    """Measure with that share of active inputs."""
    random = np.random.default_rng(0)
    rows = (random.random((TIMES, 1, 1, INPUTS)) < share).astype(np.uint8)
    labels = np.arange(TIMES) % CLASSES
    model = network(8, round(share * INPUTS))
    model.fit(rows, labels)
    learn, decide = [], []
    for row, label in zip(rows, labels, strict=True):
        start = perf_counter()
        model.fit(row[None], label[None])
        middle = perf_counter()
        model.predict_classes(row[None], num_classes=CLASSES)
        learn.append(middle - start)
        decide.append(perf_counter() - middle)
    low = {name: float(np.percentile(times, 10)) * 1e6 for name, times in (("learn", learn), ("decide", decide))}
    sys.stdout.write(json.dumps({"version": akida.__version__, "neurons": CLASSES * 8, "us": low}) + "\n")


main(float(sys.argv[1]))
