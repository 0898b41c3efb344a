"""The contribution of each term of novelty, on the validation draws.

    python -m calibration.novelty --data FOLDER

Some classes are taught (SETUPS). Held-out examples of them are known; those of the other classes, and those of other
data sets ("strangers"), are not. For each variant of the formula: AUROC of known against the other classes, and the
share of each kind of unknown examples that is accepted at the threshold that accepts 95 % of the known ones. No test
picture is read. Novelty is computed from the
arrays that `edge-app export --as npz` writes, with its own weights and constants; with those in use it must be the
kernels', or the run fails.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from calibration.search import RESULTS
from calibration.validation import IMAGES_OF_A_CLASS, SOURCES, Curve, ValidationData, load, sources
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.colanet.portable import decision_arrays
from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import load_manifest
from edge_app.encoder.ratecode import RateCode
from edge_app.errors import EdgeAppError
from edge_app.evaluation.openset import auroc, false_accept
from edge_app.evaluation.splits import presentation_order
from examples import read_network as reader

SETUPS = ((4, "5"), (10, "5"), (None, "10"), (None, "all"))
"""Classes that are taught (None: half of them), and the stage of the curve up to which each is learnt."""
STRANGERS = 150
"""Held-out pictures of each other data set that are shown."""
TAUGHT = 3005
"""Number that keeps the order which chooses the taught classes apart from other seeded orders."""
INTRODUCTION = """# Terms of novelty

Validation draws. Columns: classes taught x examples of each. In a cell: AUROC of the taught classes against the other
classes of the set, false accepts of those classes, and of pictures of the other two sets, both at 95 % true accepts,
per cent.
"""
OCTAVE = 1024
ROUNDED = 4
"""1/1024 octave by which the terms together may differ from the kernels' integers."""


@dataclass(frozen=True)
class FormulaVariant:
    """Weights and constants of the formula; the defaults are those in use (docs/colanet.md, novelty).

    `least_drive` and `background_lead`, Q.16, are those of the exported arrays where None.
    """

    share: float = 1.0
    """Weight of half the logarithm of the class's examples over the mean number."""
    norm: float = 0.0
    """Weight of the logarithm of the norm of the class."""
    contrast: float = 1.0
    """Weight of the logarithm of the squared length of the spike counts over that of the class's mean."""
    background: float = 1.0
    """Weight of the background's drive, apart from the bar."""
    lead: float = 1.0
    """Weight of the lead over the second class."""
    short: float = 32.0
    """Weight of the drive that is missing below the bar."""
    kinship: float = 2.0
    """Drive that the bar rises by, for the kinship that is missing."""
    likeness: float = 6.0
    """Drive that the bar rises by, for the cosine that is missing."""
    few: bool = True
    """Whether the bar is lower for a class of few examples."""
    least_drive: int | None = None
    background_lead: int | None = None


VARIANTS = {
    "in use": FormulaVariant(),
    "without the bar": FormulaVariant(short=0),
    "without kinship": FormulaVariant(kinship=0),
    "without likeness": FormulaVariant(likeness=0),
    "without kinship and likeness": FormulaVariant(kinship=0, likeness=0),
    "without the lead": FormulaVariant(lead=0),
    "without the share": FormulaVariant(share=0),
    "half the weight of the share": FormulaVariant(share=0.5),
    "twice the weight of the share": FormulaVariant(share=2),
    "norm of the class instead of the share": FormulaVariant(share=0, norm=1),
    "without the contrast": FormulaVariant(contrast=0),
    "half the weight of the contrast": FormulaVariant(contrast=0.5),
    "without the background's drive": FormulaVariant(background=0),
    "twice the weight of the background's drive": FormulaVariant(background=2),
    "without contrast and background, twice the lead": FormulaVariant(contrast=0, background=0, lead=2),
    "without allowance for few examples": FormulaVariant(few=False),
    "bar without the background": FormulaVariant(background_lead=-(1 << 22)),
    "bar without a least drive": FormulaVariant(least_drive=-(1 << 22)),
    "the distances alone": FormulaVariant(share=0, contrast=0, background=0, lead=0, short=0),
    "half the weight of kinship": FormulaVariant(kinship=1),
    "twice the weight of kinship": FormulaVariant(kinship=4),
    "half the weight of likeness": FormulaVariant(likeness=3),
    "twice the weight of likeness": FormulaVariant(likeness=12),
    "half the weight of the lead": FormulaVariant(lead=0.5),
    "twice the weight of the lead": FormulaVariant(lead=2),
    "half the weight of the bar": FormulaVariant(short=16),
    "twice the weight of the bar": FormulaVariant(short=64),
}


class Terms(NamedTuple):
    """All that the novelty of one example is computed from, as in `read_network.novelty`; Q.16 but for familiarity."""

    familiarity: int
    """1/1024 octave, without share and contrast; as the next three."""
    share: int
    contrast: int
    norm: int
    beside: int
    own: int
    lead: int
    missing_kinship: int
    missing_cosine: int
    few: int
    least_drive: int
    background_lead: int

    def novelty(self, variant: FormulaVariant) -> float:
        """Return novelty in 1/1024 octave under a variant of the formula."""
        lowest = self.least_drive if variant.least_drive is None else variant.least_drive
        ahead = self.background_lead if variant.background_lead is None else variant.background_lead
        bar = max(lowest, self.beside + ahead)
        if variant.few:
            bar -= bar // self.few
        bar += variant.kinship * self.missing_kinship + variant.likeness * self.missing_cosine
        unit = OCTAVE / 65536
        inner = self.familiarity + unit * (variant.lead * self.lead + variant.short * min(self.own - bar, 0))
        outer = variant.share * self.share - variant.contrast * self.contrast + variant.norm * self.norm
        return outer + unit * variant.background * self.beside - inner


def terms_of(network: dict[str, Any], counts: NDArray[np.int64], best: int, drives: NDArray[np.int64]) -> Terms:
    """Return the terms of an example, counts (n,), decided as class `best`; drives (k,) of the columns, Q.15."""
    norm = int(network["mean_norm"])
    received = counts @ network["background_weights"].T.astype(np.int64) - network["background_tonic"]
    beside = max((reader.relative(value, norm) for value in received), default=0)
    own = reader.relative(drives[best], norm)
    others = [reader.relative(drives[i], norm) for i in range(len(drives)) if i != best and network["norms"][i] > 0]
    lead = max(own - max(*others, 0), 0) if others else own
    # with a bar below every drive and without a background: the distances, the share, the contrast and the lead alone
    bare = network | {"least_drive": -(1 << 40), "background_lead": -(1 << 40)}
    bare |= {name: np.full_like(network[name], -(1 << 40)) for name in ("least_kinship", "least_cosine")}
    bare |= {name: network[name][:0] for name in ("background_weights", "background_tonic")}
    share = int(network["shares"][best])
    contrast = reader.contrast(network["means"][best].astype(np.int64), counts)
    familiarity = share - contrast - reader.novelty(bare, counts, drives, best) - (lead >> 6)
    of_class = reader.log2(max((int(network["norms"][best]) << 16) // norm, 64))
    missing_kinship = max(int(network["least_kinship"][best]) - reader.kinship(network, counts), 0)
    missing_cosine = max(int(network["least_cosine"][best]) - reader.cosine(network, counts, best), 0)
    numbers = (int(network["few"][best]), int(network["least_drive"]), int(network["background_lead"]))
    return Terms(familiarity, share, contrast, of_class, beside, own, lead, missing_kinship, missing_cosine, *numbers)


def appraised(network: CoLaNET, counts: NDArray[np.uint8]) -> list[Terms]:
    """Return the terms of examples, counts (m, n). Raises ArithmeticError when their novelty is not the kernels'."""
    arrays = decision_arrays(network)
    found = []
    for row, decision in zip(counts.astype(np.int64), network.predict_many(counts), strict=True):
        spikes, potential = reader.present(arrays, row)
        best = int(np.lexsort((-potential, -spikes))[0])
        terms = terms_of(arrays, row, best, spikes * arrays["threshold"] + potential)
        told = terms.novelty(VARIANTS["in use"])
        # each of the terms is rounded in the kernels
        if abs(told - decision.novelty) > ROUNDED:
            raise ArithmeticError(f"novelty is {told} by these terms, and {decision.novelty} by the kernels")
        found.append(terms)
    return found


def draw_figures(
    material: ValidationData, strangers: NDArray[np.uint8], code: RateCode, seed: int, background: NDArray[np.uint8]
) -> dict[str, dict[str, tuple[float, ...]]]:
    """Return the figures of one draw by setup and variant: AUROC and two false accepts."""
    curve, counts = material.curves[seed], code(material.values)
    order = presentation_order(list(material.classes), seed, TAUGHT)
    test = np.array(curve.test)
    found = {}
    for classes, row in SETUPS:
        taught = order[: classes or len(order) // 2]
        if len(taught) == len(order):
            continue  # no class is left to be unknown
        known = np.isin(material.labels[test], taught)
        network = CoLaNET(Params(), code.n_inputs, background=background)
        for index in _learnt(curve, row):
            if material.labels[index] in taught:
                label = material.classes[material.labels[index]]
                if label not in network.labels:
                    network.add_class(label)
                network.learn_one(counts[index], label)
        groups = (counts[test[known]], counts[test[~known]], code(strangers))
        terms = [appraised(network, group) for group in groups]
        found[setup_name(classes, row)] = {name: _figures(terms, variant) for name, variant in VARIANTS.items()}
    return found


def _learnt(curve: Curve, last: str) -> list[int]:
    """Return what is learnt up to a stage, in order."""
    found: list[int] = []
    for stage in curve.stages:
        found += stage.learn
        if stage.row == last:
            break
    return found


def setup_name(classes: int | None, row: str) -> str:
    """Return the name of a setup in tables."""
    return f"{classes or 'half'} x {row}"


def _figures(terms: Sequence[Sequence[Terms]], variant: FormulaVariant) -> tuple[float, ...]:
    known, other, strangers = (np.array([-one.novelty(variant) for one in group]) for group in terms)
    return auroc(known, other), false_accept(known, other), false_accept(known, strangers)


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Return the mean figures over the draws, per cent: by data set, setup and variant."""
    manifest = load_manifest()
    code = RateCode.for_model(manifest)
    assert manifest.background_path is not None
    background = np.load(manifest.background_path)
    with ImageEncoder(manifest) as encoder:
        materials = [
            load(source, args.data, encoder, args.draws, cache=args.cache, progress=tqdm)
            for source in sources(args.sets, args.limit)
        ]
    results: dict[str, Any] = {}
    for material in materials:
        draws = [
            draw_figures(material, _strangers(materials, material, seed), code, seed, background)
            for seed in tqdm(args.draws, desc=material.source.name)
        ]
        results[material.source.name] = {
            setup: {name: _means([draw[setup][name] for draw in draws]) for name in VARIANTS} for setup in draws[0]
        }
    return results


def _means(figures: Sequence[tuple[float, ...]]) -> list[float]:
    return [round(100 * fmean(values), 2) for values in zip(*figures, strict=True)]


def _strangers(materials: Sequence[ValidationData], own: ValidationData, seed: int) -> NDArray[np.uint8]:
    """Return embeddings of held-out pictures of the other data sets, evenly spread over each."""
    found = []
    for other in materials:
        if other is not own:
            test = other.curves[seed].test
            found.append(other.values[list(test[:: max(len(test) // STRANGERS, 1)])])
    return np.concatenate(found)


def tables(results: dict[str, Any]) -> str:
    """Return a table for each data set as Markdown, a line for each variant."""
    lines = [INTRODUCTION]
    for name, setups in results.items():
        lines += [f"## {name}", "", f"| variant | {' | '.join(setups)} |", "|---|" + "---|" * len(setups)]
        for variant in VARIANTS:
            cells = (" / ".join(f"{value:.1f}" for value in setups[setup][variant]) for setup in setups)
            lines.append(f"| {variant} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and keep the figures beside the other results of calibration."""
    parser = argparse.ArgumentParser(prog="python -m calibration.novelty", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the data sets' zips")
    parser.add_argument("--cache", type=Path, default=Path(".cache/calibration"), help="embeddings")
    parser.add_argument(
        "--sets", nargs="+", choices=list(SOURCES), default=list(SOURCES), help="data sets, two at least"
    )
    parser.add_argument("--draws", nargs="+", type=int, default=[0, 1, 2], help="seeds of the draws (default: 0 1 2)")
    parser.add_argument("--limit", type=int, default=IMAGES_OF_A_CLASS, help="images of each imagenet64 class")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for novelty.json and novelty.md")
    args = parser.parse_args(arguments)
    results = measured(args)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "novelty.json").write_text(
        json.dumps({"draws": args.draws, "limit": args.limit, "rows": results}, indent=1) + "\n"
    )
    (args.out / "novelty.md").write_text(tables(results))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgeAppError as error:
        print(f"novelty: {error}", file=sys.stderr)
        sys.exit(getattr(error, "exit_status", 1))
