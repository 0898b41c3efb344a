"""Accuracy of CoLaNET on a data set: test-then-train, then a held-out test, beside conventional classifiers.

A trial shows each training example once per pass in seeded random order. In the first pass every example is predicted
before it is learnt (test-then-train, or progressive validation); a column is added with the first example of its class,
as on the device. Then the held-out images are decided on without learning. Rates are fractions, times are
milliseconds. An image decided "unknown" counts as wrong.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app import rejection
from edge_app.colanet.network import CoLaNET
from edge_app.datasets.listing import LeftOut
from edge_app.evaluation.embedded_draws import EmbeddedDraws
from edge_app.evaluation.metrics import complexity
from edge_app.evaluation.splits import presentation_order
from edge_app.evaluation.trial import (
    UNKNOWN,
    EvaluationSettings,
    Progress,
    TimedNetwork,
    Trial,
    mean,
    percentiles,
    run_trial,
    running_accuracy,
)
from edge_app.learner.replay import Network

BINS = 10


@dataclass
class Evaluation:
    """All trials of a data set, with their settings."""

    setting: EvaluationSettings
    classes: tuple[str, ...]
    trials: list[Trial]
    times_ms: dict[str, list[float]]
    skipped: tuple[LeftOut, ...] = ()
    notes: list[str] = field(default_factory=list)
    """Remarks on the data set for the report."""

    def confusion(self) -> NDArray[np.intp]:
        """Return (classes, classes + 1) counts over all trials: rows the truth, the last column "unknown"."""
        n = len(self.classes)
        counts = np.zeros((n, n + 1), np.intp)
        for trial in self.trials:
            columns = np.where(trial.decided == UNKNOWN, n, trial.decided)
            np.add.at(counts, (trial.truth, columns), 1)
        return counts

    def per_class(self) -> dict[str, float | None]:
        """Return the accuracy on each class over all trials; None where nothing was tested."""
        counts = self.confusion()
        totals = counts.sum(axis=1)
        return {label: float(counts[i, i] / totals[i]) if totals[i] else None for i, label in enumerate(self.classes)}

    def confidence(self) -> dict[str, Any]:
        """Return how often decisions of a confidence were right, over all trials (`reliability`)."""
        return reliability(
            np.concatenate([trial.confidence for trial in self.trials]),
            np.concatenate([trial.decided == trial.truth for trial in self.trials]),
        )

    def rejecting(self) -> dict[str, float]:
        """Return the shares of right names, wrong names and "unknown" at the default strictness, over all trials."""
        known = np.concatenate([trial.decided != UNKNOWN for trial in self.trials])
        known &= ~np.concatenate([trial.rejected for trial in self.trials])
        right = np.concatenate([trial.decided == trial.truth for trial in self.trials])
        return {
            "strictness": rejection.DEFAULT,
            "right": float((known & right).mean()),
            "wrong": float((known & ~right).mean()),
            "unknown": float((~known).mean()),
        }

    @property
    def accuracy(self) -> float:
        """Mean over the trials."""
        return float(np.mean([trial.accuracy for trial in self.trials]))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values; the keys are described in docs/evaluate.md."""
        accuracies = [trial.accuracy for trial in self.trials]
        names = list(self.trials[0].baselines)
        by_name = {name: [trial.baselines[name] for trial in self.trials] for name in names}
        return {
            "accuracy": float(np.mean(accuracies)),
            "accuracy_std": float(np.std(accuracies)),
            "n_train": self.trials[0].n_train,
            "n_test": len(self.trials[0].truth),
            "classes": list(self.classes),
            "unknown_rate": float(np.mean([trial.unknown_rate for trial in self.trials])),
            "per_class": self.per_class(),
            "baselines": {name: float(np.mean(values)) for name, values in by_name.items()},
            "baselines_std": {name: float(np.std(values)) for name, values in by_name.items()},
            "test_then_train": {
                "accuracy": float(np.mean([mean(trial.hits) for trial in self.trials])),
                "curve": [round(value, 5) for value in running_accuracy(self.trials[0].hits).tolist()],
            },
            "confidence": self.confidence(),
            "rejecting": self.rejecting(),
            "confusion": {"columns": [*self.classes, None], "counts": self.confusion().tolist()},
            "ms": {stage: percentiles(times) for stage, times in self.times_ms.items()},
            "trials": [
                {"seed": trial.seed, "accuracy": trial.accuracy, "baselines": trial.baselines} for trial in self.trials
            ],
            **self._consolidated(),
            **_asked(self.setting),
            "skipped": [skipped._asdict() for skipped in self.skipped],
            "notes": self.notes,
        }

    def _consolidated(self) -> dict[str, Any]:
        """Accuracy and gain after the dreams; empty without dreams."""
        after = [
            (trial, mean(trial.consolidated == trial.truth)) for trial in self.trials if trial.consolidated is not None
        ]
        if not after:
            return {}
        return {
            "consolidated": {
                "dreams": self.setting.dreams,
                "dreamt": float(np.mean([trial.dreamt for trial, _ in after])),
                "accuracy": float(np.mean([accuracy for _, accuracy in after])),
                "accuracy_std": float(np.std([accuracy for _, accuracy in after])),
                "gain": [accuracy - trial.accuracy for trial, accuracy in after],
            }
        }


def reliability(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the expected calibration error and the bins that it is made of.

    confidence (k,) in 0..1, right (k,). Ten bins of equal width; the error is the mean over all decisions of the gap
    between a bin's mean confidence and its share of right decisions (Naeini, Cooper and Hauskrecht 2015).
    """
    found, error = [], 0.0
    # a confidence of 1 belongs to the last bin
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    for number in range(BINS):
        inside = place == number
        count = int(inside.sum())
        stated = float(confidence[inside].mean()) if count else None
        happened = float(right[inside].mean()) if count else None
        if stated is not None and happened is not None:
            error += abs(stated - happened) * count / len(confidence)
        found.append({"count": count, "confidence": stated, "right": happened})
    return {"expected_calibration_error": error, "bins": found}


def evaluate(
    material: EmbeddedDraws,
    make_network: Callable[[], Network],
    setting: EvaluationSettings,
    *,
    progress: Progress = lambda what, items: items,
) -> Evaluation:
    """Learn and test the draws of `prepare` `setting.repeats` times; repeat r has seed `setting.seed + r`."""
    trials = []
    for repeat in range(setting.repeats):
        learner = TimedNetwork(make_network(), material.rows, material.counts, material.times_ms, material.dreams)
        rows = material.learnt(repeat), material.tested(repeat)
        trials.append(run_trial(learner, *rows, setting, setting.seed + repeat, progress))
    return Evaluation(setting, material.rows.classes, trials, material.times_ms, material.rows.skipped, material.notes)


def evaluate_noisy(
    material: EmbeddedDraws,
    make_network: Callable[[], Network],
    setting: EvaluationSettings,
    shares: Sequence[float],
    *,
    progress: Progress = lambda what, items: items,
) -> dict[str, Any]:
    """Evaluate with all labels right, then with each share of them wrong; as JSON values."""
    found = []
    # 0 first: what wrong labels cost is told against it
    for share in (0.0, *shares):
        noisy = dataclasses.replace(setting, noise=share)
        values = evaluate(material, make_network, noisy, progress=progress).to_dict()
        found.append({key: values[key] for key in ("noise", "accuracy", "accuracy_std", "baselines", "baselines_std")})
    return asked(material, setting) | {"clean": found[0], "noisy": found[1:]}


def measure_complexity(material: EmbeddedDraws, make_network: Callable[[], CoLaNET]) -> dict[str, Any]:
    """Return NeuroBench's metrics (`metrics.complexity`), counted on the first repeat."""
    rows = material.rows
    train = material.learnt(0)
    return complexity(
        make_network,
        rows.values,
        material.counts,
        [rows.classes[label] for label in rows.labels],
        train[presentation_order([rows.names[row] for row in train], 0, 0)],
        material.tested(0),
        rows.zero_point,
    )


def asked(material: EmbeddedDraws, setting: EvaluationSettings) -> dict[str, Any]:
    """Return the settings and the remarks on the data set as JSON values."""
    return {
        "classes": list(material.rows.classes),
        "n_train": len(material.draws[0].train),
        "n_test": len(material.draws[0].test),
        **_asked(setting),
        "skipped": [skipped._asdict() for skipped in material.rows.skipped],
        "notes": material.notes,
    }


def _asked(setting: EvaluationSettings) -> dict[str, Any]:
    return {
        "train_split": setting.choice.train or None,
        "test_split": setting.choice.test,
        "shots": setting.shots,
        "seed": setting.seed,
        "repeats": setting.repeats,
        "passes": setting.passes,
        "limit": setting.limit,
        "noise": setting.noise,
        "baseline_options": {name: dict(options) for name, options in setting.options.items()},
    }
