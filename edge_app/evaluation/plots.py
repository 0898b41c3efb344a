"""One picture of an evaluation: confusion matrix, accuracy of each class, learning curve. Needs matplotlib."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_app.errors import InputError, RuntimeMissing
from edge_app.evaluation.trial import running_accuracy

if TYPE_CHECKING:
    from edge_app.evaluation.protocol import Evaluation

NUMBERED_CLASSES = 20
"""Up to so many classes each cell of the confusion matrix carries its number."""


def require_matplotlib() -> None:
    """Raise RuntimeMissing, with the way out, when matplotlib is not installed."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise RuntimeMissing("a plot needs matplotlib, which is not installed: pip install 'edge-app[plot]'")


def plot_evaluation(evaluation: "Evaluation", title: str, path: Path) -> None:
    """Write a PNG; readable from 2 to about 100 classes. Raises RuntimeMissing, or InputError for the file."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n = len(evaluation.classes)
    side = float(np.clip(0.2 * n + 2, 6, 24))
    figure = Figure(figsize=(side + 6.5, side + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=(side, 5.5), height_ratios=(2, 1) if n > 12 else (1, 1))
    _draw_confusion(figure, figure.add_subplot(grid[:, 0]), evaluation)
    _draw_classes(figure.add_subplot(grid[0, 1]), evaluation)
    _draw_curve(figure.add_subplot(grid[1, 1]), evaluation)
    figure.suptitle(title.replace("$", r"\$"))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a script without a font here is shown as boxes
            figure.savefig(path, dpi=110, format="png")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def _draw_confusion(figure: Any, axes: Any, evaluation: "Evaluation") -> None:
    from matplotlib.colors import PowerNorm

    counts = evaluation.confusion()
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    norm = PowerNorm(0.5, vmin=0, vmax=1)  # so that a rare confusion is seen too
    image = axes.imshow(share, cmap="Blues", norm=norm, aspect="auto", interpolation="nearest")
    columns = [*evaluation.classes, "unknown"]
    n = len(evaluation.classes)
    size = float(np.clip(850 / max(n, 1), 5.5, 10))
    axes.set_xticks(range(n + 1), [_short(name) for name in columns], rotation=90, fontsize=size)
    axes.set_yticks(range(n), [_short(name) for name in evaluation.classes], fontsize=size)
    axes.axvline(n - 0.5, color="0.6", linewidth=0.8)
    axes.set_xlabel("decided")
    axes.set_ylabel("shown")
    axes.set_title("Confusion: share of each shown class")
    figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01)
    if n <= NUMBERED_CLASSES:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if share[row, column] > 0.3 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)


def _draw_classes(axes: Any, evaluation: "Evaluation") -> None:
    known = [(value, label) for label, value in evaluation.per_class().items() if value is not None]
    known.sort()
    axes.barh(range(len(known)), [100 * value for value, _ in known], color="tab:blue", height=0.8)
    size = float(np.clip(600 / max(len(known), 1), 5.0, 10))
    axes.set_yticks(range(len(known)), [_short(label) for _, label in known], fontsize=size)
    axes.set_ylim(-0.6, len(known) - 0.4)
    axes.set_xlim(0, 100)
    axes.axvline(100 * evaluation.accuracy, color="tab:orange", linewidth=1.2, label="all images")
    axes.legend(loc="lower right", fontsize=8)
    axes.set_title("Correct of each class, %")


def _draw_curve(axes: Any, evaluation: "Evaluation") -> None:
    for number, trial in enumerate(evaluation.trials):
        curve = 100 * running_accuracy(trial.hits)
        steps = np.linspace(1, len(trial.hits), len(curve))
        axes.plot(steps, curve, color="tab:blue", alpha=0.9 if number == 0 else 0.35, linewidth=1.2)
    axes.set_ylim(0, 100)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.set_xlabel("examples shown")
    axes.set_title("Test-then-train: correct so far, %")


def _short(label: str, length: int = 24) -> str:
    short = label if len(label) <= length else label[: length - 1] + "…"
    return short.replace("$", r"\$")  # a pair of dollars would be typeset as a formula
