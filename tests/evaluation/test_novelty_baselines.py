"""Each conventional score is higher for what was taught, and is what its definition says."""

import numpy as np
import pytest

from edge_app.evaluation.novelty_baselines import (
    energy,
    familiarities,
    max_softmax,
    nearest_neighbour,
    relative_mahalanobis,
)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def taught(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two classes of 30, 40 fresh ones of them, 40 of a third."""
    random = np.random.default_rng(seed)
    centres = 4 * np.eye(12)[:3]
    labels = np.repeat([0, 1], 30)
    train = unit(centres[labels] + random.normal(0, 0.5, (60, 12)))
    known = unit(centres[np.repeat([0, 1], 20)] + random.normal(0, 0.5, (40, 12)))
    return train, labels, known, unit(centres[2] + random.normal(0, 0.5, (40, 12)))


def test_all_tell_what_was_taught_from_what_was_not() -> None:
    train, labels, known, unknown = taught()
    own, theirs = (familiarities(train, labels, rows, {}) for rows in (known, unknown))
    assert set(own) == {"relative_mahalanobis", "nearest_neighbour", "max_softmax", "energy"}
    for name in own:
        assert np.median(own[name]) > np.median(theirs[name]), name


def test_relative_mahalanobis_by_hand() -> None:
    train, labels, known, _ = taught()
    means = [train[labels == k].mean(0) for k in (0, 1)]
    within = sum(np.outer(x - means[k], x - means[k]) for x, k in zip(train, labels, strict=True)) / 60
    overall = np.cov(train.T, bias=True)
    metric, background = (np.linalg.inv(0.9 * one + 0.1 * np.eye(12)) for one in (within, overall))
    x, mean = known[3], train.mean(0)
    nearest = min((x - m) @ metric @ (x - m) for m in means)
    expected = (x - mean) @ background @ (x - mean) - nearest
    assert relative_mahalanobis(train, labels, known, 0.1)[3] == pytest.approx(expected, rel=1e-4)


def test_softmax_and_energy_by_hand() -> None:
    logits = np.array([[1.0, 2.0, 0.5], [1000.0, 0.0, 0.0]])
    assert max_softmax(logits)[0] == pytest.approx(np.exp(2) / np.exp(logits[0]).sum())
    assert energy(logits) == pytest.approx([np.log(np.exp(logits[0]).sum()), 1000.0])


def test_nearest_neighbour_is_the_greatest_cosine() -> None:
    train, _, known, _ = taught()
    assert nearest_neighbour(train, known) == pytest.approx((known @ train.T).max(axis=1))
