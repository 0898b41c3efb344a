"""Results of a search: the best set, the history of trials, and a plot of both."""

import argparse
import csv
import json
import math
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from calibration.candidates import Candidate


def write_results(
    study: optuna.Study, best: Candidate, comparison: dict[str, Any] | None, args: argparse.Namespace
) -> dict[str, Any]:
    """Write search_RULE.json, search_RULE.csv and search_RULE.png into args.out; return what the first one holds."""
    args.out.mkdir(parents=True, exist_ok=True)
    trials = [trial for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    importance = importances(study)
    values = {
        "rule": args.rule,
        "best": best.to_dict(),
        "objective": study.best_value,
        "rows": study.best_trial.user_attrs["rows"],
        "start_objective": trials[0].value,
        "trials": len(trials),
        "stopped_early": sum(trial.state == TrialState.PRUNED for trial in trials),
        "seconds": round(sum(_seconds(trial) for trial in trials)),
        "sets": args.sets,
        "draws": args.draws,
        "images_of_an_imagenet64_class": args.limit,
        "seed": args.seed,
        "importance": importance,
        "compared_with_default": comparison,
    }
    stem = f"search_{args.rule}"
    rounded: dict[str, Any] = _rounded(values)
    (args.out / f"{stem}.json").write_text(json.dumps(rounded, indent=1) + "\n")
    _write_history(trials, args.out / f"{stem}.csv")
    _plot(trials, importance, args.rule, args.out / f"{stem}.png")
    return rounded


def importances(study: optuna.Study) -> dict[str, float]:
    """Return each parameter's share of the variance of complete trials (fANOVA); empty where too few differ."""
    # fANOVA divides by the variance of the values, and fits a forest: a few trials give no usable share
    if len({trial.value for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}) < 4:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in found.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    if isinstance(value, float):
        # JSON has no NaN, and six digits are more than the draws can tell apart
        return None if math.isnan(value) else float(f"{value:.6g}")
    return value


def _seconds(trial: FrozenTrial) -> float:
    return trial.duration.total_seconds() if trial.duration else 0.0


def _write_history(trials: list[FrozenTrial], path: Path) -> None:
    names = sorted({name for trial in trials for name in trial.params})
    rows = sorted({row for trial in trials for row in trial.user_attrs.get("rows", {})})
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "state", "objective", "last_mean", "seconds", *names, *rows])
        for trial in trials:
            last = trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else None
            value = trial.value if trial.state == TrialState.COMPLETE else None  # Optuna gives stopped ones their last
            found = trial.user_attrs.get("rows", {})
            cells = [value, last, round(_seconds(trial), 1), *map(trial.params.get, names), *map(found.get, rows)]
            shown = [f"{cell:.5g}" if isinstance(cell, float) else cell for cell in cells]
            writer.writerow([trial.number, trial.state.name.lower(), *shown])


def _plot(trials: list[FrozenTrial], importance: dict[str, float], rule: str, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    history, bars = figure.subplots(1, 2, width_ratios=(3, 2))
    complete = [trial for trial in trials if trial.value is not None and trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED and trial.intermediate_values]
    history.plot([t.number for t in complete], [t.value for t in complete], "o", label="complete")
    last = [t.intermediate_values[max(t.intermediate_values)] for t in pruned]
    history.plot([t.number for t in pruned], last, "x", color="0.6", label="stopped early (mean so far)")
    best = [max(t.value for t in complete[: i + 1] if t.value is not None) for i in range(len(complete))]
    history.plot([t.number for t in complete], best, drawstyle="steps-post", label="best so far")
    history.axhline(1, color="0.5", linewidth=0.8, linestyle=":")
    history.set_xlabel("trial (the first ones are given, the others drawn)")
    history.set_ylabel("accuracy over that of the better of nearest\nclass mean and logistic regression, mean of rows")
    history.legend(fontsize=8)
    history.grid(alpha=0.3)
    names = list(importance)[::-1]
    bars.barh(names, [importance[name] for name in names])
    bars.set_xlabel("share of the objective's variance (fANOVA)")
    figure.suptitle(f"Search of the {rule} rule's parameters")
    # matplotlib writes its version into the file otherwise, and each update would change the picture's bytes
    figure.savefig(path, dpi=100, metadata={"Software": None})
