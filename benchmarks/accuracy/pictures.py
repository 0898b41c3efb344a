"""The figures of docs/results.md. No picture of ImageNet is drawn, and no measured figure is computed here."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benchmarks.accuracy.neurons import draw_classes, draw_raster, draw_typical
from benchmarks.accuracy.plan import SETS, PlannedSet, row_name
from benchmarks.accuracy.results_file import ResultsFile
from edge_app.commands.evaluate_report import NAMES
from edge_app.evaluation import figures
from edge_app.evaluation.plots import SCORES

GROCERIES = ("Banana", "Kiwi", "Pink-Lady", "Regular-Tomato")
LINES = ("logistic_regression", "streaming_lda", "online_softmax", "nearest_class_mean", "knn3")


def draw_all(ledger: ResultsFile, data: Path, cache: Path, folder: Path) -> None:
    """Draw every figure whose results are there; those with photographs need the data."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, Any] = {
        "learning_curves": learning_curves(ledger),
        "confusion": confusion(ledger),
        "continual": continual(ledger),
        "openset": openset(ledger),
        "reliability": reliability(ledger),
        "noise": noise(ledger),
    }
    for name, figure in drawn.items():
        if figure is not None:
            figures.save(figure, folder / f"{name}.png")
    if (data / "sign_digits.zip").is_file():
        draw_raster(data / "sign_digits.zip", cache, folder / "raster.png")
        draw_typical(data / "sign_digits.zip", cache, folder / "neurons_sign_digits.png", labels=("2", "5"))
        draw_classes(data / "grocery.zip", cache, folder / "neurons_grocery.png", labels=GROCERIES)


def learning_curves(ledger: ResultsFile) -> Any:
    """Accuracy against shots, all classifiers; the last point is all examples, at their mean number a class."""
    there = [
        one for one in SETS if ledger.found(f"colanet/{one.name}/all") and ledger.found(f"baselines/{one.name}/all")
    ]
    if not there:
        return None
    figure = figures.new_figure(4.6 * len(there), 4.4)
    for axes, one in zip(_row(figure, len(there)), there, strict=True):
        figures.draw_lines(axes, _curves(ledger, one))
        axes.set_xscale("log")
        axes.set_xlabel("examples of each class")
        axes.set_title(f"{one.name}: correct, %")
    return figure


def _curves(ledger: ResultsFile, one: PlannedSet) -> dict[str, tuple[list[float], list[float]]]:
    # None is all examples, and comes last
    rows = sorted(one.shots, key=lambda shots: shots or 10**9)
    whole = ledger.found(f"colanet/{one.name}/all")
    places = [float(shots) if shots else whole["n_train"] / whole["n_classes"] for shots in rows]
    ours = [ledger.found(f"colanet/{one.name}/{row_name(shots)}")["accuracy"] for shots in rows]
    theirs = [ledger.found(f"baselines/{one.name}/{row_name(shots)}")["accuracy"] for shots in rows]
    return {"CoLaNET": (places, ours)} | {NAMES[name]: (places, [row[name] for row in theirs]) for name in LINES}


def confusion(ledger: ResultsFile) -> Any:
    """Of sign_digits, all examples."""
    values = ledger.found("colanet/sign_digits/all")
    if values is None:
        return None
    figure = figures.new_figure(6.2, 5.4)
    figures.draw_confusion(figure, figure.add_subplot(), values)
    return figure


def continual(ledger: ResultsFile) -> Any:
    """Accuracy after each task."""
    there = [one for one in SETS if ledger.found(f"continual/{one.name}")]
    if not there:
        return None
    figure = figures.new_figure(4.6 * len(there), 4.4)
    for axes, one in zip(_row(figure, len(there)), there, strict=True):
        figures.draw_continual(axes, ledger.found(f"continual/{one.name}"))
        axes.set_title(f"{one.name}: correct of all classes seen so far, %", fontsize=10)
    return figure


def openset(ledger: ResultsFile) -> Any:
    """ROC curves."""
    there = [one for one in SETS if ledger.found(f"openset/{one.name}/all")]
    if not there:
        return None
    figure = figures.new_figure(4.4 * len(there), 4.4)
    for axes, one in zip(_row(figure, len(there)), there, strict=True):
        figures.draw_roc(axes, ledger.found(f"openset/{one.name}/all")["scores"], SCORES)
        axes.set_title(one.name)
    return figure


def reliability(ledger: ResultsFile) -> Any:
    """Reliability of the confidence, all rows."""
    there = [one for one in SETS if ledger.found(f"colanet/{one.name}/all")]
    if not there:
        return None
    figure = figures.new_figure(4.4 * len(there), 4.4)
    for axes, one in zip(_row(figure, len(there)), there, strict=True):
        for shots in one.shots:
            found = ledger.found(f"colanet/{one.name}/{row_name(shots)}")
            if found:
                error = 100 * found["confidence"]["expected_calibration_error"]
                figures.draw_reliability(axes, found["confidence"], f"{row_name(shots)}, {error:.1f} % off")
        axes.set_title(one.name)
    return figure


def noise(ledger: ResultsFile) -> Any:
    """Accuracy against the share of wrong labels."""
    there = [one for one in SETS if ledger.found(f"noisy/{one.name}")]
    if not there:
        return None
    figure = figures.new_figure(4.6 * len(there), 4.0)
    for axes, one in zip(_row(figure, len(there)), there, strict=True):
        found = ledger.found(f"noisy/{one.name}")
        tried = [found["clean"], *found["noisy"]]
        shares = [100 * values["noise"] for values in tried]
        lines = {"CoLaNET": (shares, [values["accuracy"] for values in tried])}
        lines |= {NAMES[name]: (shares, [values["baselines"][name] for values in tried]) for name in LINES}
        figures.draw_lines(axes, lines)
        axes.set_xlabel("wrong labels, %")
        axes.set_title(f"{one.name}: correct, %")
    return figure


def _row(figure: Any, count: int) -> NDArray[Any]:
    axes: NDArray[Any] = figure.subplots(1, count, squeeze=False)[0]
    return axes
