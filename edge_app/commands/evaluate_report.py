"""The figures of `edge-app evaluate` as text for a terminal."""

from typing import Any

from edge_app.commands.output import table

NAMES = {
    "nearest_class_mean": "nearest class mean",
    "knn1": "1-NN",
    "knn3": "3-NN",
    "streaming_lda": "streaming LDA",
    "online_softmax": "averaged online softmax",
    "logistic_regression": "logistic regression",
    "colanet": "CoLaNET",
    "linear_head": "linear head, float32",
}
SHOWN_SKIPPED = 20


def report(values: dict[str, Any]) -> str:
    """Return the JSON values of a protocol as text."""
    parts = [_heading(values), *_PARTS[values["protocol"]](values), *_remarks(values)]
    return "\n".join(parts)


def _heading(values: dict[str, Any]) -> str:
    return (
        f"{values['dataset']}: {len(values['classes'])} classes, {values['n_train']} examples learnt"
        + (f" ({values['passes']} passes)" if values["passes"] > 1 else "")
        + f", {values['n_test']} images tested"
        + (f", {values['repeats']} repeats" if values["repeats"] > 1 else "")
    )


def _standard(values: dict[str, Any]) -> list[str]:
    several = values["repeats"] > 1
    rows = [("", "correct %")]
    for name, mean, deviation in (
        ("colanet", values["accuracy"], values["accuracy_std"]),
        *((name, mean, values["baselines_std"][name]) for name, mean in values["baselines"].items()),
    ):
        rows.append((NAMES.get(name, name), percent(mean) + (f" ± {percent(deviation)}" if several else "")))
    if (after := values.get("consolidated")) is not None:
        shown = percent(after["accuracy"]) + (f" ± {percent(after['accuracy_std'])}" if several else "")
        dreams = f"{after['dreams']} dream{'' if after['dreams'] == 1 else 's'}"
        # directly below CoLaNET's row: rows[0] is the heading
        rows.insert(2, (f"CoLaNET, {dreams} of each example", shown))
    lines = [table(rows), ""]
    lines.append(f'answered "unknown": {percent(values["unknown_rate"])} %')
    lines.append(
        f"test-then-train: {percent(values['test_then_train']['accuracy'])} % correct before each example was learnt"
    )
    error = values["confidence"]["expected_calibration_error"]
    lines.append(f"confidence: {percent(error)} % off on average (expected calibration error)")
    with_reject = values["rejecting"]
    lines.append(
        f"with the reject, at strictness {with_reject['strictness']:g}: {percent(with_reject['right'])} % right names, "
        f"{percent(with_reject['wrong'])} % wrong ones, {percent(with_reject['unknown'])} % unknown"
    )
    # None: a class without test images
    worst = sorted((value, label) for label, value in values["per_class"].items() if value is not None)[:3]
    lines.append("hardest classes: " + ", ".join(f"{label} {percent(value)} %" for value, label in worst))
    timed = [("ms an image", "median", "p95")]
    timed += [(stage.replace("_", " "), _ms(found["p50"]), _ms(found["p95"])) for stage, found in values["ms"].items()]
    lines += ["", table(timed)]
    return lines + (["", *metrics_table(values["metrics"])] if "metrics" in values else [])


def metrics_table(metrics: dict[str, Any]) -> list[str]:
    """Return NeuroBench's metrics as a table, one column a classifier."""
    names = ("colanet", "linear_head", "knn3")
    rows = [("", *(NAMES[name] for name in names))]

    def line(title: str, *path: str, scale: float = 1.0, decimals: int = 0) -> None:
        cells = []
        for name in names:
            value: Any = metrics[name]
            for key in path:
                value = value.get(key) if value is not None else None
            cells.append("-" if value is None else f"{scale * value:,.{decimals}f}")
        rows.append((title, *cells))

    line("footprint to decide, kB", "footprint_bytes", "deciding", scale=1e-3)
    line("footprint to learn, kB", "footprint_bytes", "learning", scale=1e-3)
    line("connection sparsity, %", "connection_sparsity", scale=100, decimals=1)
    line("activation sparsity of inputs, %", "activation_sparsity", "inputs", scale=100, decimals=1)
    line("activation sparsity of neurons, %", "activation_sparsity", "neurons", scale=100, decimals=1)
    for title, key in (("a decision", "decision"), ("a learnt example", "learnt_example")):
        line(f"{title}: dense operations", key, "dense")
        line(f"{title}: effective MACs", key, "effective_macs")
        line(f"{title}: effective ACs", key, "effective_acs")
        line(f"{title}: carried out", key, "executed")
        line(f"{title}: arithmetic, estimate, µJ", key, "energy_estimate_uj", decimals=3)
    return [table(rows), *_spiking_encoder(metrics.get("encoder"))]


def _spiking_encoder(found: dict[str, Any] | None) -> list[str]:
    """Return the operations of a spiking encoder beside those of the same convolutions in an ordinary network."""
    if found is None:
        return []
    rows = [
        ("encoder, an image", "spiking", "ordinary, int8"),
        ("spikes", f"{found['spikes']:,}", "-"),
        ("multiply-accumulations", f"{found['current_macs']:,}", f"{found['macs']:,}"),
        ("additions if all neurons fired", f"{found['dense']:,}", "-"),
        ("additions carried out", f"{found['effective']:,}", "-"),
        ("arithmetic, estimate, µJ", f"{found['energy_uj']:.1f}", f"{found['ann_energy_uj']:.1f}"),
    ]
    return ["", table(rows), f"{found['images']} images; {found['energy_source']}"]


def _noisy(values: dict[str, Any]) -> list[str]:
    shares = [one["noise"] for one in values["noisy"]]
    rows = [("correct %", "all labels right", *(f"{percent(share)} % wrong" for share in shares))]
    clean = values["clean"]
    for name in ("colanet", *clean["baselines"]):
        cells = []
        start = clean["accuracy"] if name == "colanet" else clean["baselines"][name]
        for one in values["noisy"]:
            found = one["accuracy"] if name == "colanet" else one["baselines"][name]
            cells.append(f"{percent(found)} ({percent(start - found)} lost)")
        rows.append((NAMES.get(name, name), percent(start), *cells))
    return [table(rows)]


def _openset(values: dict[str, Any]) -> list[str]:
    rows = [("score", "AUROC %", "false accept % at 95 % true accept")]
    for name, found in values["scores"].items():
        title = "cosine to class means" if name == "cosine" else name
        rows.append((title, percent(found["auroc"]), percent(found["false_accept"])))
    silent = values["no_spike"]
    return [
        f"{values['taught']:g} classes taught, {values['shown']:g} others shown; "
        f"{percent(values['accuracy_of_taught'])} % of the taught ones decided correctly",
        table(rows),
        f'no column spiked ("unknown" by itself): {percent(silent["known"])} % of taught, '
        f"{percent(silent['unknown'])} % of others",
    ]


def _continual(values: dict[str, Any]) -> list[str]:
    rows = [("", *values["regimes"])]

    def line(title: str, *path: str) -> None:
        cells = []
        for found in values["regimes"].values():
            value: Any = found
            for key in path:
                value = value[key] if value is not None else None
            cells.append("-" if value is None else percent(value))
        rows.append((title, *cells))

    line("final accuracy, class after class, %", "final")
    line("final accuracy, random order, %", "random_order")
    line("forgetting, points", "forgetting")
    line("forgetting of joint training, points", "joint", "forgetting")
    line("forgetting within tasks, points", "forgetting_within_task")
    line("backward transfer, points", "backward_transfer")
    if values["rehearse"]:
        line(f"final accuracy with {values['rehearse']} rehearsed, %", "rehearsed", "final")
        line("forgetting with rehearsal, points", "rehearsed", "forgetting")
    lines = [table(rows), "", "after each task, % of the classes seen so far:"]
    for regime, found in values["regimes"].items():
        lines.append(f"  {regime}: " + " ".join(percent(step) for step in found["steps"]))
    beside = [("beside", "class after class %", "random order %")]
    for name, found in values["regimes"]["stable"]["baselines"].items():
        beside.append((NAMES.get(name, name), percent(found["final"]), percent(found["random_order"])))
    # the baselines do not depend on the regime: those of one regime stand for all
    lines += ["", table(beside)] if len(beside) > 1 else []
    return lines + (_newcomer(values["newcomer"]) if "newcomer" in values else [])


def _newcomer(found: dict[str, Any]) -> list[str]:
    return [
        "",
        f"a class added after all others, with {found['shots']} shots ({found['choices']} tried): "
        f"{percent(found['newcomer'])} % of it right",
        f"  all classes with {found['shots']} shots, in random order: it {percent(found['few_shot_newcomer'])} %, "
        f"all {percent(found['few_shot'])} %",
        f"  the others: {percent(found['others_before'])} % before it came, {percent(found['others_after'])} % after",
        *(f"  {NAMES.get(name, name)}: {percent(value)} % of it right" for name, value in found["baselines"].items()),
    ]


def _remarks(values: dict[str, Any]) -> list[str]:
    lines = ["", *(f"note: {note}" for note in values["notes"])] if values["notes"] else []
    if values["skipped"]:
        count = len(values["skipped"])
        lines += ["", f"{count} image{'s' if count > 1 else ''} skipped:"]
        lines += [f"  {skipped['name']}: {skipped['reason']}" for skipped in values["skipped"][:SHOWN_SKIPPED]]
        lines += [f"  and {count - SHOWN_SKIPPED} more (--json names all)"] if count > SHOWN_SKIPPED else []
    return lines


def percent(value: float) -> str:
    """Return a fraction as a percentage with one decimal."""
    return f"{100 * value:.1f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


_PARTS = {"standard": _standard, "continual": _continual, "openset": _openset, "noisy": _noisy}
