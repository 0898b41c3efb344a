"""Other online classifiers on the same embeddings, timed in the same run.

Each peer is the plain form of its method: what one would write with numpy or take from scikit-learn. All see rows of
unit length, float32 (n,), and hold 64 classes. `decide` and `learn` are one example each.
"""

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.classifier import SHOWN, Rotation
from benchmarks.speed.networks import Counts, taught
from benchmarks.speed.turns import microseconds, ratio, take_turns
from edge_app.colanet.params import Params

Row = NDArray[np.float32]
Rows = NDArray[np.float32]

CLASSES, STORED = 64, 5000
SHRINKAGE = 1e-4


class Peer(Protocol):
    """A classifier that learns example by example."""

    def decide(self, row: Row) -> int:
        """Return the class of one row (n,)."""

    def learn(self, row: Row, label: int) -> None:
        """Learn one row (n,)."""


class NearestClassMean:
    """Cosine to running means."""

    def __init__(self, n: int) -> None:
        self._sums, self._unit = np.zeros((CLASSES, n), np.float32), np.zeros((CLASSES, n), np.float32)

    def decide(self, row: Row) -> int:
        """Return the class of one row."""
        return int((self._unit @ row).argmax())

    def learn(self, row: Row, label: int) -> None:
        """Learn one row."""
        self._sums[label] += row
        self._unit[label] = self._sums[label] / np.linalg.norm(self._sums[label])


class ThreeNearest:
    """Vote of the three nearest of 5,000 stored rows; the oldest gives way."""

    def __init__(self, rows: Rows) -> None:
        self._rows = np.ascontiguousarray(rows[np.arange(STORED) % len(rows)])
        self._labels, self._next = np.arange(STORED) % CLASSES, 0

    def decide(self, row: Row) -> int:
        """Return the class of one row."""
        cosine = self._rows @ row
        nearest = np.argpartition(cosine, -3)[-3:]
        return int(np.bincount(self._labels[nearest], weights=cosine[nearest] + 1).argmax())

    def learn(self, row: Row, label: int) -> None:
        """Store one row."""
        self._rows[self._next], self._labels[self._next] = row, label
        self._next = (self._next + 1) % STORED


class StreamingLDA:
    """Running means and one shared covariance (Hayes and Kanan 2020); its inverse is computed when it is needed."""

    def __init__(self, n: int) -> None:
        self._means, self._counts = np.zeros((CLASSES, n), np.float32), np.zeros(CLASSES)
        self._covariance = np.eye(n, dtype=np.float32)
        self._seen = 0
        self._weights, self._bias = np.zeros((CLASSES, n), np.float32), np.zeros(CLASSES, np.float32)

    def decide(self, row: Row) -> int:
        """Return the class of one row, with the weights of the last `solve`."""
        return int((self._weights @ row + self._bias).argmax())

    def learn(self, row: Row, label: int) -> None:
        """Update means and covariance; the weights stay as they are."""
        distance = row - self._means[label]
        self._covariance *= np.float32(self._seen / (self._seen + 1))
        self._covariance += np.float32(self._seen / (self._seen + 1) ** 2) * np.outer(distance, distance)
        self._means[label] += distance / (self._counts[label] + 1)
        self._counts[label] += 1
        self._seen += 1

    def solve(self) -> None:
        """Compute the weights, which a decision after an example needs."""
        shrunk = (1 - SHRINKAGE) * self._covariance
        shrunk[np.diag_indices_from(shrunk)] += SHRINKAGE
        self._weights = np.linalg.solve(shrunk, self._means.T).T.astype(np.float32)
        self._bias = -0.5 * np.einsum("cn,cn->c", self._means, self._weights)


class PartialFit:
    """scikit-learn's SGDClassifier, one example at a time."""

    def __init__(self, loss: str) -> None:
        from sklearn.linear_model import SGDClassifier

        self._model = SGDClassifier(loss=loss)
        self._classes = np.arange(CLASSES)

    def decide(self, row: Row) -> int:
        """Return the class of one row."""
        return int(self._model.predict(row[None])[0])

    def learn(self, row: Row, label: int) -> None:
        """Learn one row."""
        self._model.partial_fit(row[None], np.array([label]), classes=self._classes)


def measure(counts: Counts, *, seconds: float = 5.0) -> dict[str, Any]:
    """Return microseconds of each peer and of CoLaNET, and their ratios to CoLaNET's, as JSON values."""
    rows = counts / np.linalg.norm(counts, axis=1, keepdims=True).astype(np.float32)
    rows = rows.astype(np.float32)
    network = taught(Params(), counts, CLASSES)
    label = network.labels[0]
    jobs: dict[str, Callable[[], Any]] = {
        "CoLaNET: decide": Rotation(network.predict_one, counts),
        "CoLaNET: learn": Rotation(lambda row: network.learn_one(row, label), counts),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, peer in _peers(rows).items():
            for number, row in enumerate(rows[: 2 * CLASSES]):
                peer.learn(row, number % CLASSES)
            # its learning is cheap only because the inverse is left for the next decision: that is timed by itself
            if isinstance(peer, StreamingLDA):
                jobs[f"{name}: weights for the next decision"] = peer.solve
            jobs[f"{name}: decide"] = Rotation(peer.decide, rows[:SHOWN])  # type: ignore[arg-type]
            jobs[f"{name}: learn"] = Rotation(lambda row, peer=peer: peer.learn(row, 3), rows[:SHOWN])  # type: ignore[arg-type]
        # few turns are enough: one solve of streaming LDA takes longer than thousands of decisions
        times = take_turns(jobs, seconds=seconds, fewest=10)
    found: dict[str, Any] = {"classes": CLASSES, "us": {name: microseconds(taken) for name, taken in times.items()}}
    found["to_colanet"] = {
        name: ratio(taken, times["CoLaNET: learn" if name.endswith("learn") else "CoLaNET: decide"])
        for name, taken in times.items()
        if not name.startswith("CoLaNET")
    }
    return found


def _peers(rows: Rows) -> dict[str, Any]:
    n = rows.shape[1]
    found: dict[str, Any] = {
        "nearest class mean, numpy": NearestClassMean(n),
        "3 nearest of 5,000, numpy": ThreeNearest(rows),
        "streaming LDA, numpy": StreamingLDA(n),
    }
    if importlib.util.find_spec("sklearn") is not None:
        found["scikit-learn, logistic partial_fit"] = PartialFit("log_loss")
        found["scikit-learn, SVM partial_fit"] = PartialFit("hinge")
    return found
