"""Variations of what was learnt: to the bit as the reference, less than an example, nothing to the published rule."""

import numpy as np
import pytest

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params
from edge_app.errors import UnknownLabel
from support.twins import Twins, around, as_counts, lehmer, prototypes

N = 24


@pytest.mark.parametrize("microcolumns", [1, 3])
@pytest.mark.parametrize("regularisation", [64.0, 1536.0, 16000.0])
def test_a_variation_is_learnt_as_the_reference_learns_it(microcolumns: int, regularisation: float) -> None:
    params = Params(microcolumns=microcolumns, plasticity=Decorrelated(regularisation=regularisation))
    twins, stream, kinds = Twins(params, N), lehmer(1), prototypes(2, 3, N)
    for label in "abc":
        twins.add_class(label)
    for step in range(45):
        values, label = around(kinds[step % 3], stream), "abc"[step % 3]
        if step % 4 == 3:
            twins.fast.learn_variation(as_counts(values), label)
            twins.slow.learn_variation(values, label)
            twins.compare()
        else:
            twins.learn_one(values, label)


def test_a_variation_weighs_a_quarter_and_is_not_counted() -> None:
    network = CoLaNET(Params(), N)
    network.add_class("a")
    first, other = np.full(N, 2, np.uint8), np.full(N, 7, np.uint8)
    network.learn_variation(other, "a")
    assert not network.columns.mean.any(), "there is nothing yet that it could be a variation of"
    network.learn_one(first, "a")
    network.learn_variation(other, "a")
    assert network.columns.mean[0, 0] / 2**24 == pytest.approx(2 + 5 / 5)
    assert (network.n_learnt, int(network.columns.uses[0])) == (1, 1)
    with pytest.raises(UnknownLabel):
        network.learn_variation(other, "b")


def test_the_published_rule_learns_nothing_of_a_variation() -> None:
    network = CoLaNET(Params.preset("mnist"), N)
    network.add_class("a")
    network.learn_one(np.full(N, 2, np.uint8), "a")
    before = network.snapshot()
    network.learn_variation(np.full(N, 7, np.uint8), "a")
    assert network.snapshot() == before
