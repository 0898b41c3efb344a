"""Conventional scores of how familiar an embedding is, beside CoLaNET's novelty; the higher, the more familiar.

    relative_mahalanobis  distance to the mean of everything taught, less that to the nearest class mean, each in a
                          metric of its own: the covariance of all examples, and that within classes (Ren et al. 2021)
    nearest_neighbour     greatest cosine to a taught example
    max_softmax           greatest probability of logistic regression (Hendrycks and Gimpel 2017)
    energy                log of the sum of its exponentiated logits (Liu et al. 2020)

The last two need scikit-learn. Covariances are shrunk towards the identity, and regression is regularised, as is best
for accuracy on validation data (`tuning`).
"""

import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.evaluation.baselines import LOGISTIC_C, SHRINKAGE, Labels, Rows

Scores = NDArray[np.float64]


def familiarities(
    train: Rows, labels: Labels, test: Rows, options: Mapping[str, Mapping[str, float]]
) -> dict[str, Scores]:
    """Return the scores (k,) of `test` (k, n) by name; train (m, n) and test are rows of unit length.

    labels (m,) class indices; `options` are those of the baselines streaming_lda and logistic_regression.
    """
    shrinkage = options.get("streaming_lda", {}).get("shrinkage", SHRINKAGE)
    found = {
        "relative_mahalanobis": relative_mahalanobis(train, labels, test, shrinkage),
        "nearest_neighbour": nearest_neighbour(train, test),
    }
    if find_spec("sklearn") is not None:
        logits = logistic_logits(train, labels, test, options.get("logistic_regression", {}).get("c", LOGISTIC_C))
        found |= {"max_softmax": max_softmax(logits), "energy": energy(logits)}
    return found


def relative_mahalanobis(train: Rows, labels: Labels, test: Rows, shrinkage: float) -> Scores:
    """Return the squared distance to the mean of all less the least one to a class mean."""
    classes, place = np.unique(labels, return_inverse=True)
    means = np.stack([train[place == index].mean(axis=0) for index in range(len(classes))]).astype(np.float64)
    within = _metric(train - means[place], shrinkage)
    overall = train.mean(axis=0).astype(np.float64)
    to_all = _squared(test - overall, _metric(train - overall, shrinkage))
    # (x - m)' S (x - m) over all means at once: x' S x - 2 m' S x + m' S m
    projected = within @ means.T
    to_class = _squared(test, within)[:, None] - 2 * test @ projected + (means.T * projected).sum(axis=0)
    relative: Scores = to_all - to_class.min(axis=1)
    return relative


def nearest_neighbour(train: Rows, test: Rows) -> Scores:
    """Return the greatest cosine to a row of `train`."""
    chunks = [(test[start : start + 512] @ train.T).max(axis=1) for start in range(0, len(test), 512)]
    return np.concatenate(chunks).astype(np.float64)


def logistic_logits(train: Rows, labels: Labels, test: Rows, c: float) -> Scores:
    """Return the logits (k, classes) of multinomial logistic regression."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, max_iter=1000)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # one shot of each class
        model.fit(train, labels)
    found: Any = model.decision_function(test)
    # two classes: scikit-learn returns the difference of the two logits
    logits: Scores = np.stack([-found, found], axis=1) / 2 if found.ndim == 1 else found
    return logits


def max_softmax(logits: Scores) -> Scores:
    """Return the greatest probability of each row."""
    # by logarithms, so that large logits do not overflow
    greatest: Scores = np.exp(logits.max(axis=1) - energy(logits))
    return greatest


def energy(logits: Scores) -> Scores:
    """Return the log of the sum of the exponentiated logits of each row: minus the free energy."""
    top = logits.max(axis=1)
    total: Scores = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return total


def _metric(centred: NDArray[Any], shrinkage: float) -> Scores:
    covariance = (centred.T @ centred).astype(np.float64) * ((1 - shrinkage) / len(centred))
    covariance[np.diag_indices_from(covariance)] += shrinkage
    return np.linalg.inv(covariance)


def _squared(rows: NDArray[Any], metric: Scores) -> Scores:
    found: Scores = ((rows @ metric) * rows).sum(axis=1)
    return found
