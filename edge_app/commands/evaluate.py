"""`edge-app evaluate`: learn a data set as the device would, and say how well it is known afterwards."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

EPILOG = """\
The data set is a folder or a zip, laid out SPLIT/CLASS/*.jpg, ALL/CLASS/*.jpg or CLASS/*.jpg. Splits called train and
test are used as such; without them a fifth of each class is held out, by --seed. Each example is learnt once, in seeded
random order. Corrupt images are counted, named and skipped. docs/evaluate.md describes every figure.

examples:
  edge-app evaluate photos/
  edge-app evaluate grocery.zip --json grocery.json --plot grocery.png
  edge-app evaluate signs.zip --shots 5 --repeats 5
  edge-app evaluate photos/ --train morning --test evening
"""

NAMES = {
    "nearest_class_mean": "nearest class mean",
    "knn3": "3-NN",
    "streaming_lda": "streaming LDA",
    "online_softmax": "averaged online softmax",
    "logistic_regression": "logistic regression",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser and return it."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure accuracy on a data set of photos",
        description="Learn a data set of photos as the device would, test, and stand conventional classifiers beside.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", metavar="PATH", help="folder or zip of images in class folders")
    parser.add_argument("--train", metavar="SPLIT", help="split folder to learn from (default: train)")
    parser.add_argument("--test", metavar="SPLIT", help="split folder to test on (default: test)")
    parser.add_argument("--shots", type=int, metavar="N", help="learn only N examples of each class, drawn by --seed")
    parser.add_argument("--repeats", type=int, default=1, metavar="R", help="repeat with R seeds: mean and deviation")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the draws and the order (default: 0)")
    parser.add_argument("--passes", type=int, default=1, metavar="P", help="show the examples P times (default: 1)")
    parser.add_argument("--limit", type=int, metavar="N", help="use at most N images of each class and split")
    parser.add_argument("--model", metavar="NAME", help="encoder model, by name or file (default: the one shipped)")
    parser.add_argument(
        "--params", default="default", metavar="PRESET", help="classifier's parameters (default: default)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads of encoder and classifier (default: 1)"
    )
    parser.add_argument("--baselines", metavar="NAMES", help="only these, separated by commas; 'none' for none")
    parser.add_argument("--cache", metavar="DIR", help="keep embeddings in this folder, so that a second run is quick")
    parser.add_argument("--json", metavar="FILE", help="write all figures as JSON; - for standard output")
    parser.add_argument("--plot", metavar="FILE.png", help="draw confusion, accuracy by class and learning curve")
    return parser


def run(args: argparse.Namespace) -> int:
    """Evaluate and print a table; 0 when done."""
    from edge_app.colanet.network import CoLaNET
    from edge_app.colanet.params import Params
    from edge_app.commands.output import show_progress, write_json
    from edge_app.encoder.images import ImageEncoder
    from edge_app.encoder.model import load_manifest
    from edge_app.encoder.ratecode import RateCode
    from edge_app.evaluation.datasets import Dataset
    from edge_app.evaluation.plots import plot_evaluation
    from edge_app.evaluation.protocol import evaluate

    _check_outputs(args)
    params = Params.preset(args.params)
    manifest = load_manifest(args.model)
    rate_code = RateCode.for_model(manifest)
    with Dataset(args.path) as dataset, ImageEncoder(manifest, threads=args.threads) as encoder:
        evaluation = evaluate(
            dataset,
            encoder,
            rate_code,
            lambda: CoLaNET(params, rate_code.n_inputs, threads=args.threads),
            _setting(args, dataset.splits),
            cache=args.cache,
            progress=show_progress,
        )
        runtime = encoder.runtime
    values = evaluation.to_dict() | {
        "dataset": args.path,
        "model": {"name": manifest.name, "sha256": manifest.sha256, "runtime": runtime},
        "params": {"preset": args.params, "digest": params.digest},
        "rate_code": rate_code.digest,
        "threads": args.threads,
    }
    if args.json:
        write_json(args.json, values)
    if args.json != "-":
        print(report(values))
    if args.plot:
        plot_evaluation(evaluation, _title(args, values), Path(args.plot))
    return 0


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse what could not be written before minutes are spent on encoding."""
    from edge_app.commands.output import check_target
    from edge_app.evaluation.plots import require_matplotlib

    if args.json:
        check_target("--json", args.json)
    if args.plot:
        check_target("--plot", args.plot, ".png")
        require_matplotlib()


def _setting(args: argparse.Namespace, splits: tuple[str, ...]) -> Any:
    from edge_app.evaluation.splits import choose_splits
    from edge_app.evaluation.trial import Setting

    names = None
    if args.baselines is not None:
        names = () if args.baselines == "none" else tuple(args.baselines.split(","))
    return Setting(
        choice=choose_splits(splits, args.train, args.test),
        seed=args.seed,
        shots=args.shots,
        repeats=args.repeats,
        passes=args.passes,
        limit=args.limit,
        baselines=names,
    )


def report(values: dict[str, Any]) -> str:
    """Return the figures of `Evaluation.to_dict` as text for a terminal."""
    from edge_app.commands.output import table

    several = values["repeats"] > 1
    lines = [
        f"{values['dataset']}: {len(values['classes'])} classes, {values['n_train']} examples learnt"
        + (f" ({values['passes']} passes)" if values["passes"] > 1 else "")
        + f", {values['n_test']} images tested"
        + (f", {values['repeats']} repeats" if several else "")
    ]
    rows = [("", "correct %")]
    for name, mean, deviation in (
        ("CoLaNET", values["accuracy"], values["accuracy_std"]),
        *((name, mean, values["baselines_std"][name]) for name, mean in values["baselines"].items()),
    ):
        rows.append((NAMES.get(name, name), _percent(mean) + (f" ± {_percent(deviation)}" if several else "")))
    lines += [table(rows), ""]
    lines.append(f'answered "unknown": {_percent(values["unknown_rate"])} %')
    lines.append(f"test-then-train: {_percent(values['test_then_train']['accuracy'])} % correct before each was learnt")
    worst = sorted((value, label) for label, value in values["per_class"].items() if value is not None)[:3]
    lines.append("hardest classes: " + ", ".join(f"{label} {_percent(value)} %" for value, label in worst))
    timed = [("ms an image", "median", "p95")]
    timed += [(stage.replace("_", " "), _ms(found["p50"]), _ms(found["p95"])) for stage, found in values["ms"].items()]
    lines += ["", table(timed)]
    lines += ["", *(f"note: {note}" for note in values["notes"])] if values["notes"] else []
    if values["skipped"]:
        count = len(values["skipped"])
        lines += ["", f"{count} image{'s' if count > 1 else ''} skipped:"]
        lines += [f"  {skipped['name']}: {skipped['reason']}" for skipped in values["skipped"][:20]]
        lines += [f"  and {count - 20} more (--json names all)"] if count > 20 else []
    return "\n".join(lines)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _title(args: argparse.Namespace, values: dict[str, Any]) -> str:
    shots = f", {args.shots} shots" if args.shots else ""
    return (
        f"{Path(args.path).name}{shots}: {_percent(values['accuracy'])} % of {values['n_test']} correct, "
        f"taught with {values['n_train']} examples"
    )
