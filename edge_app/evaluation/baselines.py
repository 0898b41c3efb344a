"""Conventional classifiers on the same embeddings, for comparison with CoLaNET.

Every function takes `train` (m, n) and `test` (k, n) float32 rows of unit length (`unit_rows`), `labels` (m,) class
indices below `n_classes`, and returns (k,) predicted class indices. A class without a training example is never
predicted. Order matters to the one-pass learners: they see the rows of `train` from first to last.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Labels = NDArray[np.intp]

# bounds the matrix of cosines: all rows at once would take gigabytes with large data sets
NEIGHBOUR_CHUNK = 512
SHRINKAGE = 1e-4
SOFTMAX_RATE = 16.0
LOGISTIC_C = 100.0
"""Medians of the best values on validation data inside training data, over data sets and shots (`tuning`)."""


def unit_rows(embeddings: NDArray[np.uint8], zero_point: int = 0) -> Rows:
    """Return embeddings (m, n) as float32 rows of length 1; the scale cancels, so only the zero point matters."""
    return _unit(embeddings.astype(np.float32) - np.float32(zero_point))


def nearest_class_mean(train: Rows, labels: Labels, test: Rows, n_classes: int) -> Labels:
    """Cosine to the mean of each class's unit rows."""
    return _best(class_mean_cosines(train, labels, test, n_classes))


def class_mean_cosines(train: Rows, labels: Labels, test: Rows, n_classes: int) -> Rows:
    """Return (k, n_classes): cosine to the mean of each class's unit rows, -inf for a class without an example."""
    means, counts = _class_means(train, labels, n_classes)
    scores: Rows = test @ _unit(means).T
    scores[:, counts == 0] = -np.inf
    return scores


def nearest_neighbours(train: Rows, labels: Labels, test: Rows, n_classes: int, *, k: int = 3) -> Labels:
    """Majority of the k training examples of highest cosine; a tie goes to the class of the nearest among the tied."""
    # argpartition raises when k is larger
    k = min(k, len(train))
    found = []
    for start in range(0, len(test), NEIGHBOUR_CHUNK):
        cosine = test[start : start + NEIGHBOUR_CHUNK] @ train.T
        nearest = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        # argpartition leaves the k nearest unordered; a tie is decided by their order
        order = np.argsort(-np.take_along_axis(cosine, nearest, axis=1), axis=1, kind="stable")
        votes = labels[np.take_along_axis(nearest, order, axis=1)]
        counts = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
        # argmax: the first of equal counts, which is the nearest
        found.append(np.take_along_axis(votes, counts.argmax(axis=1)[:, None], axis=1)[:, 0])
    return np.concatenate(found) if found else np.zeros(0, np.intp)


def streaming_lda(train: Rows, labels: Labels, test: Rows, n_classes: int, *, shrinkage: float = SHRINKAGE) -> Labels:
    """Streaming linear discriminant analysis (Hayes & Kanan 2020, Lifelong machine learning with deep streaming LDA).

    Running class means and one shared covariance, updated with one example at a time and shrunk towards the identity
    (published: by 1e-4). The update S <- (t S + t/(t+1) d d^T)/(t+1), d the distance to the class's mean before the
    example, is a weighted sum over the examples and is computed as such: the result is that of the stream. A class's
    first example has no mean before it and adds nothing.
    """
    means, counts = _class_means(train, labels, n_classes)
    distances = _distance_to_running_mean(train, labels)
    step = np.arange(len(train), dtype=np.float64)
    distances *= np.sqrt(step / (step + 1)).astype(np.float32)[:, None]
    # float64 from here: the smallest eigenvalues decide, and are lost in float32
    covariance = (distances.T @ distances).astype(np.float64) / max(len(train), 1)
    covariance *= 1 - shrinkage
    covariance[np.diag_indices_from(covariance)] += shrinkage
    # solved, not inverted: as accurate as the covariance allows
    weights = np.linalg.solve(covariance, means.T.astype(np.float64))
    bias = -0.5 * (means.T * weights).sum(axis=0)
    scores = test @ weights + bias
    scores[:, counts == 0] = -np.inf
    return _best(scores)


def online_softmax(train: Rows, labels: Labels, test: Rows, n_classes: int, *, rate: float = SOFTMAX_RATE) -> Labels:
    """Averaged online softmax: multinomial logistic regression by stochastic gradient, one pass.

    The weights of step t count t-fold in the average (Lacoste-Julien, Schmidt & Bach 2012), and rows are taken from
    the mean of those before them; both lift it by some points. The first-order learner that, like CoLaNET, sees each
    example once.
    """
    weights = np.zeros((n_classes, train.shape[1]), np.float32)
    total, centre = np.zeros_like(weights), np.zeros(train.shape[1], np.float32)
    present = np.zeros(n_classes, bool)
    present[labels] = True
    for step, (row, label) in enumerate(zip(train, labels, strict=True), start=1):
        centre += (row - centre) / step
        scores = weights @ (row - centre)
        # the maximum is taken off, so that exp cannot overflow
        chance = np.exp(scores - scores[present].max()) * present
        gradient = chance / chance.sum()
        gradient[label] -= 1
        weights -= np.outer(rate * gradient, row - centre)
        total += step * weights
    scores = (test - centre) @ total.T
    scores[:, ~present] = -np.inf
    return _best(scores)


def logistic_regression(train: Rows, labels: Labels, test: Rows, n_classes: int, *, c: float = LOGISTIC_C) -> Labels:
    """Multinomial logistic regression that sees all examples at once; needs scikit-learn."""
    from sklearn.linear_model import LogisticRegression

    # scikit-learn rejects a single class
    seen = np.unique(labels)
    if len(seen) == 1:
        return np.full(len(test), seen[0], np.intp)
    model = LogisticRegression(C=c, max_iter=1000)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # one shot of each class
        model.fit(train, labels)
    predicted: Labels = model.predict(test).astype(np.intp)
    return predicted


def available() -> dict[str, Callable[..., Labels]]:
    """Return the baselines by name; `logistic_regression` is among them if scikit-learn is installed."""
    from importlib.util import find_spec

    found: dict[str, Callable[..., Labels]] = {
        "nearest_class_mean": nearest_class_mean,
        "knn1": partial(nearest_neighbours, k=1),
        "knn3": nearest_neighbours,
        "streaming_lda": streaming_lda,
        "online_softmax": online_softmax,
    }
    if find_spec("sklearn") is not None:
        found["logistic_regression"] = logistic_regression
    return found


def _best(scores: NDArray[Any]) -> Labels:
    decided: Labels = scores.argmax(axis=1)
    return decided


def _unit(rows: Rows) -> Rows:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    # a row of zeros stays one
    scaled: Rows = rows / np.maximum(norms, np.finfo(np.float32).tiny)
    return scaled


def _class_means(train: Rows, labels: Labels, n_classes: int) -> tuple[Rows, Labels]:
    """Return means (n_classes, n), zero where there is no example, and examples per class (n_classes,)."""
    counts = np.bincount(labels, minlength=n_classes)
    one_hot = np.zeros((n_classes, len(train)), np.float32)
    one_hot[labels, np.arange(len(train))] = 1
    means = one_hot @ train / np.maximum(counts, 1).astype(np.float32)[:, None]
    return means, counts


def _distance_to_running_mean(train: Rows, labels: Labels) -> Rows:
    """Return each row less the mean of the rows of its class before it; zero for a class's first row."""
    distances = np.zeros_like(train)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        # float64: a long sum in float32 would drift
        before = np.cumsum(train[rows], axis=0, dtype=np.float64)[:-1]
        before /= np.arange(1, len(rows))[:, None]
        distances[rows[1:]] = train[rows[1:]] - before
    return distances
