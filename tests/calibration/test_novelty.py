import dataclasses

import numpy as np
import pytest

from support.evaluation_material import INPUTS, separable

pytest.importorskip("optuna", reason="calibration needs Optuna: pip install 'edge-app[calibration]'")

from calibration import novelty
from calibration.novelty import VARIANTS, Terms, appraised, draw_figures, tables
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.encoder.ratecode import RateCode


def background() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 4, (6, INPUTS)).astype(np.uint8)


def taught(classes: int, examples: int) -> tuple[CoLaNET, np.ndarray]:
    material = separable()
    counts = RateCode(INPUTS)(material.values)
    network = CoLaNET(Params(), INPUTS, background=background())
    for label in range(classes):
        name = material.classes[label]
        network.add_class(name)
        for index in np.flatnonzero(material.labels == label)[:examples]:
            network.learn_one(counts[index], name)
    return network, counts


@pytest.mark.parametrize(("classes", "examples"), [(1, 1), (2, 1), (3, 4)])
def test_the_terms_give_the_novelty_of_the_kernels(classes: int, examples: int) -> None:
    network, counts = taught(classes, examples)
    found = appraised(network, counts)
    told = [decision.novelty for decision in network.predict_many(counts)]
    assert np.abs(np.array([one.novelty(VARIANTS["in use"]) for one in found]) - told).max() <= novelty.ROUNDED
    assert len(set(told)) > 10


def test_each_variant_is_another_formula() -> None:
    # below a bar that the background sets, and below the least drive
    below = [
        Terms(-100, 300, 70, -40, beside, 10_000, 3_000, 500, 700, 16, 7 << 12, 3 << 12) for beside in (20_000, -10_000)
    ]
    told = {name: tuple(one.novelty(variant) for one in below) for name, variant in VARIANTS.items()}
    assert len(set(told.values())) == len(VARIANTS)
    bar = (20_000 + 12_288) * 15 // 16 + 2 * 500 + 6 * 700
    assert told["in use"][0] == 300 + 100 - 70 - 3_000 / 64 + 20_000 / 64 + 32 * (bar - 10_000) / 64


def test_terms_that_are_not_those_of_the_kernels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network, counts = taught(2, 2)
    wrong = dataclasses.replace(VARIANTS["in use"], lead=3.0)
    monkeypatch.setitem(VARIANTS, "in use", wrong)
    with pytest.raises(ArithmeticError, match="by the kernels"):
        appraised(network, counts)


def test_a_draw_has_figures_for_every_setup_that_leaves_a_class_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    material = separable()
    everything = len(material.classes)
    monkeypatch.setattr(novelty, "SETUPS", ((2, "1"), (everything, "1"), (None, "all")))
    strangers = np.random.default_rng(9).integers(0, 255, (10, INPUTS)).astype(np.uint8)
    found = draw_figures(material, strangers, RateCode(INPUTS), 0, background())
    assert list(found) == ["2 x 1", "half x all"]
    for figures in found.values():
        assert list(figures) == list(VARIANTS)
        assert all(0 <= value <= 1 for values in figures.values() for value in values)
    text = tables({"separable": {setup: {name: [50.0, 25.0, 0.0] for name in VARIANTS} for setup in found}})
    assert text.count("50.0 / 25.0 / 0.0") == 2 * len(VARIANTS)
