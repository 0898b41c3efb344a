"""Plots of results with matplotlib, from the JSON values of a protocol."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.errors import InputError, RuntimeMissing

NUMBERED_CLASSES = 20
"""Up to so many classes each cell of the confusion matrix carries its number."""

Values = Mapping[str, Any]


def require_matplotlib() -> None:
    """Raise RuntimeMissing, with the way out, when matplotlib is not installed."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise RuntimeMissing("a plot needs matplotlib, which is not installed: pip install 'edge-app[plot]'")


def new_figure(width: float, height: float) -> Any:
    """Return a matplotlib figure, inches, that needs no display. Raises RuntimeMissing."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    # not pyplot, which keeps figures in a global list and may look for a display
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: Path, dpi: int = 110) -> None:
    """Write a PNG, the same bytes for the same figure; InputError when the file cannot be written."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a script without a font here is shown as boxes
            # without matplotlib's version, so that the same figure gives the same bytes
            figure.savefig(path, dpi=dpi, format="png", metadata={"Software": None})
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def draw_confusion(figure: Any, axes: Any, values: Values) -> None:
    """Confusion of a standard evaluation: share of each shown class."""
    from matplotlib.colors import PowerNorm

    counts = np.array(values["confusion"]["counts"])
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    norm = PowerNorm(0.5, vmin=0, vmax=1)  # so that a rare confusion is seen too
    image = axes.imshow(share, cmap="Blues", norm=norm, aspect="auto", interpolation="nearest")
    classes = values["classes"]
    n = len(classes)
    size = float(np.clip(850 / max(n, 1), 5.5, 10))
    axes.set_xticks(range(n + 1), [short(name) for name in [*classes, "unknown"]], rotation=90, fontsize=size)
    axes.set_yticks(range(n), [short(name) for name in classes], fontsize=size)
    axes.axvline(n - 0.5, color="0.6", linewidth=0.8)
    axes.set_xlabel("decided")
    axes.set_ylabel("shown")
    axes.set_title("Confusion: share of each shown class")
    figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01)
    if n <= NUMBERED_CLASSES:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if share[row, column] > 0.3 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)


def draw_classes(axes: Any, values: Values) -> None:
    """Accuracy of each class of a standard evaluation."""
    known = sorted((value, label) for label, value in values["per_class"].items() if value is not None)
    axes.barh(range(len(known)), [100 * value for value, _ in known], color="tab:blue", height=0.8)
    size = float(np.clip(600 / max(len(known), 1), 5.0, 10))
    axes.set_yticks(range(len(known)), [short(label) for _, label in known], fontsize=size)
    axes.set_ylim(-0.6, len(known) - 0.4)
    axes.set_xlim(0, 100)
    axes.axvline(100 * values["accuracy"], color="tab:orange", linewidth=1.2, label="all images")
    axes.legend(loc="lower right", fontsize=8)
    axes.set_title("Correct of each class, %")


def draw_curve(axes: Any, values: Values) -> None:
    """Test-then-train of a standard evaluation's first repeat."""
    curve = 100 * np.array(values["test_then_train"]["curve"])
    axes.plot(np.linspace(1, values["n_train"], len(curve)), curve, color="tab:blue", linewidth=1.2)
    axes.set_ylim(0, 100)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.set_xlabel("examples shown")
    axes.set_title("Test-then-train: correct so far, %")


def draw_reliability(axes: Any, confidence: Values, label: str) -> None:
    """Share of right decisions against stated confidence; the dots' areas go with the numbers of decisions."""
    bins = [one for one in confidence["bins"] if one["count"]]
    stated, right = [one["confidence"] for one in bins], [one["right"] for one in bins]
    total = sum(one["count"] for one in bins)
    (line,) = axes.plot(stated, right, linewidth=1.2, label=label)
    axes.scatter(stated, right, s=[8 + 300 * one["count"] / total for one in bins], color=line.get_color(), alpha=0.6)
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, linestyle=":")
    axes.set_xlabel("stated confidence")
    axes.set_ylabel("share of right decisions")
    axes.set_title("Reliability")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def draw_roc(axes: Any, scores: Values, names: Mapping[str, str]) -> None:
    """True against false accepts of an open set, one line a score."""
    for name, title in names.items():
        found = scores[name]
        true_accept = np.linspace(0, 1, len(found["roc"]))
        axes.plot(found["roc"], true_accept, linewidth=1.2, label=f"{title}, AUROC {100 * found['auroc']:.1f} %")
    axes.axhline(0.95, color="0.6", linewidth=0.8, linestyle=":")
    axes.set_xlabel("accepted of classes never taught")
    axes.set_ylabel("accepted of taught classes")
    axes.set_title("Open set")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def draw_continual(axes: Any, regimes: Values) -> None:
    """Accuracy on the classes seen so far, after each task."""
    for name, found in regimes.items():
        for key, style in ((None, "-"), ("rehearsed", "--"), ("joint", ":")):
            part = found if key is None else found[key]
            # one line of joint training is enough to compare with
            if part is None or (key == "joint" and name != "stable"):
                continue
            title = {None: name, "rehearsed": f"{name}, rehearsed", "joint": "joint, anew after each task"}[key]
            steps = 100 * np.array(part["steps"])
            axes.plot(range(1, len(steps) + 1), steps, style, marker=".", linewidth=1.2, label=title)
    stable = regimes["stable"]
    axes.axhline(100 * stable["random_order"], color="0.6", linewidth=0.8, label="all classes in random order")
    axes.set_xlabel("tasks learnt")
    axes.set_title("Correct of all classes seen so far, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def draw_lines(axes: Any, lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """Percentages, one line a classifier: x positions and shares."""
    for name, (places, shares) in lines.items():
        ours = name == "CoLaNET"
        axes.plot(places, [100 * share for share in shares], marker=".", linewidth=2.4 if ours else 1.0, label=name)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def short(label: str, length: int = 24) -> str:
    """A label that fits an axis."""
    cut = label if len(label) <= length else label[: length - 1] + "…"
    return cut.replace("$", r"\$")  # a pair of dollars would be typeset as a formula
