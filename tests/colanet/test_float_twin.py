"""Fixed point loses no accuracy against floating point, also after thousands of presentations."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.colanet.decorrelated import DecorrelatedColumns
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Decorrelated, Params, Published
from support.float_twin import DecorrelatedFloat, PublishedFloat

MOST = 0.003
"""Accuracy, as a fraction, that fixed point may cost."""
Counts = NDArray[np.uint8]


def mixture(seed: int, classes: int, n_inputs: int, m: int, difficulty: float) -> tuple[Counts, NDArray[np.int64]]:
    """Spike counts of a Gaussian mixture whose inputs vary together, as an encoder's do."""
    random = np.random.default_rng(seed)
    means = random.gamma(1.0, 2.5, (classes, n_inputs))
    mixing = random.normal(0, difficulty / np.sqrt(n_inputs), (n_inputs // 4, n_inputs)) * random.gamma(1, 4, n_inputs)
    labels = random.integers(0, classes, m)
    values = (
        means[labels] + random.normal(size=(m, n_inputs // 4)) @ mixing + random.normal(0, difficulty, (m, n_inputs))
    )
    return np.clip(np.round(values), 0, 10).astype(np.uint8), labels


def fixed_point(params: Params, counts: Counts, labels: NDArray[np.int64], test: Counts, classes: int) -> list[int]:
    """Decisions of the network, -1 for unknown."""
    network = CoLaNET(params, counts.shape[1])
    for label in range(classes):
        network.add_class(str(label))
    network.learn_many(counts, [str(label) for label in labels])
    return [-1 if d.label is None else int(d.label) for d in network.predict_many(test)]


def test_decorrelated_rule_loses_nothing_to_fixed_point() -> None:
    counts, labels = mixture(1, 20, 160, 2600, 5.0)
    train, test = slice(0, 600), slice(600, 2600)
    rule = Decorrelated(regularisation=200)
    found = np.array(fixed_point(Params(plasticity=rule), counts[train], labels[train], counts[test], 20))
    expected = DecorrelatedFloat(rule, counts[train], labels[train], 20).decide(counts[test])
    accuracy = (expected == labels[test]).mean()
    assert 0.6 < accuracy < 0.95  # neither trivial nor hopeless
    assert (found == labels[test]).mean() >= accuracy - MOST
    assert (found == expected).mean() >= 0.99


def test_published_rule_loses_little_to_fixed_point() -> None:
    """Rounding decides now and then who wins, and the two go their own ways from there: means of seeds are compared."""
    counts, labels = mixture(2, 5, 60, 700, 3.0)
    rule = Published(threshold=4.0, sigma=0.3)
    accuracy = []
    for seed in range(3):
        params = Params(microcolumns=3, members=2, seed=seed, plasticity=rule)
        names = [str(label) for label in range(5)]
        twin = PublishedFloat(params, 60, names)
        for row, label in zip(counts[:200], labels[:200], strict=True):
            twin.learn(row, int(label))
        found = np.array(fixed_point(params, counts[:200], labels[:200], counts[200:], 5))
        accuracy.append([(answer == labels[200:]).mean() for answer in (found, twin.decide(counts[200:]))])
    fixed, floating = np.mean(accuracy, axis=0)
    assert 0.8 < floating < 0.97
    assert fixed >= floating - MOST


@pytest.mark.slow
def test_on_photographs_of_sign_digits(shared_data: Path) -> None:
    """A fifth of each class is tested, half of the others are learnt once, in seeded random order."""
    from edge_app.datasets.dataset import Dataset
    from edge_app.encoder.images import ImageEncoder
    from edge_app.encoder.model import load_manifest
    from edge_app.encoder.ratecode import RateCode
    from edge_app.evaluation.embedding import embed
    from edge_app.evaluation.splits import choose_splits, draw, presentation_order

    manifest = load_manifest()
    with Dataset(shared_data / "sign_digits.zip") as dataset, ImageEncoder(manifest) as encoder:
        one = draw(dataset.items, choose_splits(dataset.splits), seed=0)
        order = presentation_order([dataset.items[i].name for i in one.train], 0, 0)
        train = embed(dataset, encoder, items=[dataset.items[one.train[i]] for i in order[: len(order) // 2]])
        test = embed(dataset, encoder, items=[dataset.items[i] for i in one.test])
    code = RateCode.for_model(manifest)
    learnt, labels, shown = code(train.values), train.labels.astype(np.int64), code(test.values)
    found = np.array(fixed_point(Params(), learnt, labels, shown, 10))
    rule = Params().plasticity
    assert isinstance(rule, Decorrelated)
    expected = DecorrelatedFloat(rule, learnt, labels, 10).decide(shown)
    accuracy = (expected == test.labels).mean()
    assert accuracy > 0.9
    assert (found == test.labels).mean() >= accuracy - MOST
    assert (found == expected).mean() >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("microcolumns", [1, 3])
def test_twenty_thousand_presentations_do_no_harm(microcolumns: int) -> None:
    """The world drifts, the network stays healthy: P positive and small, V = P m, accuracy as at the beginning."""
    random, n_inputs, classes = np.random.default_rng(0), 64, 8
    params = Params(microcolumns=microcolumns, plasticity=Decorrelated(stability_max=256))
    network = CoLaNET(params, n_inputs)
    for label in range(classes):
        network.add_class(str(label))
    means = random.uniform(0, 10, (classes, n_inputs))
    means[:, :4] = [10, 9, 0, 5]  # some inputs never vary
    hits: list[bool] = []
    for _ in range(20_000):
        means[:, 4:] = np.clip(means[:, 4:] + random.normal(0, 0.01, (classes, n_inputs - 4)), 0, 10)
        label = int(random.integers(classes))
        noise = random.normal(0, 4, n_inputs)
        noise[:4] = 0
        counts = np.clip(np.round(means[label] + noise), 0, 10).astype(np.uint8)
        hits.append(network.predict_one(counts).label == str(label))
        network.learn_one(counts, str(label))
    assert np.mean(hits[1000:3000]) > 0.9
    assert np.mean(hits[-2000:]) >= np.mean(hits[1000:3000]) - 0.01
    columns = network.columns
    assert isinstance(columns, DecorrelatedColumns)
    p, drives = columns.decorrelation / 2**30, columns.drive / 2**20
    values = np.linalg.eigvalsh(p)
    assert values[0] > 0
    assert values[-1] < 1 + 1e-6
    assert np.abs(drives - columns.mean / 2**24 @ p).max() < 1e-3 * np.abs(drives).max() + 2e-3
    assert np.abs(columns.weights).max() <= 32767


@pytest.mark.slow
@pytest.mark.parametrize("stability_max", [1, 65535])
@pytest.mark.parametrize("regularisation", [64.0, 16000.0])
def test_extreme_counts_for_thousands_of_presentations(regularisation: float, stability_max: int) -> None:
    """All or nothing, at the ends of the parameters: where the decorrelation would first lose its sign."""
    random, n_inputs = np.random.default_rng(1), 128
    rule = Decorrelated(regularisation=regularisation, stability_max=stability_max)
    network = CoLaNET(Params(plasticity=rule), n_inputs)
    for label in "abcd":
        network.add_class(label)
    for n in range(20_000):
        counts = np.where(random.random(n_inputs) < 0.5, 10, 0) * (1 if n % 3 else 0)
        network.learn_one(counts.astype(np.uint8), "abcd"[random.integers(4)])
    columns = network.columns
    assert isinstance(columns, DecorrelatedColumns)
    values = np.linalg.eigvalsh(columns.decorrelation / 2**30)
    assert values[0] > 0
    assert values[-1] < 1 + 1e-6
    assert np.array_equal(columns.decorrelation, columns.decorrelation.T)


@pytest.mark.slow
def test_published_rule_stays_in_its_formats_for_thousands_of_presentations() -> None:
    random, n_inputs = np.random.default_rng(2), 64
    rule = dataclasses.replace(Published(), loss=-16.0, reward=16.0, stability_rate=0.0, threshold=1.0, n_silent=0)
    network = CoLaNET(Params(microcolumns=2, plasticity=rule), n_inputs)
    for label in "ab":
        network.add_class(label)
    for _ in range(5_000):
        counts = random.choice(np.array([0, 10], np.uint8), n_inputs)
        network.learn_one(counts, "ab"[random.integers(2)])
    arrays = network.columns.arrays()
    assert np.abs(arrays["outstanding"]).max() < 2 << 16
    assert np.abs(arrays["resource"].astype(np.int64)).max() < 2**31 - 1
    assert CoLaNET.from_snapshot(network.snapshot()).snapshot() == network.snapshot()
