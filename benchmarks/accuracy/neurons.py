"""Pictures of a network's inside: the spikes of one presentation, and the photographs that excite L neurons most."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet.kernels import ALL_STEPS, spikes_at
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import INPUT_STEPS, Params
from edge_app.datasets.dataset import Dataset
from edge_app.datasets.pictures import decode_image
from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import load_manifest
from edge_app.encoder.ratecode import RateCode
from edge_app.evaluation import figures
from edge_app.evaluation.embedded_draws import EmbeddedDraws, prepare
from edge_app.evaluation.splits import choose_splits, presentation_order
from edge_app.evaluation.trial import EvaluationSettings

SHOTS = 40
NEAREST = 9
TILE = 56
"""Pixels of a photograph's side."""


def taught(path: Path, cache: Path, params: Params, shots: int) -> tuple[CoLaNET, EmbeddedDraws, Dataset]:
    """Teach a network `shots` examples of each class, in seeded order."""
    manifest = load_manifest(None)
    rate_code = RateCode.for_model(manifest)
    dataset = Dataset(path)
    setting = EvaluationSettings(choose_splits(dataset.splits), shots=shots)

    def make_network() -> CoLaNET:
        return CoLaNET(params, rate_code.n_inputs)

    with ImageEncoder(manifest) as encoder:
        material = prepare(dataset, encoder, rate_code, make_network, setting, cache=str(cache))
    network, rows = make_network(), material.rows
    train = material.learnt(0)
    for row in train[presentation_order([rows.names[row] for row in train], 0, 0)]:
        label = rows.classes[rows.labels[row]]
        if label not in network.labels:
            network.add_class(label)
        network.learn_one(material.counts[row], label)
    return network, material, dataset


def trajectory(network: CoLaNET, counts: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return potentials in thresholds and spikes, each (neurons, ALL_STEPS), of a network without leak and K = 1.

    The step's equation is `kernels.integrate`'s; a soft reset subtracts the threshold.
    """
    columns = network.columns
    weights = columns.weights.astype(np.int64)
    potential = np.zeros(columns.threshold.size, np.int64)
    shown = np.zeros((potential.size, ALL_STEPS))
    fired = np.zeros((potential.size, ALL_STEPS), bool)
    for step in range(ALL_STEPS):
        if step < INPUT_STEPS:
            now = np.array([spikes_at(int(count), step) for count in counts])
            tonic = columns.tonic.astype(np.int64)
            # the tonic part is spread over the steps so that it adds up exactly, as `kernels.spread_evenly` does
            potential += weights[now].sum(axis=0) + step * tonic // INPUT_STEPS - (step + 1) * tonic // INPUT_STEPS
        shown[:, step] = potential / columns.threshold
        fired[:, step] = potential >= columns.threshold
        potential -= np.where(fired[:, step], columns.threshold, 0)
    return shown, fired


def draw_raster(path: Path, cache: Path, target: Path) -> None:
    """Draw input spikes, potentials and OUT spikes of one presentation of a test image."""
    network, material, _ = taught(path, cache, Params(), SHOTS)
    row = int(material.tested(0)[0])
    counts = material.counts[row]
    potential, fired = trajectory(network, counts)
    label = material.rows.classes[material.rows.labels[row]]
    figure = figures.new_figure(8.5, 6.5)
    top, middle, bottom = figure.subplots(3, 1, height_ratios=(2.2, 1.6, 1.4), sharex=True)
    _draw_inputs(top, counts)
    for number, name in enumerate(network.labels):
        middle.plot(range(ALL_STEPS), potential[number], linewidth=2 if name == label else 0.8, label=name)
    middle.axhline(1, color="0.6", linewidth=0.8, linestyle=":")
    middle.set_ylabel("potential of L neurons,\nthresholds")
    middle.legend(fontsize=7, ncols=2, loc="upper left", bbox_to_anchor=(1, 1))
    order = sorted(range(len(network.labels)), key=lambda number: network.labels[number])
    bottom.eventplot([np.flatnonzero(fired[number]) for number in order], colors="tab:red", linelengths=0.7)
    bottom.set_yticks(range(len(order)), [network.labels[number] for number in order], fontsize=8)
    bottom.set_ylabel("OUT spikes by class")
    bottom.set_xlabel("step; inputs spike in the first 10, the last 5 are silent")
    decided = network.predict_one(counts).label
    figure.suptitle(f"One presentation: a hand that shows {label}, decided {decided}")
    figures.save(figure, target, dpi=90)


def _draw_inputs(axes: Any, counts: NDArray[np.uint8]) -> None:
    order = np.argsort(-counts.astype(int), kind="stable")
    for place, i in enumerate(order):
        steps = [step for step in range(INPUT_STEPS) if spikes_at(int(counts[i]), step)]
        axes.plot(steps, [place] * len(steps), ",", color="black")
    axes.set_ylabel("inputs, most active first")
    axes.set_ylim(np.count_nonzero(counts), 0)


def draw_typical(path: Path, cache: Path, target: Path, *, labels: Sequence[str]) -> None:
    """Draw the training photographs that excite the L neurons of some classes most, and least."""
    network, material, dataset = taught(path, cache, Params(), SHOTS)
    rows = material.rows
    lines = []
    for label in labels:
        own = [int(row) for row in material.learnt(0) if rows.classes[rows.labels[row]] == label]
        drive = _drive(network, network.labels.index(label) * network.columns.per_column, material.counts[own])
        names = [(rows.names[own[place]], "") for place in np.argsort(-drive, kind="stable")]
        lines.append((f"{label}: excite its neuron most, of {len(own)} taught", names[:NEAREST]))
        lines.append((f"{label}: least", names[-NEAREST:]))
    _montage(dataset, lines, "What L neurons came to stand for", target)


def draw_classes(path: Path, cache: Path, target: Path, *, labels: Sequence[str]) -> None:
    """Draw, for the L neurons of some classes, the test photographs of any class that excite them most."""
    network, material, dataset = taught(path, cache, Params(), SHOTS)
    rows, test = material.rows, material.tested(0)
    lines = []
    for label in labels:
        drive = _drive(network, network.labels.index(label) * network.columns.per_column, material.counts[test])
        nearest = test[np.argsort(-drive, kind="stable")]
        names = [(rows.names[row], rows.classes[rows.labels[row]]) for row in nearest[:NEAREST]]
        lines.append((label, [(name, "" if own == label else own) for name, own in names]))
    _montage(dataset, lines, "Test photographs that excite an L neuron most; others than its class are named", target)


def _drive(network: CoLaNET, neuron: int, counts: NDArray[np.uint8]) -> NDArray[np.int64]:
    weights = network.columns.weights[:, neuron].astype(np.int64)
    drive: NDArray[np.int64] = counts.astype(np.int64) @ weights - int(network.columns.tonic[neuron])
    return drive


def _montage(
    dataset: Dataset, lines: Sequence[tuple[str, Sequence[tuple[str, str]]]], title: str, target: Path
) -> None:
    """Draw rows of photographs, (name, caption) each, with a title a row."""
    items = {item.name: item for item in dataset.items}
    figure = figures.new_figure(NEAREST * TILE / 90 + 1.0, len(lines) * (TILE + 22) / 90 + 0.5)
    grid = figure.subplots(len(lines), NEAREST, squeeze=False)
    for row, (heading, tiles) in zip(grid, lines, strict=True):
        for axes in row:
            axes.set_axis_off()
        for axes, (name, caption) in zip(row, tiles, strict=False):
            axes.imshow(_tile(dataset.read(items[name])))
            # in_layout=False: long names would push the photographs apart
            axes.text(0.5, -0.02, caption, fontsize=6, in_layout=False, ha="center", va="top", transform=axes.transAxes)
        row[0].text(0, 1.06, heading, fontsize=7, va="bottom", in_layout=False, transform=row[0].transAxes)
    figure.get_layout_engine().set(h_pad=0.09)
    figure.suptitle(title, fontsize=9)
    figures.save(figure, target, dpi=90)


def _tile(data: bytes) -> NDArray[np.uint8]:
    """The centre of a photograph, as a small square."""
    import cv2

    image = decode_image(data)
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    tile = cv2.resize(image[top : top + side, left : left + side], (TILE, TILE), interpolation=cv2.INTER_AREA)
    return np.asarray(tile, np.uint8)
