import numpy as np
import pytest

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params, Published
from edge_app.evaluation.metrics import PICOJOULES, complexity, linear_head_metrics, neighbour_metrics, network_metrics
from edge_app.evaluation.operations import learn_and_count, of_decision
from support.streams import SIZE, material

PUBLISHED = Params(microcolumns=2, plasticity=Published(threshold=1.0))


def taught(params: Params, shots: int = 3) -> tuple[CoLaNET, np.ndarray]:
    one = material(3, learnt=shots, tested=1)
    network = CoLaNET(params, SIZE)
    for label in one.rows.classes:
        network.add_class(label)
    for row in one.learnt(0):
        network.learn_one(one.counts[row], one.rows.classes[one.rows.labels[row]])
    return network, one.counts[one.tested(0)]


@pytest.mark.parametrize("params", [Params(), PUBLISHED])
def test_a_decision_is_counted_spike_by_spike(params: Params) -> None:
    network, shown = taught(params)
    columns = network.columns
    columns.weights[::3] = 0
    found = of_decision(columns, shown[0])
    accumulated = 0
    for i, count in enumerate(shown[0]):
        for _ in range(count):
            accumulated += sum(int(weight != 0) for weight in columns.weights[i])
    neurons = columns.threshold.size
    assert found.effective_acs == accumulated + int(network.predict_one(shown[0]).spikes.sum())
    assert found.effective_macs == 0
    assert found.dense == 10 * neurons * (SIZE + 1)
    assert found.effective_acs < found.dense
    silent = of_decision(columns, np.zeros(SIZE, np.uint8))
    assert silent.effective_acs == 0


def test_learning_is_counted_and_done() -> None:
    network, shown = taught(Params())
    twin = CoLaNET.from_snapshot(network.snapshot())
    found = learn_and_count(network, shown[0], "c0")
    twin.learn_one(shown[0], "c0")
    assert network.snapshot() == twin.snapshot()
    assert found.dense >= 2 * SIZE**2
    assert 0 < found.effective_macs <= found.dense
    assert found.effective_macs > SIZE**2  # the decorrelation is dense by then


def test_a_first_example_that_is_no_news_moves_neither_other_columns_nor_the_inhibition() -> None:
    network, shown = taught(Params(plasticity=Decorrelated(novelty=0)))
    network.add_class("new")
    assert learn_and_count(network, shown[0], "new").dense < SIZE**2 + 20 * SIZE * 4


def test_a_correction_costs_a_presentation_and_a_step_a_column() -> None:
    (with_it, shown), (without, _) = taught(Params()), taught(Params(plasticity=Decorrelated(correction=0)))
    presented = of_decision(with_it.columns, shown[0])
    found = learn_and_count(with_it, shown[0], "c0"), learn_and_count(without, shown[0], "c0")
    assert found[0].dense - found[1].dense == presented.dense + (len(with_it.labels) + 1) * SIZE


def test_learning_by_the_published_rule_counts_changed_synapses() -> None:
    network, shown = taught(PUBLISHED)
    twin = CoLaNET.from_snapshot(network.snapshot())
    before = twin.columns.arrays()["resource"].copy()
    twin.learn_one(shown[0], "c0")
    changed = int((twin.columns.arrays()["resource"] != before).sum())
    presented = of_decision(network.columns, shown[0])
    found = learn_and_count(network, shown[0], "c0")
    assert changed > 0
    assert found.effective_acs == presented.effective_acs + changed
    assert network.snapshot() == twin.snapshot()


def test_network_is_left_as_it_was_and_figures_add_up() -> None:
    network, shown = taught(Params())
    before = network.snapshot()
    found = network_metrics(network, shown, shown, ["c0", "c1", "c2"])
    assert network.snapshot() == before
    weights = network.columns.weights
    assert found["connection_sparsity"] == 1 - np.count_nonzero(weights) / weights.size
    assert found["footprint_bytes"]["deciding"] == weights.nbytes + 2 * 4 * 3
    # keys, means, drives and corrections, uses; decorrelation
    learnt = 3 * (8 + 3 * 4 * SIZE + 4) + 4 * SIZE * SIZE
    assert found["footprint_bytes"]["learning"] == found["footprint_bytes"]["deciding"] + learnt
    assert found["activation_sparsity"]["inputs"] == pytest.approx(1 - shown.mean() / 10)
    decision = found["decision"]
    assert decision["effective_acs"] == np.mean([of_decision(network.columns, row).effective_acs for row in shown])
    assert decision["energy_estimate_uj"] == pytest.approx(decision["effective_acs"] * PICOJOULES["int_add"] / 1e6)


def test_conventional_classifiers_by_hand() -> None:
    embeddings = np.array([[0, 5, 7, 0], [1, 0, 0, 0]], np.uint8)
    head = linear_head_metrics(embeddings, 3, zero_point=0)
    assert head["footprint_bytes"]["deciding"] == 4 * 5 * 3
    assert (head["decision"]["dense"], head["decision"]["effective_macs"]) == (12, 4.5)
    assert head["learnt_example"]["effective_macs"] == 9
    assert head["decision"]["energy_estimate_uj"] == pytest.approx(4.5 * 4.6e-6)
    stored = np.array([[0, 1, 1, 1], [1, 0, 0, 1], [0, 0, 1, 0]], np.uint8)
    neighbours = neighbour_metrics(stored, embeddings, zero_point=0)
    assert neighbours["footprint_bytes"]["learning"] == 12
    assert neighbours["decision"]["dense"] == 12
    assert neighbours["decision"]["effective_macs"] == ((1 + 2) + 1) / 2
    assert neighbours["learnt_example"]["effective_macs"] == 0


def test_complexity_counts_the_last_examples_on_a_taught_network() -> None:
    one = material(3)
    labels = [one.rows.classes[label] for label in one.rows.labels]
    found = complexity(
        lambda: CoLaNET(Params(), SIZE), one.rows.values, one.counts, labels, one.learnt(0), one.tested(0), 0
    )
    assert found["colanet"]["learnt_example"]["effective_macs"] > SIZE**2
    assert found["knn3"]["footprint_bytes"]["deciding"] == 36 * SIZE
