"""How well CoLaNET learns a data set: test-then-train, then a held-out test, beside conventional classifiers.

A trial shows each training example once a pass in seeded random order. In the first pass every example is predicted
before it is learnt (test-then-train, or progressive validation), a class's column being added when its first example
comes, as on the device. Then the held-out images are decided, nothing being learnt. Rates are fractions, times are
milliseconds. An image decided "unknown" counts as wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import InputError
from edge_app.evaluation.datasets import Dataset, Embedded, Embedder, Item, Skipped, embed
from edge_app.evaluation.splits import Draw, draw
from edge_app.evaluation.trial import (
    UNKNOWN,
    Network,
    Progress,
    RateCoder,
    Rows,
    Setting,
    TimedNetwork,
    Trial,
    mean,
    percentiles,
    run_trial,
    running_accuracy,
    timed,
    warm_up,
)

TIMED_IMAGES = 50
"""With a cache, so many images are encoded all the same, for their times."""


class TimedEmbedder(Embedder, Protocol):
    """An embedder that keeps the time of each stage; `image_encoder.ImageEncoder` is one."""

    times_ms: dict[str, list[float]]
    """Per stage, `encode` among them: milliseconds of each image."""

    @property
    def zero_point(self) -> int:
        """Embedding value that stands for 0."""


@dataclass
class Evaluation:
    """All trials of a data set, and what to know about how they came about."""

    setting: Setting
    classes: tuple[str, ...]
    trials: list[Trial]
    times_ms: dict[str, list[float]]
    skipped: tuple[Skipped, ...] = ()
    notes: list[str] = field(default_factory=list)
    """Peculiarities of the data set that a reader should know of."""

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
            "confusion": {"columns": [*self.classes, None], "counts": self.confusion().tolist()},
            "ms": {stage: percentiles(times) for stage, times in self.times_ms.items()},
            "trials": [
                {"seed": trial.seed, "accuracy": trial.accuracy, "baselines": trial.baselines} for trial in self.trials
            ],
            "train_split": self.setting.choice.train or None,
            "test_split": self.setting.choice.test,
            "shots": self.setting.shots,
            "seed": self.setting.seed,
            "repeats": self.setting.repeats,
            "passes": self.setting.passes,
            "limit": self.setting.limit,
            "skipped": [skipped._asdict() for skipped in self.skipped],
            "notes": self.notes,
        }


def evaluate(
    dataset: Dataset,
    encoder: TimedEmbedder,
    rate_code: RateCoder,
    make_network: Callable[[], Network],
    setting: Setting,
    *,
    cache: str | None = None,
    progress: Progress = lambda what, items: items,
) -> Evaluation:
    """Embed what the setting needs of a data set, then learn and test it `setting.repeats` times.

    Repeat r uses seed `setting.seed + r` for the draw and the order. `progress(what, items)` wraps the long lists.
    Raises InputError when nothing is left to learn or to test.
    """
    draws, rows = _embed_draws(dataset, encoder, setting, cache, progress)
    first = draws[0]
    if not first.train or not first.test:
        what = "to learn" if not first.train else "to test"
        raise InputError(
            f"data set {dataset.path}: no image left {what} ({len(first.train)} to learn, {len(first.test)} to test, "
            f"{len(rows.skipped)} corrupt); a test needs two images of some class"
        )
    _time_encoder(dataset, encoder, rows)
    stages = ("rate_code", "decide", "learn")
    times: dict[str, list[float]] = {stage: [] for stage in stages}
    warm_up(rate_code, make_network(), rows.values[0])
    counts = np.stack([timed(times["rate_code"], rate_code, row) for row in rows.values])
    trials = []
    for repeat, one in enumerate(draws):
        learner = TimedNetwork(make_network(), rows, counts, times)
        trials.append(run_trial(learner, one, setting, setting.seed + repeat, progress))
    return Evaluation(
        setting,
        rows.classes,
        trials,
        dict(encoder.times_ms) | times,
        rows.skipped,
        _notes(dataset, rows, first, setting),
    )


def _embed_draws(
    dataset: Dataset, encoder: TimedEmbedder, setting: Setting, cache: str | None, progress: Progress
) -> tuple[list[Draw], Rows]:
    """Draw and embed until every draw holds sound images only; only images of some draw are opened."""
    index = {item: i for i, item in enumerate(dataset.items)}
    parts: list[Embedded] = []
    row_of: dict[int, int] = {}
    corrupt: set[int] = set()
    while True:
        draws = [
            draw(
                dataset.items,
                setting.choice,
                seed=setting.seed + repeat,
                shots=setting.shots,
                limit=setting.limit,
                excluded=frozenset(corrupt),
            )
            for repeat in range(setting.repeats)
        ]
        wanted = sorted({i for one in draws for i in (*one.train, *one.test)} - row_of.keys())
        if not wanted:
            break
        part = embed(
            dataset,
            encoder,
            items=[dataset.items[i] for i in wanted],
            cache=cache,
            progress=lambda items: progress("encoding", items),
        )
        for item in part.items:
            row_of[index[item]] = len(row_of)
        corrupt |= set(wanted) - row_of.keys()
        parts.append(part)
    items: tuple[Item, ...] = tuple(item for part in parts for item in part.items)
    values = [part.values for part in parts if len(part.values)]
    return draws, Rows(
        row_of,
        np.concatenate(values) if values else np.zeros((0, 0), np.uint8),
        np.concatenate([part.labels for part in parts]) if parts else np.zeros(0, np.intp),
        tuple(item.name for item in items),
        dataset.classes,
        encoder.zero_point,
        tuple(skipped for part in parts for skipped in part.skipped),
    )


def _time_encoder(dataset: Dataset, encoder: TimedEmbedder, rows: Rows) -> None:
    missing = min(TIMED_IMAGES, len(rows.row_of)) - len(encoder.times_ms["encode"])
    for index in list(rows.row_of)[: max(missing, 0)]:
        encoder.embed(dataset.read(dataset.items[index]))


def _notes(dataset: Dataset, rows: Rows, one: Draw, setting: Setting) -> list[str]:
    """Say what in the data set a reader of the figures should know."""
    items = dataset.items
    taught = {items[i].label for i in one.train}
    tested = {items[i].label for i in one.test}
    notes = []
    for what, labels in (
        ("class folders without an image", dataset.empty_classes),
        ("classes tested but never learnt (always wrong)", sorted(tested - taught)),
        ("classes learnt but not tested", sorted(taught - tested)),
    ):
        if labels:
            notes.append(f"{what}: {', '.join(labels)}")
    if setting.shots is not None:
        counts = {label: sum(items[i].label == label for i in one.train) for label in sorted(taught)}
        short = [f"{label} ({count})" for label, count in counts.items() if count < setting.shots]
        if short:
            notes.append(f"classes with fewer than {setting.shots} images to learn: {', '.join(short)}")
    if dataset.ignored:
        count = "1 file" if len(dataset.ignored) == 1 else f"{len(dataset.ignored)} files"
        names = ", ".join(dataset.ignored[:3]) + (", ..." if len(dataset.ignored) > 3 else "")
        notes.append(f"{count} left out (no image by its name, or outside the class folders): {names}")
    return notes
