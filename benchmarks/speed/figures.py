"""Pictures of a kept result for docs/performance.md."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_app.evaluation.figures import new_figure, save

CURVES = {
    "classes": "classes (K = 1)",
    "microcolumns": "K, L neurons a column (10 classes)",
    "members": "E, members (10 classes, K = 7, published)",
    "inputs": "inputs (64 classes)",
    "active_inputs": "share of active inputs (64 classes)",
}
STATES = {
    "classes": "classes (K = 1)",
    "microcolumns_of_10_classes": "K (10 classes)",
    "members_of_10_classes_K_7": "E (10 classes, K = 7, published rule)",
}
PARTS = {"preprocess": "crop and scale", "encode": "encoder", "rate_code": "rate code", "decide": "decide"}


def draw(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the pictures into a folder and return their paths. Raises RuntimeMissing without matplotlib."""
    drawings = {
        "performance-frame.png": _frame,
        "performance-roofline.png": _roofline,
        "performance-curves.png": _curves,
        "performance-state.png": _states,
    }
    paths = []
    for name, drawing in drawings.items():
        paths.append(folder / name)
        save(drawing(found), paths[-1])
    return paths


def _frame(found: Mapping[str, Any]) -> Any:
    device = found["device"]
    figure = new_figure(8, 1.6)
    axes = figure.add_subplot()
    at = 0.0
    for number, (key, name) in enumerate(PARTS.items()):
        taken = device[f"{key}_ms"]["p50"]
        axes.barh(0, taken, left=at, color=f"C{number}", label=f"{name}, {taken:.3f} ms")
        at += taken
    axes.set_yticks([])
    axes.set_xlim(0, at)
    axes.set_xlabel(f"ms of a 640 x 480 frame, medians; {device['classes']} classes, one thread")
    axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, fontsize=8)
    return figure


def _roofline(found: Mapping[str, Any]) -> Any:
    """Bytes of weights a second against the size of the weights, under what one core reads from so much memory."""
    figure = new_figure(7, 4.5)
    axes = figure.add_subplot()
    roof = found["bandwidth"]
    axes.plot([point["bytes"] for point in roof], [point["gb_per_s"] for point in roof], "k-", label="one core reads")
    for name, key, mark in (("weights' pass", "weights_us", "o"), ("whole decision", "decide_us", "s")):
        sizes = [size for label, size in found["classifier"].items() if label.endswith("classes")]
        touched = [size["active_inputs"] * size["neurons"] * 2 for size in sizes]
        speeds = [count / size[key]["p10"] / 1e3 for count, size in zip(touched, sizes, strict=True)]
        axes.plot([size["weight_bytes"] for size in sizes], speeds, mark, label=name)
    for label, size in found["classifier"].items():
        if label.endswith("classes"):
            axes.axvline(size["weight_bytes"], color="0.85", zorder=0)
            axes.text(size["weight_bytes"], 0.12, f" {label}", rotation=90, fontsize=7, va="bottom")
    axes.set(xscale="log", yscale="log", xlabel="bytes of weights (working set)", ylabel="GB/s of weights that count")
    axes.set_ylim(0.1, None)
    axes.legend(fontsize=8)
    return figure


def _curves(found: Mapping[str, Any]) -> Any:
    figure = new_figure(11, 6)
    for place, (key, name) in enumerate(CURVES.items()):
        axes = figure.add_subplot(2, 3, place + 1)
        points = found["curves"][key]
        x = [point[key] for point in points]
        for value, label, style in (
            ("learn_us", "learn", "o-"),
            ("decide_us", "decide", "s-"),
            ("floor_us", "memory floor of a decision", "k:"),
        ):
            axes.plot(x, [point[value] for point in points], style, label=label, markersize=3)
        axes.set(xscale="log", yscale="log", xlabel=name, ylabel="microseconds")
        axes.set_xticks(x, [f"{value:g}" for value in x], minor=False)
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.3)
    legend = figure.add_subplot(2, 3, len(CURVES) + 1)  # the place that is left
    legend.set_axis_off()
    legend.legend(*axes.get_legend_handles_labels(), fontsize=9, loc="center")
    return figure


def _states(found: Mapping[str, Any]) -> Any:
    figure = new_figure(9, 3)
    for place, (key, name) in enumerate(STATES.items()):
        axes = figure.add_subplot(1, 3, place + 1)
        curve = found["state_sizes"][key]
        axes.plot(curve["x"], [size / 1e6 for size in curve["bytes"]], "o-", markersize=3)
        axes.set(xlabel=name, ylabel="MB saved", title=f"{curve['bytes_each'] / 1e3:,.1f} kB each")
        axes.set_ylim(0, None)
        axes.grid(alpha=0.3)
    return figure
