"""Gain of more steps: converted encoders of several T, and existing models, in one table and one figure.

    python -m calibration.spiking.results --data FOLDER [--models NAME ...]

Each T is converted as the shipped encoder is before its distillation, packed, and measured as an integer model: cosine
to the float network on held-out pictures, CoLaNET on the validation draws of --sets, synaptic operations a
multiply-add. Writes docs/spiking.json and docs/figures/spiking-steps.png. Given models are measured beside them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from calibration import efficientnet
from calibration.spiking import pictures, shipped
from calibration.spiking.__main__ import CONVERTED_ON, CORRECTED_ON, MEASURED_ON, SIDE, mixed, steps_of_layers
from calibration.spiking.convert import convert, correct
from calibration.spiking.measure import FloatNetwork, held_out, rows
from calibration.spiking.network import Architecture, SourceNetwork, SpikingTwin, normalised, source_arrays
from edge_app.encoder.model import load_manifest
from edge_app.evaluation.figures import new_figure, save

COUNTS = ("4", "8", "31:5,8", "15", "31:5,15", "31")


def converted(counts: str, args: argparse.Namespace, folder: Path) -> Path:
    """Write an encoder that was converted and not distilled; return its manifest's path."""
    weights = efficientnet.load_weights("lite0")
    architecture = Architecture()
    arrays = source_arrays(weights, architecture)
    source = SourceNetwork(arrays, architecture)
    twin = SpikingTwin(arrays, architecture, steps_of_layers(counts, len(arrays)))
    pools = pictures.load(args.data, args.cache)
    convert(source, twin, normalised(pictures.views(pools, SIDE, 0, 1 << 30, range(CONVERTED_ON))))
    correct(source, twin, normalised(mixed([pool.train for pool in pools], CORRECTED_ON, architecture.size)))
    shown = mixed([pool.validation for pool in pools], MEASURED_ON, architecture.size)
    return shipped.write(twin, folder, f"converted-{counts.replace(':', '-').replace(',', '-')}", {}, shown)


def figures(name: str, args: argparse.Namespace, network: FloatNetwork) -> dict[str, Any]:
    """Return the figures of a model, by name or path of its manifest."""
    manifest = load_manifest(name)
    told = manifest.spiking
    found: dict[str, Any] = held_out(manifest, args, network) | (rows(manifest, args) if args.sets else {})
    found = {key: round(value, 4) for key, value in found.items()}
    if told:
        found |= {"operations_a_mac": told["operations_a_mac"], "energy_uj": told["energy_uj"]}
        found["ann_energy_uj"] = told["ann_energy_uj"]
    return found


def draw(table: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw 1 - cosine over operations a multiply-add, one point a model; blue: converted, red: distilled."""
    figure = new_figure(6.5, 4.5)
    axes = figure.subplots()
    for name, found in table.items():
        if "operations_a_mac" not in found:
            continue
        converted = name.startswith("T = ")
        colour, side, offset = ("tab:blue", "left", (5, -9)) if converted else ("tab:red", "right", (-5, 3))
        place = found["operations_a_mac"], 1 - (found["cosine imagenet64"] + found["cosine grocery"]) / 2
        axes.plot(*place, "o", color=colour)
        label = name.removeprefix("efficientnet_lite0_").removeprefix("distilled_")
        axes.annotate(label, place, xytext=offset, textcoords="offset points", fontsize=7, color=colour, ha=side)
    # logarithmic: the good ones are as far apart as the others
    axes.set_yscale("log")
    axes.invert_yaxis()
    # room for names at the right
    axes.margins(x=0.1)
    axes.set_xlabel("additions carried out for a multiply-add of the ordinary network")
    axes.set_ylabel("1 - cosine to the float network, held-out pictures")
    axes.grid(alpha=0.3, which="both")
    save(figure, path)


def main() -> None:
    """Measure, keep, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets' zips")
    parser.add_argument("--models", nargs="*", default=["efficientnet_lite0_spiking", "efficientnet_lite0_gaussian"])
    parser.add_argument("--counts", nargs="*", default=list(COUNTS), help="steps to convert to")
    parser.add_argument("--cache", type=Path, default=Path(".cache/spiking"))
    parser.add_argument("--sets", nargs="*", default=[], help="data sets whose validation rows are measured too")
    parser.add_argument("--draws", type=int, nargs="+", default=[0], help="seeds of the validation draws")
    parser.add_argument("--pictures", type=int, default=32, help="held-out pictures of each source")
    parser.add_argument("--json", type=Path, default=Path("docs/spiking.json"))
    parser.add_argument("--plot", type=Path, default=Path("docs/figures/spiking-steps.png"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = FloatNetwork()
    kept: dict[str, Any] = json.loads(args.json.read_text(encoding="ascii")) if args.json.is_file() else {}
    table: dict[str, dict[str, Any]] = kept.setdefault("models", {})
    for counts in args.counts:
        table[f"T = {counts}"] = figures(str(converted(counts, args, args.cache / "converted")), args, network)
        print(counts, table[f"T = {counts}"], flush=True)
    for name in args.models:
        table[load_manifest(name).name] = figures(name, args, network)
        print(name, table[load_manifest(name).name], flush=True)
    args.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="ascii")
    draw(table, args.plot)


if __name__ == "__main__":
    main()
