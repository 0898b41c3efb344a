"""Networks of any size to measure on, taught real spike counts."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params
from edge_app.encoder.preprocess import Preprocessor
from edge_app.encoder.ratecode import RateCode
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.profiling.frames import make_frames

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest

Counts = NDArray[np.uint8]

MOST_TAUGHT = 300


def spike_counts(manifest: "ModelManifest", classes: int = 64, examples: int = 2, *, changed: int = 8) -> Counts:
    """Return (m, n_inputs) spike counts of windows of photographs, each also `changed` times with noise on it.

    The classes follow one another, so that any beginning of the rows has many of them.
    """
    random = np.random.default_rng(5)
    frames = make_frames(classes, examples).images.swapaxes(0, 1)
    preprocess = Preprocessor(manifest.input_size, crop=manifest.crop)
    with TFLiteEncoder(manifest) as encoder:
        shown = np.array([encoder.encode(preprocess(frame)) for row in frames for frame in row]).astype(np.int16)
    # only where there is activity: noise on silent inputs would make more of them active, and the decision slower
    noisy = [shown + random.integers(-3, 4, shown.shape, dtype=np.int16) * (shown > 0) for _ in range(changed)]
    embeddings = np.clip(np.concatenate([shown, *noisy]), 0, 255).astype(np.uint8)
    found: Counts = RateCode.for_model(manifest)(embeddings)
    return found


def taught(params: Params, counts: Counts, classes: int, *, threads: int = 1) -> CoLaNET:
    """Return a network with so many classes, taught rows of counts in turn: each class once, but at most 300 rows."""
    network = CoLaNET(params, counts.shape[1], threads=threads)
    labels = [f"class {number:04}" for number in range(classes)]
    for label in labels:
        network.add_class(label)
    shown = max(2, min(classes, MOST_TAUGHT))
    network.learn_many(
        np.ascontiguousarray(counts[np.arange(shown) % len(counts)]), [labels[row % classes] for row in range(shown)]
    )
    return network


def of_width(counts: Counts, n_inputs: int) -> Counts:
    """Return (m, n_inputs): the columns of counts drawn at random, again and again where it has too few."""
    random = np.random.default_rng(6)
    columns = np.concatenate([random.permutation(counts.shape[1]) for _ in range(-(-n_inputs // counts.shape[1]))])
    return np.ascontiguousarray(counts[:, columns[:n_inputs]])


def of_activity(counts: Counts, share: float) -> Counts:
    """Return (m, n_inputs) with that share of active inputs, at random places, with counts as active inputs have."""
    random = np.random.default_rng(7)
    active = counts[counts > 0]
    found = np.zeros_like(counts)
    chosen = round(share * counts.shape[1])
    for row in found:
        row[random.permutation(counts.shape[1])[:chosen]] = random.choice(active, chosen)
    return found


def decorrelated(microcolumns: int) -> Params:
    """Return the default parameters with K microcolumns."""
    return Params(microcolumns=microcolumns, plasticity=Decorrelated())
