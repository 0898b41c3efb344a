"""One picture of what a protocol of `edge-app evaluate` measured. Needs matplotlib."""

from pathlib import Path
from typing import Any

import numpy as np

from edge_app.evaluation import figures
from edge_app.evaluation.figures import Values

SCORES = {
    "novelty": "novelty",
    "familiarity": "excitation + lead",
    "relative_mahalanobis": "relative Mahalanobis",
    "nearest_neighbour": "nearest neighbour",
    "cosine": "cosine to class means",
}


def plot(values: Values, path: Path) -> None:
    """Write a PNG of a protocol's JSON values; readable from 2 to about 100 classes.

    Raises RuntimeMissing without matplotlib, or InputError for the file.
    """
    figure = _DRAW[values["protocol"]](values)
    figure.suptitle(_title(values).replace("$", r"\$"))
    figures.save(figure, path)


def _title(values: Values) -> str:
    shots = f", {values['shots']} shots" if values["shots"] else ""
    taught = f"taught with {values['n_train']} examples"
    if values["protocol"] == "standard":
        right = f"{100 * values['accuracy']:.1f} % of {values['n_test']} correct"
        return f"{Path(values['dataset']).name}{shots}: {right}, {taught}"
    return f"{Path(values['dataset']).name}{shots}: {values['protocol']}"


def _standard(values: Values) -> Any:
    n = len(values["classes"])
    side = float(np.clip(0.2 * n + 2, 6, 24))
    figure = figures.new_figure(side + 6.5, side + 0.8)
    grid = figure.add_gridspec(3, 2, width_ratios=(side, 5.5), height_ratios=(4 if n > 12 else 2, 1, 1))
    figures.draw_confusion(figure, figure.add_subplot(grid[:, 0]), values)
    figures.draw_classes(figure.add_subplot(grid[0, 1]), values)
    figures.draw_curve(figure.add_subplot(grid[1, 1]), values)
    confidence = values["confidence"]
    error = f"expected calibration error {100 * confidence['expected_calibration_error']:.1f} %"
    figures.draw_reliability(figure.add_subplot(grid[2, 1]), confidence, error)
    return figure


def _continual(values: Values) -> Any:
    figure = figures.new_figure(7, 4.5)
    figures.draw_continual(figure.add_subplot(), values["regimes"])
    return figure


def _openset(values: Values) -> Any:
    figure = figures.new_figure(5.5, 5)
    figures.draw_roc(figure.add_subplot(), values["scores"], SCORES)
    return figure


def _noisy(values: Values) -> Any:
    figure = figures.new_figure(6, 4.5)
    axes = figure.add_subplot()
    tried = [values["clean"], *values["noisy"]]
    shares = [100 * one["noise"] for one in tried]
    lines = {"CoLaNET": (shares, [one["accuracy"] for one in tried])}
    lines |= {name: (shares, [one["baselines"][name] for one in tried]) for name in values["clean"]["baselines"]}
    figures.draw_lines(axes, lines)
    axes.set_xlabel("wrong labels, %")
    axes.set_title("Correct, %")
    return figure


_DRAW = {"standard": _standard, "continual": _continual, "openset": _openset, "noisy": _noisy}
