"""Pictures that were never taught, shown to a network that was taught something quite different."""

import json

import numpy as np

from edge_app.evaluation.splits import SplitChoice
from edge_app.evaluation.strangers import run_strangers
from edge_app.evaluation.trial import EvaluationSettings
from support.streams import make_network, material


def test_strangers_are_rejected_and_familiar_things_are_not() -> None:
    draws = material(6, spread=20.0)
    n = draws.rows.values.shape[1]
    random = np.random.default_rng(3)
    other = (random.random((40, n)) < 0.3) * random.integers(0, 255, (40, n))
    kinds = {
        "noise": (other.astype(np.uint8), np.minimum(other // 20, 10).astype(np.uint8)),
        "taught": (draws.rows.values, draws.counts),
    }
    found = run_strangers(draws, make_network, EvaluationSettings(SplitChoice("", None)), 3, kinds)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    scores = {"novelty", "relative_mahalanobis", "nearest_neighbour", "max_softmax", "energy"}
    assert set(found["kinds"]["noise"]["false_accept"]) == scores
    assert found["kinds"]["noise"]["false_accept"]["novelty"] < 0.1
    assert found["kinds"]["noise"]["named"] < 0.2
    assert found["kinds"]["taught"]["named"] > found["kinds"]["noise"]["named"] + 0.3
    assert 0 <= found["right_names_lost"] <= 0.2
