"""Fills the tables between the markers of docs/results.md from results.json; the other text is written by hand."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.accuracy import plan
from benchmarks.accuracy.plan import SETS, PlannedSet, row_name
from benchmarks.accuracy.results_file import ResultsFile
from edge_app.commands.evaluate_report import NAMES, percent
from edge_app.errors import InputError

BASELINES = ("knn1", "knn3", "nearest_class_mean", "online_softmax", "streaming_lda", "logistic_regression")
MISSING = "-"

Table = list[list[str]]


def write_page(ledger: ResultsFile, path: Path) -> None:
    """Replace the text between `<!-- NAME -->` and `<!-- end -->`; InputError for an unknown marker."""
    text = path.read_text(encoding="utf-8")

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        if name not in TABLES:
            raise InputError(f"{path}: no table is called {name}, expected one of {', '.join(TABLES)}")
        return f"<!-- {name} -->\n{markdown(TABLES[name](ledger))}\n<!-- end -->"

    path.write_text(re.sub(r"<!-- ([a-z]+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL), encoding="utf-8")


def markdown(rows: Table) -> str:
    """Return rows, the first one the heading, as a table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" + "|---:" * (len(rows[0]) - 1) + "|", *lines[1:]])


def accuracy(ledger: ResultsFile) -> Table:
    """All rows: CoLaNET beside the baselines; the best of a row is bold."""
    rows = [["", "**CoLaNET**", "± ", *(NAMES[name] for name in BASELINES)]]
    for one in SETS:
        for shots in one.shots:
            ours = ledger.found(f"colanet/{one.name}/{row_name(shots)}")
            theirs = ledger.found(f"baselines/{one.name}/{row_name(shots)}")
            values = [ours and ours["accuracy"], *(theirs and theirs["accuracy"].get(name) for name in BASELINES)]
            best = max((value for value in values if value is not None), default=None)
            cells = [f"**{_share(value)}**" if value == best is not None else _share(value) for value in values]
            cells.insert(1, _share(ours and ours["accuracy_std"]))
            rows.append([f"{one.name}, {_row_title(shots)}", *cells])
    return rows


def summary(ledger: ResultsFile) -> Table:
    """README's table: CoLaNET by examples of a class, and other classifiers with all examples."""
    shown = (1, 5, 10, None)
    others = ("streaming_lda", "logistic_regression")
    rows = [["CoLaNET", *(_row_title(shots) for shots in shown), *(f"all, by {NAMES[name]}" for name in others)]]
    for one in SETS:
        ours = [ledger.found(f"colanet/{one.name}/{row_name(shots)}") for shots in shown]
        theirs = (ledger.found(f"baselines/{one.name}/{row_name(None)}") or {}).get("accuracy", {})
        values = [*(found and found["accuracy"] for found in ours), *(theirs.get(name) for name in others)]
        rows.append([one.name, *map(_share, values)])
    return rows


def margins(ledger: ResultsFile) -> Table:
    """Points above (+) or below (-) the reference of each row."""
    rows = [
        [
            "points above",
            "averaged online softmax",
            "better of class mean and logistic regression",
            "logistic regression",
        ]
    ]
    for one in SETS:
        for shots in one.shots:
            ours = ledger.found(f"colanet/{one.name}/{row_name(shots)}")
            theirs = ledger.found(f"baselines/{one.name}/{row_name(shots)}")
            if ours is None or theirs is None:
                continue
            found = theirs["accuracy"]
            logistic = found["logistic_regression"]
            bars = (found["online_softmax"], max(found["nearest_class_mean"], logistic), logistic)
            rows.append(
                [f"{one.name}, {_row_title(shots)}", *(f"{100 * (ours['accuracy'] - bar):+.1f}" for bar in bars)]
            )
    return rows


def consolidated(ledger: ResultsFile) -> Table:
    """Before and after the dreams of idle time."""
    rows = [["", "single pass", "after consolidation", "points", "dreams, rehearsals", "logistic regression"]]
    for one in SETS:
        for shots in one.shots:
            found = ledger.found(f"consolidated/{one.name}/{row_name(shots)}")
            theirs = ledger.found(f"baselines/{one.name}/{row_name(shots)}")
            cells = [MISSING] * 4
            if found is not None:
                gain = 100 * (found["accuracy"] - found["before"])
                cells = [percent(found["before"]), percent(found["accuracy"]), f"{gain:+.1f}", f"{found['dreamt']:.0f}"]
            bar = theirs and theirs["accuracy"]["logistic_regression"]
            rows.append([f"{one.name}, {_row_title(shots)}", *cells, _share(bar)])
    return rows


def chosen(ledger: ResultsFile) -> Table:
    """The baselines' settings."""
    rows = [["", "logistic regression, C", "online softmax, rate", "streaming LDA, shrinkage"]]
    for one in SETS:
        for shots in one.shots:
            found = ledger.found(f"options/{one.name}/{row_name(shots)}") or {}
            picked = [
                next(iter(found.get(name, {}).values()), None)
                for name in ("logistic_regression", "online_softmax", "streaming_lda")
            ]
            rows.append(
                [f"{one.name}, {_row_title(shots)}", *(MISSING if value is None else f"{value:g}" for value in picked)]
            )
    return rows


def presets(ledger: ResultsFile) -> Table:
    """The published parameters on sign_digits."""
    rows = [["sign_digits", *(_row_title(shots) for shots in plan.PRESET_SHOTS)]]
    for preset in ("default", *plan.PRESETS):
        cells = []
        for shots in plan.PRESET_SHOTS:
            key = f"colanet/sign_digits/{row_name(shots)}" + ("" if preset == "default" else f"/{preset}")
            found = ledger.found(key)
            cells.append(_share(found and found["accuracy"]))
        rows.append([f"`{preset}`", *cells])
    return rows


def continual(ledger: ResultsFile) -> Table:
    """Class after class, in both regimes."""
    head = ["", "tasks", "final", "random order", "behind it", "forgetting", "of joint training", "within tasks"]
    rows = [[*head, "backward transfer", "rehearsed: final", "forgetting"]]
    for title, key in [(one.name, one.name) for one in SETS] + [("sign_digits, `paper`", "sign_digits/paper")]:
        for regime, found in (ledger.found(f"continual/{key}") or {}).items():
            joint, rehearsed = found["joint"] or {}, found["rehearsed"] or {}
            values = [found["final"], found["random_order"], found["behind_random_order"], found["forgetting"]]
            values += [joint.get("forgetting"), found["forgetting_within_task"], found["backward_transfer"]]
            values += [rehearsed.get("final"), rehearsed.get("forgetting")]
            rows.append([f"{title}, {regime}", f"{found['tasks']:g}", *(_share(value) for value in values)])
    return rows


def streams(ledger: ResultsFile) -> Table:
    """One-pass baselines on the same stream of classes."""
    names = ("nearest_class_mean", "streaming_lda", "online_softmax")
    rows = [["class after class / random order", "CoLaNET", *(NAMES[name] for name in names)]]
    for one in SETS:
        found = (ledger.found(f"continual/{one.name}") or {}).get("stable")
        if found:
            pairs = [found, *(found["baselines"][name] for name in names)]
            rows.append([one.name, *(f"{percent(p['final'])} / {percent(p['random_order'])}" for p in pairs)])
    return rows


def newcomer(ledger: ResultsFile) -> Table:
    """A class after all others."""
    names = ("nearest_class_mean", "streaming_lda", "online_softmax")
    head = ["", "**newcomer**", "the same class, all with 10 shots", "all classes, 10 shots"]
    rows = [[*head, "others before", "others after", *(f"newcomer by {NAMES[name]}" for name in names)]]
    for one in SETS:
        for shots in (plan.NEWCOMER_SHOTS, None):
            found = ledger.found(f"newcomer/{one.name}/{row_name(shots)}")
            if found:
                keys = ("newcomer", "few_shot_newcomer", "few_shot", "others_before", "others_after")
                taught = "10 shots each" if shots else "all their examples"
                shares = [found[key] for key in keys] + [found["baselines"][name] for name in names]
                rows.append([f"{one.name}, others with {taught}", *(_share(share) for share in shares)])
    return rows


OPENSET = {
    "novelty": "**novelty**",
    "familiarity": "excitation + lead",
    "relative_mahalanobis": "relative Mahalanobis",
    "energy": "energy",
    "nearest_neighbour": "nearest neighbour",
    "max_softmax": "maximum softmax",
    "cosine": "cosine",
}
"""Scores of the open-set tables, and their titles."""


def openset(ledger: ResultsFile) -> Table:
    """AUROC and false accepts of each score."""
    rows = [["AUROC / false accepts at 95 % true accepts", *OPENSET.values()]]
    for one in SETS:
        for shots in (None, plan.NEWCOMER_SHOTS):
            found = ledger.found(f"openset/{one.name}/{row_name(shots)}")
            if found:
                pairs = [found["scores"].get(name) for name in OPENSET]
                cells = [
                    MISSING if pair is None else f"{percent(pair['auroc'])} / {percent(pair['false_accept'])}"
                    for pair in pairs
                ]
                rows.append([f"{one.name}, {_row_title(shots)}", *cells])
    return rows


def strangers(ledger: ResultsFile) -> Table:
    """False accepts of strangers of each kind."""
    names = [name for name in OPENSET if name not in ("familiarity", "cosine")]
    rows = [["taught", "strangers", *(OPENSET[name] for name in names), "named by the device", "right names lost"]]
    for one in SETS:
        for classes, shots in plan.STRANGERS.get(one.name, ()):
            found = ledger.found(f"strangers/{one.name}/{classes}x{row_name(shots)}")
            for kind, values in (found["kinds"] if found else {}).items():
                cells = [_share(values["false_accept"].get(name)) for name in names]
                told = [percent(values["named"]), percent(found["right_names_lost"])]
                rows.append([f"{one.name}, {classes} classes x {shots}", kind, *cells, *told])
    return rows


def rejecting(ledger: ResultsFile) -> Table:
    """Right names, wrong names and "unknown" of each row, with the reject on."""
    rows = [["", "without: right", "right", "wrong", "unknown", "right of those named"]]
    for one in SETS:
        for shots in one.shots:
            found = ledger.found(f"colanet/{one.name}/{row_name(shots)}")
            if found:
                told = found["rejecting"]
                named = told["right"] + told["wrong"]
                values = [found["accuracy"], told["right"], told["wrong"], told["unknown"]]
                of_named = told["right"] / named if named else None
                rows.append([f"{one.name}, {_row_title(shots)}", *map(_share, values), _share(of_named)])
    return rows


def demo(ledger: ResultsFile) -> Table:
    """The demo's runs, added up."""
    runs = [found for seed in plan.DEMO_SEEDS if (found := ledger.found(f"demo/{seed}"))]

    def line(title: str, right: list[int], total: list[int]) -> list[str]:
        of = sum(total)
        return [title, str(sum(right)), str(of), f"{percent(sum(right) / of)} %" if of else MISSING]

    def scores(title: str, pick: Callable[[Any], Any]) -> list[str]:
        return line(title, [pick(run)["right"] for run in runs], [pick(run)["total"] for run in runs])

    return [
        ["", "right", "of", ""],
        scores("test then train, from the second example of a class on", lambda run: run["test_then_train"]),
        scores("naming, after four presses a class", lambda run: run["naming"]),
        line(
            "right names lost to the reject",
            [run["naming"]["lost"] for run in runs],
            [run["naming"]["right"] + run["naming"]["lost"] for run in runs],
        ),
        scores("the added class, after one press", lambda run: run["added_class"]),
        scores("the other classes, meanwhile", lambda run: run["added_class"]["others"]),
        line("undo exact to the spike", [run["undo_exact"] for run in runs], [1 for _ in runs]),
        line(
            "the stranger called unknown",
            [run["never_taught"].get("unknown", 0) for run in runs],
            [sum(run["never_taught"].values()) for run in runs],
        ),
    ]


def calibration(ledger: ResultsFile) -> Table:
    """Expected calibration error of each row."""
    rows = [["expected calibration error", *(_row_title(shots) for shots in plan.SHOTS)]]
    for one in SETS:
        cells = []
        for shots in plan.SHOTS:
            found = ledger.found(f"colanet/{one.name}/{row_name(shots)}")
            cells.append(_share(found and found["confidence"]["expected_calibration_error"]))
        rows.append([one.name, *cells])
    return rows


def noisy(ledger: ResultsFile) -> Table:
    """Points lost by wrong labels."""
    rows = [["points lost (accuracy without)", "CoLaNET", *(NAMES[name] for name in BASELINES)]]
    for one in SETS:
        found = ledger.found(f"noisy/{one.name}")
        for values in found["noisy"] if found else ():
            clean = found["clean"]
            pairs = [(clean["accuracy"], values["accuracy"])]
            pairs += [(clean["baselines"][name], values["baselines"][name]) for name in BASELINES]
            cells = [f"{100 * (before - after):.1f} ({percent(before)})" for before, after in pairs]
            rows.append([f"{one.name}, {percent(values['noise'])} % wrong", *cells])
    return rows


def metrics(ledger: ResultsFile) -> Table:
    """NeuroBench's metrics of each data set's network, beside the other two."""
    names = ("colanet", "linear_head", "knn3")
    found = {one: ledger.found(f"metrics/{one.name}") for one in SETS}
    there: dict[PlannedSet, Any] = {one: values for one, values in found.items() if values}
    rows = [["", *(f"{one.name}: {NAMES[name]}" for one in there for name in names)]]
    for title, path, scale, decimals in _LINES:
        cells = []
        for values in there.values():
            for name in names:
                value: Any = values[name]
                for key in path:
                    value = value.get(key) if isinstance(value, Mapping) else None
                cells.append(MISSING if value is None else f"{scale * value:,.{decimals}f}")
        rows.append([title, *cells])
    return rows


_LINES: list[tuple[str, tuple[str, ...], float, int]] = [
    ("footprint to decide, kB", ("footprint_bytes", "deciding"), 1e-3, 0),
    ("footprint to learn, kB", ("footprint_bytes", "learning"), 1e-3, 0),
    ("connection sparsity, %", ("connection_sparsity",), 100, 1),
    ("activation sparsity of inputs, %", ("activation_sparsity", "inputs"), 100, 1),
    ("activation sparsity of neurons, %", ("activation_sparsity", "neurons"), 100, 1),
    *(
        (f"{title}: {what}", (key, name), scale, decimals)
        for title, key in (("a decision", "decision"), ("a learnt example", "learnt_example"))
        for what, name, scale, decimals in (
            ("dense, thousands", "dense", 1e-3, 1),
            ("effective MACs, thousands", "effective_macs", 1e-3, 1),
            ("effective ACs, thousands", "effective_acs", 1e-3, 1),
            ("carried out here, thousands", "executed", 1e-3, 1),
            ("arithmetic, estimate, µJ", "energy_estimate_uj", 1, 3),
        )
    ),
]

TABLES: dict[str, Callable[[ResultsFile], Table]] = {
    "accuracy": accuracy,
    "summary": summary,
    "margins": margins,
    "consolidated": consolidated,
    "chosen": chosen,
    "presets": presets,
    "continual": continual,
    "streams": streams,
    "newcomer": newcomer,
    "openset": openset,
    "strangers": strangers,
    "rejecting": rejecting,
    "demo": demo,
    "calibration": calibration,
    "noisy": noisy,
    "metrics": metrics,
}


def _share(value: float | None) -> str:
    return MISSING if value is None else percent(value)


def _row_title(shots: int | None) -> str:
    return "all" if shots is None else f"{shots} shot{'s' if shots > 1 else ''}"
