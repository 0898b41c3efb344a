"""Each rule of the papers does what it says: every test fails when its rule is switched off."""

from typing import Any

import numpy as np
import pytest

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params, Published
from edge_app.colanet.published import PublishedColumns

ONE_WEIGHT, ONE = 4096, 65536
"""1.0 in the formats of weights and of resources."""
STILL: dict[str, Any] = {"sigma": 0.0, "excess": 0.0, "tau": 2.0**16, "n_silent": 65536}
"""No noise, no adaptation, no leak, and nothing renormalised before much was gained."""


def network(n_inputs: int, microcolumns: int = 1, labels: str = "ab", **rule: Any) -> tuple[CoLaNET, PublishedColumns]:
    made = CoLaNET(Params(microcolumns=microcolumns, plasticity=Published(**{**STILL, **rule})), n_inputs)
    for label in labels:
        made.add_class(label)
    assert isinstance(made.columns, PublishedColumns)
    return made, made.columns


def set_weights(columns: PublishedColumns, neuron: int, values: list[float]) -> None:
    columns.weights[:, neuron] = [round(value * ONE_WEIGHT) for value in values]


def counts(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


# how a column fires


@pytest.mark.parametrize(("tau", "spikes"), [(2.0, 0), (2.0**16, 1)])
def test_leak_forgets_what_came_long_ago(tau: float, spikes: int) -> None:
    """Five spikes, two steps apart: with tau = 2 the sum stays below 1/(1 - 1/4), without leak it is 5."""
    net, columns = network(1, threshold=3.0, tau=tau)
    set_weights(columns, 0, [1.0])
    assert net.predict_one(counts(5)).spikes[0] == spikes


def test_the_winner_takes_all() -> None:
    """Both reach threshold in the same, last step; the one further above it fires, alone, and it alone learns."""
    net, columns = network(1, microcolumns=2, labels="a", threshold=0.5)
    set_weights(columns, 0, [0.6])
    set_weights(columns, 1, [0.9])
    assert net.predict_one(counts(1)).spikes[0] == 1
    before = columns.resource.copy()
    net.learn_one(counts(1), "a")
    assert (columns.resource != before)[:, 0].tolist() == [False, True]


def test_the_winner_silences_the_others() -> None:
    """Inputs at steps 4 and 9: the weaker neuron is above threshold at step 5, too, and may not fire then."""
    net, columns = network(1, microcolumns=2, labels="a", threshold=0.5)
    set_weights(columns, 0, [1.0])
    set_weights(columns, 1, [0.9])
    decision = net.predict_one(counts(2))
    assert (decision.spikes[0], decision.first_spike[0]) == (2, 4)


def test_a_spike_resets_the_potential() -> None:
    net, columns = network(1, threshold=2.5)
    set_weights(columns, 0, [1.0])
    assert net.predict_one(counts(10)).spikes[0] == 3  # steps 2, 5, 8


def test_inhibition_stops_at_rest() -> None:
    """Potential is floored at 0: an input that inhibits early takes nothing from one that excites late."""
    net, columns = network(2, threshold=0.9)
    set_weights(columns, 0, [-1.0, 1.95])
    assert net.predict_one(counts(10, 1)).first_spike[0] == 9


@pytest.mark.parametrize(("excess", "spikes"), [(0.0, 1), (0.5, 0)])
def test_threshold_adapts_to_the_positive_weights(excess: float, spikes: int) -> None:
    net, columns = network(3, threshold=1.0, excess=excess)
    columns.resource[0] = [50 * ONE, 50 * ONE, 0]
    columns._refresh(slice(0, 1))
    positive = columns.weights[columns.weights[:, 0] > 0, 0].sum()
    assert columns.threshold[0] == ONE_WEIGHT + int(positive * excess)
    assert net.predict_one(counts(1, 0, 0)).spikes[0] == spikes


def test_noise_lets_equal_neurons_differ_while_they_learn_and_only_then() -> None:
    """All weights 0, so the gate picks whom chance has excited most."""

    def who_learnt(sigma: float) -> list[bool]:
        net, columns = network(4, microcolumns=3, labels="a", threshold=50.0, sigma=sigma, reward=0.01)
        before = columns.resource.copy()
        for _ in range(20):
            net.learn_one(counts(5, 5, 0, 0), "a")
        return (columns.resource != before).any(axis=1).tolist()

    assert who_learnt(0.0) == [True, False, False]
    assert who_learnt(1.0) == [True, True, True]
    net, _ = network(4, labels="a", threshold=0.001, sigma=5.0)
    assert net.predict_one(counts(0, 0, 0, 0)).spikes[0] == 0


# how a column learns


def test_gate_forces_the_most_excited_neuron_of_the_shown_class() -> None:
    """It gains the whole reward and is not punished; its stability falls; nobody else changes."""
    net, columns = network(3, microcolumns=2, threshold=50.0, reward=0.25, loss=-0.125, stability_rate=0.5)
    set_weights(columns, 3, [0.1, 0, 0])
    columns.stability[:] = ONE
    before = columns.resource.copy()
    net.learn_one(counts(3, 10, 0), "b")
    change = columns.resource - before
    assert change.tolist() == [[0] * 3] * 3 + [[ONE // 8, ONE // 8, 0]]  # 0.25 * 2^-1
    assert columns.stability.tolist() == [ONE, ONE, ONE, ONE - ONE // 8]


def test_a_wrong_column_that_fires_loses() -> None:
    net, columns = network(3, threshold=0.5, loss=-0.125, stability_rate=0.5, reward=0.0)
    set_weights(columns, 0, [1.0, 0, 0])
    columns.stability[0] = 2 * ONE
    before = columns.resource.copy()
    net.learn_one(counts(10, 10, 0), "b")
    change = columns.resource - before
    assert change.tolist() == [[-ONE // 32, -ONE // 32, 0], [0, 0, 0]]  # 0.125 * 2^-2
    assert columns.stability.tolist() == [2 * ONE - ONE // 16, 0]


def test_the_right_column_that_fires_is_rewarded() -> None:
    """Gains R + d_H; stability as for a first spike t = 10 = isi_max before the dopamine: r (d_H + 2 R)."""
    net, columns = network(3, threshold=0.5, loss=-0.125, reward=0.5, stability_rate=0.25)
    set_weights(columns, 0, [1.0, 0, 0])
    before = columns.resource.copy()
    net.learn_one(counts(10, 10, 0), "a")
    assert (columns.resource - before).tolist() == [[ONE * 3 // 8, ONE * 3 // 8, 0], [0, 0, 0]]
    assert columns.stability[0] == ONE // 4  # the loss's share is gone at the floor


@pytest.mark.parametrize(
    ("count", "t_dopamine", "isi_max", "factor"), [(10, 10, 10, 2.0), (10, 14, 10, 1.6), (1, 10, 10, 1.1)]
)
def test_stability_grows_most_for_a_spike_isi_max_before_the_reward(
    count: int, t_dopamine: int, isi_max: int, factor: float
) -> None:
    net, columns = network(
        1, threshold=0.5, loss=0.0, reward=1.0, stability_rate=1.0, t_dopamine=t_dopamine, isi_max=isi_max
    )
    set_weights(columns, 0, [1.0])
    net.learn_one(counts(count), "a")
    assert columns.stability[0] == round(factor * ONE)


def test_stability_is_never_below_zero() -> None:
    net, columns = network(2, threshold=0.5, loss=-1.0, stability_rate=1.0, reward=0.25)
    set_weights(columns, 0, [1.0, 0])
    before = columns.resource[0, 0]
    net.learn_one(counts(10, 0), "b")
    assert columns.stability.tolist() == [0, 0]  # a loss, and a forced spike
    assert columns.resource[0, 0] - before == -ONE  # and so 2^-s never above 1


@pytest.mark.parametrize(("stability", "gain"), [(0, ONE), (ONE, ONE // 2), (4 * ONE, ONE // 16), (20 * ONE, 0)])
def test_plasticity_falls_with_stability(stability: int, gain: int) -> None:
    net, columns = network(2, threshold=50.0, reward=1.0)
    columns.stability[0] = stability
    before = columns.resource[0, 0]
    net.learn_one(counts(10, 0), "a")
    assert columns.resource[0, 0] - before == gain


def test_what_is_less_than_half_a_unit_is_nothing_in_either_direction() -> None:
    """At s = 14 a loss of 0.1 would be 0.4 units of resource: a stable neuron does not wear away."""
    net, columns = network(1, threshold=0.5, loss=-0.1, stability_rate=0.0)
    set_weights(columns, 0, [1.0])
    columns.stability[0] = 14 * ONE
    before = columns.resource[0, 0]
    net.learn_one(counts(10), "b")
    assert columns.resource[0, 0] == before


def test_renormalisation_keeps_the_total() -> None:
    """2.0 gained at two of four synapses, one imaginary: each of the five gives 0.4."""
    net, columns = network(4, threshold=50.0, reward=1.0, n_silent=1)
    before = columns.resource[0].copy()
    net.learn_one(counts(10, 1, 0, 0), "a")
    share = 2 * ONE // 5
    assert (columns.resource[0] - before).tolist() == [ONE - share, ONE - share, -share, -share]
    assert columns.outstanding[0] == 2 * ONE - 5 * share


def test_renormalisation_waits_for_a_whole_resource() -> None:
    net, columns = network(4, threshold=50.0, reward=0.75, n_silent=0)
    before = columns.resource[0].copy()
    net.learn_one(counts(10, 0, 0, 0), "a")
    assert (columns.resource[0] - before).tolist() == [3 * ONE // 4, 0, 0, 0]
    assert columns.outstanding[0] == 3 * ONE // 4
    columns.stability[:] = 0
    net.learn_one(counts(10, 0, 0, 0), "a")
    assert (columns.resource[0] - before).sum() == 0


def test_weight_follows_from_the_resource() -> None:
    """w = w_min + range W / (range + W): w_min at 0 and below, 0 at the start, towards w_max with no end."""
    _, columns = network(5, w_min=-1.0, w_max=3.0)
    assert columns.weights.tolist() == [[0, 0]] * 5
    columns.resource[0] = [-5 * ONE, 0, 4 * ONE, 12 * ONE, 2**31 - 1]
    columns._refresh(slice(0, 1))
    expected = [-1.0, -1.0, 1.0, 2.0, 3.0]
    assert columns.weights[:, 0].tolist() == pytest.approx([w * ONE_WEIGHT for w in expected], abs=2)


@pytest.mark.parametrize(("tau", "contributes"), [(1.0, [True, True, False, True]), (2.0, [True] * 4)])
def test_inputs_contribute_from_three_tau_before_the_first_spike(tau: float, contributes: list[bool]) -> None:
    """Counts 6, 3, 2, 5 excite the neuron at step 8 alone; count 2 spikes at 4 and 9 and is late or early for it."""
    net, columns = network(4, threshold=0.9, tau=tau, loss=-0.25)
    set_weights(columns, 0, [1.0, -1.0, -1.0, -1.0])
    shown = counts(6, 3, 2, 5)
    assert (net.predict_one(shown).spikes[0], net.predict_one(shown).first_spike[0]) == (1, 8)
    before = columns.resource[0].copy()
    net.learn_one(shown, "b")
    assert (columns.resource[0] != before).tolist() == contributes


def test_inputs_that_come_after_the_last_spike_do_not_contribute() -> None:
    """Spikes at steps 3 and 7; count 1 comes at step 9."""
    net, columns = network(3, threshold=3.5, loss=-0.25)
    set_weights(columns, 0, [1.0, 0, 0])
    shown = counts(10, 2, 1)
    assert (net.predict_one(shown).spikes[0], net.predict_one(shown).first_spike[0]) == (2, 3)
    before = columns.resource[0].copy()
    net.learn_one(shown, "b")
    assert (columns.resource[0] != before).tolist() == [True, True, False]


def test_only_the_winner_s_own_spikes_bound_its_sequence() -> None:
    """The first neuron fires at step 0 alone; the other one at step 11, when its silence is over."""
    net, columns = network(2, microcolumns=2, threshold=0.9, loss=-0.25)
    set_weights(columns, 0, [1.0, -1.0])
    set_weights(columns, 1, [0.5, 0.0])
    shown = counts(10, 9)
    decision = net.predict_one(shown)
    assert (decision.spikes[0], decision.first_spike[0]) == (2, 0)
    before = columns.resource[:2].copy()
    net.learn_one(shown, "b")
    assert (columns.resource[:2] != before).tolist() == [[True, False], [False, False]]
