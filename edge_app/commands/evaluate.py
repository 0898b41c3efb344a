"""`edge-app evaluate`: learn a data set as a device does, and measure accuracy."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_app.colanet.network import CoLaNET
    from edge_app.colanet.params import Params
    from edge_app.datasets.dataset import Dataset
    from edge_app.encoder.images import ImageEncoder
    from edge_app.encoder.model import ModelManifest
    from edge_app.evaluation.continual import ContinualPlan
    from edge_app.evaluation.embedded_draws import EmbeddedDraws
    from edge_app.evaluation.trial import EvaluationSettings

EPILOG = """\
The data set is a folder, a zip or a tar archive: CLASS/*.jpg or SPLIT/CLASS/*.jpg, an export of Edge Impulse, Teachable
Machine, Roboflow or Frigate, or a table of paths and classes. Splits named train and test are used as such; without
them a fifth of each class is held out, chosen by --seed. Each example is learnt once, in seeded random order.
Unreadable pictures are listed and skipped. docs/evaluate.md describes every figure.

examples:
  edge-app evaluate photos/
  edge-app evaluate grocery.zip --json grocery.json --plot grocery.png
  edge-app evaluate signs.zip --shots 5 --repeats 5 --consolidate
  edge-app evaluate signs.zip --events
  edge-app evaluate signs.zip --protocol continual --rehearse 100
  edge-app evaluate grocery.zip --protocol openset --repeats 5
  edge-app evaluate grocery.zip --protocol noisy --noise 0.1 0.2
"""

PROTOCOLS = ("standard", "continual", "openset", "noisy")
# these options default to None rather than to a value, so that _check_options can tell which were given
OWN_OPTIONS = {
    "passes": ("standard", "noisy"),
    "metrics": ("standard",),
    "consolidate": ("standard",),
    "noise": ("noisy",),
    "classes_per_task": ("continual",),
    "rehearse": ("continual",),
    "newcomers": ("continual",),
}
"""option -> the protocols that it belongs to."""
NEWCOMER_SHOTS = 10


class ProtocolJob(NamedTuple):
    """The input of a protocol."""

    args: argparse.Namespace
    material: "EmbeddedDraws"
    params: "Params"
    setting: "EvaluationSettings"
    n_inputs: int
    background: "NDArray[np.uint8] | None"

    def network(self, params: "Params | None" = None) -> "CoLaNET":
        """Return an untrained network."""
        from edge_app.colanet.network import CoLaNET

        return CoLaNET(params or self.params, self.n_inputs, threads=self.args.threads, background=self.background)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure accuracy on a data set of photos",
        description="Learn a data set of photos as a device does, test it, and compare with conventional classifiers.",
        epilog=EPILOG,
    )
    parser.add_argument("path", metavar="PATH", help="folder or archive of pictures with classes")
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="standard",
        help="standard: classes mixed; continual: one class after another; openset: half of the classes never taught; "
        "noisy: wrong labels",
    )
    parser.add_argument("--train", metavar="SPLIT", help="split to learn from (default: train)")
    parser.add_argument("--test", metavar="SPLIT", help="split to test on (default: test)")
    parser.add_argument("--shots", type=int, metavar="N", help="learn only N examples per class, drawn by --seed")
    parser.add_argument(
        "--repeats", type=int, default=1, metavar="R", help="repeat with R seeds; report mean and deviation"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of draws and order (default: 0)")
    parser.add_argument("--passes", type=int, metavar="P", help="passes over the examples (default: 1)")
    parser.add_argument("--limit", type=int, metavar="N", help="use at most N images per class and split")
    _add_encoder_options(parser)
    parser.add_argument(
        "--params", default="default", metavar="PRESET", help="classifier's parameters (default: default)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads of encoder and classifier (default: 1)"
    )
    parser.add_argument("--baselines", metavar="NAMES", help="only these baselines, separated by commas, or 'none'")
    parser.add_argument("--cache", metavar="DIR", help="cache embeddings in this folder for later runs")
    parser.add_argument("--json", metavar="FILE", help="write all figures as JSON; - for standard output")
    parser.add_argument("--plot", metavar="FILE.png", help="plot the results")
    _add_protocol_options(parser)
    return parser


def _add_encoder_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--events",
        action="store_true",
        help="turn each picture into events, as ES-ImageNet does, and encode what they sum up to, drawn as the model "
        "takes them",
    )
    parser.add_argument("--model", metavar="NAME", help="encoder model, by name or file (default: the one shipped)")


def _add_protocol_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("options of some protocols")
    group.add_argument(
        "--metrics", action="store_true", default=None, help="standard: count operations, sparsity and footprint"
    )
    group.add_argument(
        "--consolidate",
        type=int,
        nargs="?",
        const=1,
        metavar="N",
        help="standard: measure again after N dreams per example (default: 1), as in a device's idle time",
    )
    group.add_argument(
        "--noise", type=float, nargs="+", metavar="SHARE", help="noisy: shares of wrong labels (default: 0.1 0.2)"
    )
    group.add_argument("--classes-per-task", type=int, metavar="N", help="continual: classes per task (default: 1)")
    group.add_argument(
        "--rehearse", type=int, metavar="N", help="continual: also rehearse N stored examples after each task"
    )
    group.add_argument(
        "--newcomers",
        type=int,
        metavar="N",
        help=f"continual: also teach all classes but one, then that one with {NEWCOMER_SHOTS} shots; N choices",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate and print a table; return 0."""
    from edge_app.colanet.params import Params
    from edge_app.commands.output import show_progress
    from edge_app.datasets.dataset import Dataset
    from edge_app.encoder.background import load_background
    from edge_app.encoder.model import load_manifest
    from edge_app.encoder.ratecode import RateCode
    from edge_app.evaluation.edges import open_encoder
    from edge_app.evaluation.embedded_draws import prepare

    # everything that can be wrong is found before minutes are spent on encoding
    _check_options(args)
    _check_outputs(args)
    params = Params.preset(args.params)
    manifest = load_manifest(args.model)
    rate_code = RateCode.for_model(manifest)
    with Dataset(args.path) as dataset, open_encoder(manifest, events=args.events, threads=args.threads) as encoder:
        setting = _setting(args, dataset.splits)
        # prepare() warms up and measures with the job's network, so the job exists before its material
        job = ProtocolJob(args, None, params, setting, rate_code.n_inputs, load_background(manifest))  # type: ignore[arg-type]
        material = prepare(dataset, encoder, rate_code, job.network, setting, cache=args.cache, progress=show_progress)
        runtime = encoder.runtime
        # inside the `with`: it reads pictures again
        spiking = _spiking(manifest, dataset, encoder, material) if args.metrics and manifest.spiking else None
    values = {"protocol": args.protocol} | _RUN[args.protocol](job._replace(material=material))
    if spiking is not None:
        values["metrics"]["encoder"] = spiking
    values |= {
        "dataset": args.path,
        "events": args.events,
        "model": {"name": manifest.name, "sha256": manifest.sha256, "runtime": runtime},
        "params": {"preset": args.params, "digest": params.digest},
        "rate_code": rate_code.digest,
        "threads": args.threads,
    }
    _output(args, values)
    return 0


def _output(args: argparse.Namespace, values: dict[str, Any]) -> None:
    from edge_app.commands.evaluate_report import report
    from edge_app.commands.output import write_json
    from edge_app.evaluation.plots import plot

    if args.json:
        write_json(args.json, values)
    if args.json != "-":
        print(report(values))
    if args.plot:
        plot(values, Path(args.plot))


def _spiking(
    manifest: "ModelManifest", dataset: "Dataset", encoder: "ImageEncoder", material: "EmbeddedDraws"
) -> dict[str, Any]:
    """Count the spikes and operations of a spiking encoder on tested images of the first repeat."""
    from edge_app.commands.output import show_progress
    from edge_app.evaluation.metrics import SPIKING_COUNTED
    from edge_app.spiking.energy import measure
    from edge_app.spiking.reading import read_network

    network = read_network(manifest.path.read_bytes(), str(manifest.path))
    tested = material.draws[0].test
    # evenly spaced, so that the sample is not taken from the first classes only
    items = [dataset.items[index] for index in tested[:: max(len(tested) // SPIKING_COUNTED, 1)][:SPIKING_COUNTED]]
    shown = (encoder.prepare(dataset.read(item)) for item in show_progress("spikes", items))
    return {"images": len(items), **measure(network, shown).to_dict()}


def _standard(job: ProtocolJob) -> dict[str, Any]:
    from edge_app.commands.output import show_progress
    from edge_app.evaluation.protocol import evaluate, measure_complexity

    values = evaluate(job.material, job.network, job.setting, progress=show_progress).to_dict()
    return values | ({"metrics": measure_complexity(job.material, job.network)} if job.args.metrics else {})


def _noisy(job: ProtocolJob) -> dict[str, Any]:
    from edge_app.commands.output import show_progress
    from edge_app.evaluation.protocol import evaluate_noisy

    return evaluate_noisy(job.material, job.network, job.setting, job.args.noise or (0.1, 0.2), progress=show_progress)


def _openset(job: ProtocolJob) -> dict[str, Any]:
    from edge_app.commands.output import show_progress
    from edge_app.evaluation.openset import run_openset

    return _asked(job) | run_openset(job.material, job.network, job.setting, progress=show_progress)


def _continual(job: ProtocolJob) -> dict[str, Any]:
    from edge_app.commands.output import show_progress
    from edge_app.evaluation.continual import REGIMES, in_regime, run_continual
    from edge_app.evaluation.newcomer import run_newcomer

    plan = _plan(job.args)
    values: dict[str, Any] = _asked(job) | {"classes_per_task": plan.classes_per_task, "rehearse": plan.rehearse}
    values["regimes"] = {}
    for regime in REGIMES:
        make_network = partial(job.network, in_regime(job.params, regime))
        values["regimes"][regime] = run_continual(job.material, make_network, job.setting, plan, progress=show_progress)
    if job.args.newcomers:
        values["newcomer"] = run_newcomer(
            job.material,
            job.network,
            job.setting,
            shots=NEWCOMER_SHOTS,
            choices=job.args.newcomers,
            progress=show_progress,
        )
    return values


_RUN = {"standard": _standard, "continual": _continual, "openset": _openset, "noisy": _noisy}


def _plan(args: argparse.Namespace) -> "ContinualPlan":
    from edge_app.evaluation.continual import ContinualPlan

    return ContinualPlan(
        1 if args.classes_per_task is None else args.classes_per_task, 0 if args.rehearse is None else args.rehearse
    )


def _asked(job: ProtocolJob) -> dict[str, Any]:
    """Return the settings and the facts about the data set."""
    from edge_app.evaluation.protocol import asked

    return asked(job.material, job.setting)


def _check_options(args: argparse.Namespace) -> None:
    from edge_app.errors import InputError

    for option, protocols in OWN_OPTIONS.items():
        value = getattr(args, option)
        name = "--" + option.replace("_", "-")
        if value is not None and args.protocol not in protocols:
            raise InputError(f"{name} belongs to --protocol {' or '.join(protocols)}, not to {args.protocol}")
    if args.newcomers is not None and args.newcomers < 1:
        raise InputError(f"--newcomers {args.newcomers}: expected at least 1")
    for share in args.noise or ():
        if not 0 <= share <= 1:
            raise InputError(f"--noise {share:g}: expected shares from 0 to 1")
    # made only for its checks
    _plan(args)


def _check_outputs(args: argparse.Namespace) -> None:
    """Raise InputError for outputs that cannot be written, before minutes are spent on encoding."""
    from edge_app.commands.output import check_target
    from edge_app.evaluation.figures import require_matplotlib

    if args.json:
        check_target("--json", args.json)
    if args.plot:
        check_target("--plot", args.plot, ".png")
        require_matplotlib()


def _setting(args: argparse.Namespace, splits: tuple[str, ...]) -> "EvaluationSettings":
    from edge_app.evaluation.splits import choose_splits
    from edge_app.evaluation.trial import EvaluationSettings

    names = None
    if args.baselines is not None:
        names = () if args.baselines == "none" else tuple(args.baselines.split(","))
    return EvaluationSettings(
        choice=choose_splits(splits, args.train, args.test),
        seed=args.seed,
        shots=args.shots,
        repeats=args.repeats,
        passes=1 if args.passes is None else args.passes,
        limit=args.limit,
        baselines=names,
        dreams=args.consolidate or 0,
    )
