"""One trial: examples learnt in a seeded order, each predicted before it is learnt, then a held-out test."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import InputError
from edge_app.evaluation import baselines
from edge_app.evaluation.datasets import Skipped
from edge_app.evaluation.splits import Draw, SplitChoice, presentation_order
from edge_app.messages import Decision

UNKNOWN = -1

Progress = Callable[[str, Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Setting:
    """What to evaluate and how often."""

    choice: SplitChoice
    seed: int = 0
    shots: int | None = None
    repeats: int = 1
    passes: int = 1
    limit: int | None = None
    baselines: tuple[str, ...] | None = None
    """Names of the baselines to compute; None: all that are available."""

    def __post_init__(self) -> None:
        for name in ("shots", "repeats", "passes", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} = {value}: expected at least 1")
        unknown = sorted(set(self.baselines or ()) - set(baselines.available()))
        if unknown:
            known = ", ".join(baselines.available())
            raise InputError(f"baseline {unknown[0]}: not known, or its library is not installed; there are: {known}")


class Network(Protocol):
    """What a trial asks of a classifier; `colanet.network.CoLaNET` is one."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    def add_class(self, label: str) -> None: ...
    def learn_one(self, counts: NDArray[np.uint8], label: str) -> None: ...
    def predict_one(self, counts: NDArray[np.uint8]) -> Decision: ...


class RateCoder(Protocol):
    """What a trial asks of a rate code; `encoder.ratecode.RateCode` is one."""

    def __call__(self, embedding: NDArray[np.uint8], /) -> NDArray[np.uint8]: ...


class Rows(NamedTuple):
    """Embeddings by item index of the data set."""

    row_of: dict[int, int]
    values: NDArray[np.uint8]
    labels: NDArray[np.intp]
    names: tuple[str, ...]
    classes: tuple[str, ...]
    zero_point: int
    """Embedding value that stands for 0."""
    skipped: tuple[Skipped, ...]


class Trial(NamedTuple):
    """One draw of training and test examples, learnt and tested."""

    seed: int
    n_train: int
    truth: NDArray[np.intp]
    """(k,): class index of each tested image."""
    decided: NDArray[np.intp]
    """(k,): class index decided, `UNKNOWN` where no column spiked."""
    hits: NDArray[np.bool_]
    """(n_train,): test-then-train, whether each example was known before it was learnt."""
    baselines: dict[str, float]
    """Accuracy by name."""

    @property
    def accuracy(self) -> float:
        return mean(self.decided == self.truth)

    @property
    def unknown_rate(self) -> float:
        return mean(self.decided == UNKNOWN)


def warm_up(rate_code: RateCoder, network: Network, values: NDArray[np.uint8]) -> None:
    """Have everything compiled before it is timed."""
    counts = rate_code(values)
    network.add_class("warm-up")
    network.learn_one(counts, "warm-up")
    network.predict_one(counts)


@dataclass
class TimedNetwork:
    """A network that is shown rows of a data set, with the time of each step."""

    network: Network
    rows: Rows
    counts: NDArray[np.uint8]
    times: dict[str, list[float]]

    def decide(self, row: int) -> int:
        decision: Decision = timed(self.times["decide"], self.network.predict_one, self.counts[row])
        return UNKNOWN if decision.label is None else self.rows.classes.index(decision.label)

    def learn(self, row: int) -> None:
        label = self.rows.classes[self.rows.labels[row]]
        if label not in self.network.labels:
            self.network.add_class(label)
        timed(self.times["learn"], self.network.learn_one, self.counts[row], label)


def run_trial(learner: TimedNetwork, one: Draw, setting: Setting, seed: int, progress: Progress) -> Trial:
    rows = learner.rows
    train = np.array([rows.row_of[i] for i in one.train])
    names = [rows.names[row] for row in train]
    hits = np.zeros(len(train), bool)
    orders = [presentation_order(names, seed, number) for number in range(setting.passes)]
    for number, order in enumerate(orders):
        for step, row in enumerate(progress(f"pass {number + 1}", train[order].tolist())):
            if number == 0:
                hits[step] = bool(learner.network.labels) and learner.decide(row) == rows.labels[row]
            learner.learn(row)
    test = np.array([rows.row_of[i] for i in one.test])
    decided = np.array([learner.decide(row) for row in progress("testing", test.tolist())], np.intp)
    found = _run_baselines(rows, train[orders[0]], test, setting)
    return Trial(seed, len(train), rows.labels[test], decided, hits, found)


def _run_baselines(rows: Rows, train: NDArray[np.intp], test: NDArray[np.intp], setting: Setting) -> dict[str, float]:
    taught = baselines.unit_rows(rows.values[train], rows.zero_point)
    tested = baselines.unit_rows(rows.values[test], rows.zero_point)
    found = {}
    for name, classify in baselines.available().items():
        if setting.baselines is not None and name not in setting.baselines:
            continue
        options = {"k": 1} if name == "knn3" and setting.shots is not None and setting.shots < 3 else {}
        decided = classify(taught, rows.labels[train], tested, len(rows.classes), **options)
        found[name] = mean(decided == rows.labels[test])
    return found


def percentiles(times: Sequence[float] | NDArray[np.float64]) -> dict[str, float | None]:
    """Return the median and the 95th percentile as {"p50", "p95"}; None where nothing was timed."""
    if not len(times):
        return {"p50": None, "p95": None}
    return {"p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95))}


def running_accuracy(hits: NDArray[np.bool_], points: int = 200) -> NDArray[np.float64]:
    """Return the accuracy up to each of at most `points` evenly spread steps of a test-then-train run."""
    curve: NDArray[np.float64] = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    steps = np.unique(np.linspace(0, len(hits) - 1, min(points, len(hits))).astype(int))
    points_of_curve: NDArray[np.float64] = curve[steps]
    return points_of_curve


def mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else 0.0


def timed(times: list[float], action: Callable[..., Any], *arguments: Any) -> Any:
    start = perf_counter_ns()
    result = action(*arguments)
    times.append((perf_counter_ns() - start) / 1e6)
    return result
