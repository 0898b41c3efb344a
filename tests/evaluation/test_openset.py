import json

import numpy as np
import pytest

from edge_app.errors import InputError
from edge_app.evaluation.openset import auroc, false_accept, roc, run_openset
from edge_app.evaluation.splits import SplitChoice
from edge_app.evaluation.trial import EvaluationSettings
from support.streams import make_network, material

SETTING = EvaluationSettings(SplitChoice("", None))


def test_auroc_is_the_share_of_pairs_in_order() -> None:
    known, unknown = np.array([1.0, 2, 3, 3]), np.array([0.0, 1, 3])
    pairs = [(k > u) + 0.5 * (k == u) for k in known for u in unknown]
    assert auroc(known, unknown) == pytest.approx(np.mean(pairs))
    assert auroc(known, known) == 0.5
    assert auroc(known + 10, unknown) == 1.0


def test_false_accept_at_a_true_accept() -> None:
    known, unknown = np.arange(1.0, 101), np.array([3.0, 5.0, 6.0, 50.0])
    assert false_accept(known, unknown, 0.95) == 0.5
    assert false_accept(known, unknown, 1.0) == 1.0
    assert false_accept(np.array([1.0]), np.array([0.0])) == 0.0


def test_roc_rises() -> None:
    random = np.random.default_rng(0)
    curve = roc(random.normal(1, 1, 200), random.normal(0, 1, 100))
    assert curve["true_accept"][0] == 0
    assert curve["true_accept"][-1] == 1
    assert (np.diff(curve["false_accept"]) >= 0).all()


def test_classes_never_taught_are_told_apart() -> None:
    values = run_openset(
        material(8, spread=20.0, repeats=2), make_network, EvaluationSettings(SplitChoice("", None), repeats=2)
    )
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert (values["taught"], values["shown"]) == (4, 4)
    assert values["accuracy_of_taught"] == 1.0
    assert values["scores"]["familiarity"]["auroc"] > 0.95
    assert values["scores"]["cosine"]["auroc"] > 0.9
    assert values["scores"]["novelty"]["auroc"] > 0.95
    conventional = {"cosine", "relative_mahalanobis", "nearest_neighbour", "max_softmax", "energy"}
    assert set(values["scores"]) == {"novelty", "familiarity", "excitation", "lead", "spikes", *conventional}


def test_what_cannot_be_told_apart_is_not() -> None:
    values = run_openset(material(8, spread=300.0, tested=60), make_network, SETTING)
    assert 0.35 < values["scores"]["familiarity"]["auroc"] < 0.65


def test_it_takes_four_classes() -> None:
    with pytest.raises(InputError, match="3 classes, expected at least 4"):
        run_openset(material(3), make_network, SETTING)
