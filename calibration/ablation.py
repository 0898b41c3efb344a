"""The contribution of each part of the classifier, on the validation draws.

    python -m calibration.ablation --data FOLDER

Every line is one network, shown the same draws in the same order; accuracies are per cent, means over the draws. Slow
lines are shown fewer draws, and are compared with the default on those.
"""

import argparse
import dataclasses
import importlib.util
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration import ablated
from calibration.reference_rows import NAMES, reference
from calibration.search import RESULTS
from calibration.validation import IMAGES_OF_A_CLASS, SOURCES, ValidationData, accuracies, load, sources
from edge_app.colanet.decorrelated import DecorrelatedColumns
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params
from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import load_manifest
from edge_app.encoder.ratecode import RateCode
from edge_app.errors import EdgeAppError, InputError

FLOAT_TWIN = Path(__file__).parents[1] / "tests" / "support" / "float_twin.py"
Rows = dict[str, float]
"""Accuracy by row."""


@dataclass(frozen=True)
class Line:
    """One line of the table: a network, its rate code, and how many of the draws it is shown (None: all)."""

    name: str
    params: Params
    kind: type[DecorrelatedColumns] | None = None
    exponent: float = RateCode.exponent
    saturation: float = RateCode.saturation
    draws: int | None = None
    in_float: bool = False

    def run(self, material: ValidationData, seed: int) -> Rows:
        """Return the line's accuracy on the rows of a draw."""
        n_inputs = material.values.shape[1]
        counts = RateCode(n_inputs, self.exponent, self.saturation, material.zero_point)(material.values)
        if self.in_float:
            return _float_rows(material, counts, seed, self.params)
        if self.kind is None:
            return accuracies(CoLaNET(self.params, n_inputs), material, counts, seed)
        return accuracies(ablated.network(self.params, n_inputs, self.kind), material, counts, seed)


def lines() -> list[Line]:
    """Return the table's lines; the others are compared with the first one."""
    default = Params()
    rule = default.plasticity
    assert isinstance(rule, Decorrelated)
    found = [
        Line("default", default),
        Line("default in floating point", default, in_float=True),
        Line("weights of 8 bits", default, ablated.CoarseWeights),
        Line("weights of 4 bits", default, ablated.VeryCoarseWeights),
        Line("K = 2", Params(microcolumns=2)),
        Line("K = 4", Params(microcolumns=4)),
        Line("rate code: exponent 1/2", default, exponent=0.5),
        Line("rate code: exponent 1 (linear)", default, exponent=1.0),
        Line("stability at most 4: plasticity stays above 1/5", Params(plasticity=Decorrelated(stability_max=4))),
        Line("spikes alone decide", default, ablated.SpikesAlone),
        Line("first spike decides", default, ablated.FirstSpike),
        Line("no inhibition between inputs (P = I)", default, ablated.NoInputInhibition),
        Line("no loss", default, ablated.NoLoss),
        Line("neither of the two: reward alone", default, ablated.RewardAlone),
        Line("no inhibition between columns", default, ablated.NoSharedInhibition),
        Line("no synaptic scaling", default, ablated.NoScaling),
        Line("no correction", Params(plasticity=Decorrelated(correction=0))),
        Line("correction twice as fast", Params(plasticity=Decorrelated(correction=0.2))),
        Line("first examples decorrelate nothing", Params(plasticity=Decorrelated(novelty=0))),
        Line("neither of these two", Params(plasticity=Decorrelated(correction=0, novelty=0))),
        Line("noise left in norms", Params(plasticity=Decorrelated(noise=0))),
        Line("3/4 of the noise taken off norms", Params(plasticity=Decorrelated(noise=0.75))),
        Line("all noise taken off norms", Params(plasticity=Decorrelated(noise=1))),
        Line("published: mnist (K = 20, E = 1)", Params.preset("mnist")),
        # one draw of these takes minutes: 15 members with many microcolumns
        Line("published: paper (K = 7, E = 15)", Params.preset("paper"), draws=1),
        Line("published: paper-b (K = 13, E = 15)", Params.preset("paper-b"), draws=1),
    ]
    found += _searched()
    # a copy of this folder without tests/ cannot run the float version
    return found if FLOAT_TWIN.is_file() else [line for line in found if not line.in_float]


def _searched() -> list[Line]:
    """The published rule with the parameters that the search found, as one network and as an ensemble."""
    path = RESULTS / "search_published.json"
    if not path.is_file():
        return []
    best = json.loads(path.read_text())["best"]
    params = Params.from_dict(best["params"])
    return [
        Line(
            f"published: searched (K = {params.microcolumns}, E = {members})",
            dataclasses.replace(params, members=members),
            exponent=best["rate_code"]["exponent"],
            saturation=best["rate_code"]["saturation"],
            draws=None if members == 1 else 1,
        )
        for members in (1, 15)
    ]


def _float_rows(material: ValidationData, counts: NDArray[np.uint8], seed: int, params: Params) -> Rows:
    """The rule without rounding, by its batch formula: the oracle that the tests keep."""
    # loaded by its path: tests/ is no package that could be imported from here
    spec = importlib.util.spec_from_file_location("float_twin", FLOAT_TWIN)
    assert spec is not None
    assert spec.loader is not None
    twin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twin)
    curve = material.curves[seed]
    test = np.array(curve.test)
    seen: list[int] = []
    found = {}
    for row, learn in curve.stages:
        seen += learn
        labels = material.labels[seen]
        there = np.unique(labels)  # columns are there for the classes seen only
        model = twin.DecorrelatedFloat(params.plasticity, counts[seen], np.searchsorted(there, labels), there.size)
        decided = model.decide(counts[test])
        hits = (decided >= 0) & (there[decided] == material.labels[test])
        found[row] = float(np.mean(hits))
    return found


def measure(line: Line, materials: Sequence[ValidationData], seeds: Sequence[int]) -> dict[str, Any]:
    """Return the results of a line: accuracies by draw and "data set, row", and the seconds it took."""
    start = time.perf_counter()
    used = list(seeds[: line.draws])
    by_draw = {
        str(seed): {
            f"{material.source.name}, {row}": round(value, 5)
            for material in materials
            for row, value in line.run(material, seed).items()
        }
        for seed in used
    }
    return {"draws": by_draw, "seconds": round(time.perf_counter() - start, 1)}


def difference(line: dict[str, Any], default: dict[str, Any]) -> tuple[float, float]:
    """Return the mean over rows of a line less the default's on the same draws, and its standard error; points."""
    gaps = [
        100 * (fmean(rows.values()) - fmean(default["draws"][seed].values())) for seed, rows in line["draws"].items()
    ]
    return fmean(gaps), stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.nan


def table(results: dict[str, Any]) -> str:
    """Return the results as a Markdown table."""
    found = results["lines"]
    default = found["default"]
    rows = list(next(iter(default["draws"].values())))
    head = ["per cent correct", *(_short(row) for row in rows), "mean", "difference", "draws", "s"]
    text = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, line in found.items():
        means = [100 * fmean(draw[row] for draw in line["draws"].values()) for row in rows]
        gap, error = difference(line, default)
        shown = "" if name == "default" else f"{gap:+.1f}" + ("" if math.isnan(error) else f" ± {error:.1f}")
        seconds = "" if line["seconds"] is None else f"{line['seconds']:.0f}"
        cells = [f"{mean:.1f}" for mean in (*means, fmean(means))]
        text.append(f"| {name} | " + " | ".join([*cells, shown, str(len(line["draws"])), seconds]) + " |")
    return "\n".join(text) + "\n"


def _short(row: str) -> str:
    name, shots = row.split(", ")
    return f"{name.replace('_', ' ')} {shots}"


def reference_lines(materials: Sequence[ValidationData], seeds: Sequence[int], cache: Path) -> dict[str, Any]:
    """Return the conventional classifiers as lines."""
    found = {(material.source.name, seed): reference(material, seed, cache) for material in materials for seed in seeds}
    return {
        name.replace("_", " "): {
            "draws": {
                str(seed): {
                    f"{material.source.name}, {row}": round(values[name], 5)
                    for material in materials
                    for row, values in found[material.source.name, seed].items()
                }
                for seed in seeds
            },
            "seconds": None,
        }
        for name in NAMES
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, and write ablation.json and ablation.md after each line."""
    args = parse(arguments)
    known = {line.name for line in lines()}
    if unknown := sorted(set(args.only or ()) - known):
        raise InputError(f"line {unknown[0]!r} is not known, expected one of: {'; '.join(sorted(known))}")
    with ImageEncoder(load_manifest(None)) as encoder:
        materials = [
            load(source, args.data, encoder, args.draws, cache=args.cache) for source in sources(args.sets, args.limit)
        ]
    kept = _kept(args.out / "ablation.json", args)
    chosen = [line for line in lines() if line.name in (args.only or known)]
    for line in chosen:
        print(line.name, file=sys.stderr, flush=True)
        kept[line.name] = measure(line, materials, args.draws)
        # after each line: a run over all lines takes long, and may be interrupted
        _write(kept, {}, args)
    _write(kept, reference_lines(materials, args.draws, args.cache), args)
    print((args.out / "ablation.md").read_text())
    return 0


def _setting(args: argparse.Namespace) -> dict[str, Any]:
    return {"sets": args.sets, "draws": args.draws, "images_of_an_imagenet64_class": args.limit}


def _kept(path: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Lines measured before, where only some are measured anew."""
    if not args.only:
        return {}
    if not path.is_file():
        raise InputError(f"{path}: no such file; measure all lines once before --only")
    values: dict[str, Any] = json.loads(path.read_text())
    # lines of other draws or data sets would be compared with this default as if they were paired
    if (before := {key: values[key] for key in _setting(args)}) != _setting(args):
        raise InputError(f"{path} was measured with {before}, expected {_setting(args)}; measure all lines anew")
    lines_before: dict[str, Any] = values["lines"]
    return lines_before


def _write(kept: dict[str, Any], conventional: dict[str, Any], args: argparse.Namespace) -> None:
    if "default" not in kept:
        return
    order = [line.name for line in lines()]
    known = {name: kept[name] for name in order if name in kept}
    results = {**_setting(args), "lines": known | conventional}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "ablation.json").write_text(json.dumps(results, indent=1) + "\n")
    (args.out / "ablation.md").write_text(table(results))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m calibration.ablation", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the data sets' zips")
    parser.add_argument("--cache", type=Path, default=Path(".cache/calibration"), help="embeddings and baselines")
    parser.add_argument("--sets", nargs="+", choices=list(SOURCES), default=list(SOURCES), help="data sets")
    parser.add_argument("--draws", nargs="+", type=int, default=[0, 1, 2], help="seeds of the draws (default: 0 1 2)")
    parser.add_argument("--limit", type=int, default=IMAGES_OF_A_CLASS, help="images of each imagenet64 class; 0: all")
    parser.add_argument("--only", nargs="+", metavar="LINE", help="measure these lines anew, keep the others")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    args = parser.parse_args(arguments)
    args.limit = args.limit or None
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgeAppError as error:
        print(f"ablation: {error}", file=sys.stderr)
        sys.exit(getattr(error, "exit_status", 1))
