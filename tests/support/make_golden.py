"""Write the golden trajectories: `make golden`, after a change of the arithmetic that is meant.

Each file in golden/ holds what one network did with one stream: OUT spikes and label of a decision before every
example, the weights and thresholds at the end, and the snapshot's SHA-256. The streams come from twins.lehmer, so that
nothing of a library's random numbers enters. test_golden.py plays them again and compares every bit, on every
architecture.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params, Published
from edge_app.messages import Decision
from support.twins import around, as_counts, lehmer, prototypes

FOLDER = Path(__file__).parents[1] / "colanet" / "golden"
N_INPUTS = 24
PRESENTATIONS = 80


def scaled_down(name: str, **changes: Any) -> Params:
    """A preset with at most 4 microcolumns and 2 members, and H, eta, sigma for 24 inputs: a fortieth."""
    preset = Params.preset(name)
    rule = preset.plasticity
    if isinstance(rule, Published):
        rule = dataclasses.replace(rule, threshold=rule.threshold / 40, sigma=rule.sigma / 40, excess=rule.excess / 40)
    small = Params(min(preset.microcolumns, 4), min(preset.members, 2), 20261120, rule)
    return dataclasses.replace(small, **changes)


CASES = {
    "default": scaled_down("default"),
    "default-microcolumns": scaled_down("default", microcolumns=3),
    "paper": scaled_down("paper"),
    "paper-b": scaled_down("paper-b"),
    "mnist": scaled_down("mnist"),
}


def play(params: Params) -> tuple[CoLaNET, list[Decision]]:
    """Teach four classes, two patterns each; the fourth comes late, the first goes before the end."""
    background = np.array(prototypes(13, 3, N_INPUTS), np.uint8) if params.rule == "decorrelated" else None
    network = CoLaNET(params, N_INPUTS, background=background)
    numbers, patterns = lehmer(params.microcolumns + 7), prototypes(11, 8, N_INPUTS)
    for label in ("ant", "bee", "cat"):
        network.add_class(label)
    decisions = []
    for step in range(PRESENTATIONS):
        if step == PRESENTATIONS // 2:
            network.add_class("dog")
        if step == PRESENTATIONS - 20:
            network.remove_class("ant")
        shown = next(numbers) % len(network.labels)
        pattern = patterns["abcd".index(network.labels[shown][0]) * 2 + next(numbers) % 2]
        counts = as_counts(around(pattern, numbers))
        decisions.append(network.predict_one(counts))
        network.learn_one(counts, network.labels[shown])
    return network, decisions


def trajectory(params: Params) -> dict[str, Any]:
    """Everything that a golden file holds."""
    network, decisions = play(params)
    return {
        "params": params.to_dict(),
        "params_digest": params.digest,
        "spikes": [decision.spikes.tolist() for decision in decisions],
        "decisions": [decision.label for decision in decisions],
        "novelty": [decision.novelty for decision in decisions],
        "separation": [decision.separation for decision in decisions],
        "weights": network.columns.weights.T.tolist(),
        "threshold": network.columns.threshold.tolist(),
        "tonic": network.columns.tonic.tolist(),
        "snapshot_sha256": hashlib.sha256(network.snapshot()).hexdigest(),
    }


def text_of(found: dict[str, Any]) -> str:
    """One key a line, so that a difference shows where it is."""
    lines = [f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in found.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, params in CASES.items():
        (FOLDER / f"{name}.json").write_text(text_of(trajectory(params)), encoding="ascii")
        print(FOLDER.name, name)
