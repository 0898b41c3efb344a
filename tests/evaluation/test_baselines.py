import numpy as np
import pytest

from edge_app.evaluation import baselines
from edge_app.evaluation.baselines import Labels, Rows
from support.clusters import N_CLASSES, clusters


def test_unit_rows_have_length_one_whatever_the_zero_point() -> None:
    rows = baselines.unit_rows(np.array([[3, 4, 0], [10, 0, 0]], np.uint8))
    np.testing.assert_allclose(rows, [[0.6, 0.8, 0], [1, 0, 0]], rtol=1e-6)
    shifted = baselines.unit_rows(np.array([[13, 14, 10]], np.uint8), zero_point=10)
    np.testing.assert_allclose(shifted, [[0.6, 0.8, 0]], rtol=1e-6)
    assert baselines.unit_rows(np.zeros((1, 3), np.uint8)).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("name", sorted(baselines.available()))
def test_each_tells_clusters_apart(name: str) -> None:
    train, labels = clusters()
    test, truth = clusters(seed=1)
    decided = baselines.available()[name](train, labels, test, N_CLASSES)
    assert decided.shape == truth.shape
    assert (decided == truth).mean() > 0.95


@pytest.mark.parametrize("name", sorted(baselines.available()))
def test_each_learns_from_the_labels(name: str) -> None:
    train, labels = clusters()
    test, truth = clusters(seed=1)
    decided = baselines.available()[name](train, (labels + 1) % N_CLASSES, test, N_CLASSES)
    assert (decided == (truth + 1) % N_CLASSES).mean() > 0.95


@pytest.mark.parametrize("name", sorted(baselines.available()))
def test_no_class_without_an_example_is_predicted(name: str) -> None:
    train, labels = clusters()
    test, _ = clusters(seed=1, spread=80)
    decided = baselines.available()[name](train[labels != 2], labels[labels != 2], test, N_CLASSES + 3)
    assert set(decided.tolist()) <= {0, 1, 3}


@pytest.mark.parametrize("name", sorted(baselines.available()))
def test_one_class_and_one_example(name: str) -> None:
    train, _ = clusters()
    assert baselines.available()[name](train[:1], np.array([1]), train[:5], 3).tolist() == [1] * 5


def test_nearest_class_mean_by_hand() -> None:
    train = baselines.unit_rows(np.array([[10, 0], [10, 2], [0, 10]], np.uint8))
    test = baselines.unit_rows(np.array([[9, 3], [3, 9]], np.uint8))
    assert baselines.nearest_class_mean(train, np.array([0, 0, 1]), test, 2).tolist() == [0, 1]


def test_three_neighbours_vote_and_a_tie_goes_to_the_nearest() -> None:
    angles = np.radians([0, 10, 12, 40])
    train = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    test = np.array([[1, 0]], np.float32)
    assert baselines.nearest_neighbours(train, np.array([0, 1, 1, 2]), test, 3).tolist() == [1]
    assert baselines.nearest_neighbours(train, np.array([2, 1, 0, 0]), test, 3).tolist() == [2]
    assert baselines.nearest_neighbours(train, np.array([0, 1, 1, 2]), test, 3, k=1).tolist() == [0]


def test_neighbours_in_chunks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    train, labels = clusters(spread=60)
    test, _ = clusters(seed=1, spread=60)
    whole = baselines.nearest_neighbours(train, labels, test, N_CLASSES)
    monkeypatch.setattr(baselines, "NEIGHBOUR_CHUNK", 7)
    np.testing.assert_array_equal(baselines.nearest_neighbours(train, labels, test, N_CLASSES), whole)


def lda_step_by_step(train: Rows, labels: Labels, test: Rows) -> Labels:
    """Hayes & Kanan's algorithm as published: one example at a time."""
    n = train.shape[1]
    means, counts, covariance = np.zeros((N_CLASSES, n)), np.zeros(N_CLASSES), np.zeros((n, n))
    for t, (row, label) in enumerate(zip(train, labels, strict=True)):
        distance = row - means[label] if counts[label] else np.zeros(n)
        covariance = (t * covariance + t / (t + 1) * np.outer(distance, distance)) / (t + 1)
        means[label] = (counts[label] * means[label] + row) / (counts[label] + 1)
        counts[label] += 1
    precision = np.linalg.inv((1 - baselines.SHRINKAGE) * covariance + baselines.SHRINKAGE * np.eye(n))
    weights = means @ precision
    return (test @ weights.T - 0.5 * (means * weights).sum(axis=1)).argmax(axis=1)


def test_streaming_lda_is_the_published_stream() -> None:
    train, labels = clusters(spread=160)
    test, truth = clusters(seed=1, spread=160)
    expected = lda_step_by_step(train, labels, test)
    assert 0.3 < (expected == truth).mean() < 1
    np.testing.assert_array_equal(baselines.streaming_lda(train, labels, test, N_CLASSES), expected)
