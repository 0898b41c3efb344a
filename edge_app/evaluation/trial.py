"""One trial: examples learnt in a seeded order, each predicted before it is learnt, then a held-out test."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app import rejection
from edge_app.confidence import Outcome, calibrate, outcome
from edge_app.config import MOST_DREAMS, ConsolidationConfig
from edge_app.datasets.listing import LeftOut
from edge_app.errors import InputError
from edge_app.evaluation import baselines
from edge_app.evaluation.splits import SplitChoice, presentation_order
from edge_app.learner.consolidation import ReplayChoice, schedule_new
from edge_app.learner.replay import Network, RateCoder, Varying
from edge_app.messages import Decision

UNKNOWN = -1

_WHICH, _TO_WHAT = 2000, 2001
"""Numbers that keep the seeded orders of wrong labels apart from those of the passes."""

Progress = Callable[[str, Sequence[Any]], Iterable[Any]]
"""Wraps a list of work with a title, as tqdm does."""
Dreams = Mapping[tuple[int, int], NDArray[np.uint8]]
"""(row, number of the dream) -> spike counts (n_inputs,)."""


@dataclass(frozen=True)
class EvaluationSettings:
    """Options of an evaluation."""

    choice: SplitChoice
    seed: int = 0
    shots: int | None = None
    repeats: int = 1
    passes: int = 1
    limit: int | None = None
    baselines: tuple[str, ...] | None = None
    """Names of the baselines to compute; None: all available ones."""
    options: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Settings of baselines by name; others keep their defaults."""
    noise: float = 0.0
    """Share of the examples that are taught with a wrong label."""
    dreams: int = 0
    """Dreams of an example that are learnt after the last pass; then it is tested once more."""

    def __post_init__(self) -> None:
        for name in ("shots", "repeats", "passes", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} = {value}: expected at least 1")
        if not 0 <= self.noise <= 1:
            raise InputError(f"noise = {self.noise}: expected a share from 0 to 1")
        if not 0 <= self.dreams <= MOST_DREAMS:
            raise InputError(f"dreams = {self.dreams}: expected 0 to {MOST_DREAMS} of each example")
        unknown = sorted(set(self.baselines or ()) - set(baselines.available()))
        if unknown:
            known = ", ".join(baselines.available())
            raise InputError(f"baseline {unknown[0]}: not known, or its library is not installed; there are: {known}")


class Rows(NamedTuple):
    """Embeddings by item index of the data set."""

    row_of: dict[int, int]
    values: NDArray[np.uint8]
    labels: NDArray[np.intp]
    names: tuple[str, ...]
    classes: tuple[str, ...]
    zero_point: int
    """Embedding value that stands for 0."""
    skipped: tuple[LeftOut, ...]


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
    confidence: NDArray[np.float64]
    """(k,): of each decision, calibrated on the outcomes of test-then-train."""
    rejected: NDArray[np.bool_]
    """(k,): whether the device calls it "unknown" at the default strictness, by the same outcomes."""
    baselines: dict[str, float]
    """Accuracy by name."""
    dreamt: int = 0
    """Dreams and rehearsals learnt after that."""
    consolidated: NDArray[np.intp] | None = None
    """(k,): class index decided after they were learnt; None where there were to be none."""

    @property
    def accuracy(self) -> float:
        return mean(self.decided == self.truth)

    @property
    def unknown_rate(self) -> float:
        return mean(self.decided == UNKNOWN)


def warm_up(rate_code: RateCoder, network: Network, values: NDArray[np.uint8]) -> None:
    """Compile everything before the timing."""
    # numba compiles at the first call of each kernel
    counts = rate_code(values)
    network.add_class("warm-up")
    network.learn_one(counts, "warm-up")
    network.predict_one(counts)


@dataclass
class TimedNetwork:
    """A network that is shown rows of a data set; keeps the time of each step."""

    network: Network
    rows: Rows
    counts: NDArray[np.uint8]
    times: dict[str, list[float]]
    dreams: Dreams = field(default_factory=dict)

    def decide(self, row: int) -> Decision:
        decision: Decision = timed(self.times["decide"], self.network.predict_one, self.counts[row])
        return decision

    def index(self, decision: Decision) -> int:
        """Class index of a decision, `UNKNOWN` where no column spiked."""
        return UNKNOWN if decision.label is None else self.rows.classes.index(decision.label)

    def learn(self, row: int, label: int) -> None:
        """Teach a row as an example of class index `label`."""
        # with its first example, as on a device
        name = self.rows.classes[label]
        if name not in self.network.labels:
            self.network.add_class(name)
        timed(self.times["learn"], self.network.learn_one, self.counts[row], name)

    def dream(self, row: int, step: ReplayChoice, label: int) -> None:
        """Learn a dream or a rehearsal of a row that was taught as class index `label`."""
        if not isinstance(self.network, Varying):
            return
        if step.altered:
            self.network.learn_variation(self.dreams[row, step.number], self.rows.classes[label])
        else:
            self.network.rehearse_one(self.counts[row], self.rows.classes[label])


def run_trial(
    learner: TimedNetwork,
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    setting: EvaluationSettings,
    seed: int,
    progress: Progress,
) -> Trial:
    """Learn the rows `train` in seeded order, then test the rows `test`, and the baselines on the same."""
    rows = learner.rows
    names = [rows.names[row] for row in train]
    labels = with_wrong_labels(rows.labels[train], names, setting.noise, seed)
    orders = [presentation_order(names, seed, number) for number in range(setting.passes)]
    hits, outcomes = _first_pass(learner, train[orders[0]], labels[orders[0]], progress)
    for number, order in enumerate(orders[1:], start=2):
        for step in progress(f"pass {number}", order):
            learner.learn(int(train[step]), int(labels[step]))
    # after all learning and without any: test images must not teach
    decisions = [learner.decide(row) for row in progress("testing", test.tolist())]
    calibration = calibrate(outcomes)
    first = Trial(
        seed,
        len(train),
        rows.labels[test],
        np.array([learner.index(decision) for decision in decisions], np.intp),
        hits,
        np.array([calibration.probability(decision) for decision in decisions]),
        np.array([decision.novelty for decision in decisions]) > limit_of(outcomes),
        run_baselines(rows, train[orders[0]], labels[orders[0]], test, setting),
    )
    if not setting.dreams:
        return first
    taught = train[orders[0]]
    made = schedule_new(
        [rows.classes[label] for label in labels[orders[0]]], ConsolidationConfig(dreams=setting.dreams)
    )
    for step in progress("dreaming", made):
        learner.dream(int(taught[step.example]), step, int(labels[orders[0]][step.example]))
    again = [learner.index(learner.decide(row)) for row in progress("testing", test.tolist())]
    return first._replace(dreamt=len(made), consolidated=np.array(again, np.intp))


def limit_of(outcomes: Sequence[Outcome]) -> int:
    """Return the greatest novelty that has a label, after these outcomes, at the default strictness."""
    spread = rejection.spread_of([rejection.Seen(one.evidence.novelty, one.right) for one in outcomes])
    limit = spread.limit(rejection.DEFAULT)
    assert limit is not None  # the default is above 0
    return limit


def _first_pass(
    learner: TimedNetwork, train: NDArray[np.intp], labels: NDArray[np.intp], progress: Progress
) -> tuple[NDArray[np.bool_], list[Outcome]]:
    """Decide on each example before it is learnt."""
    hits = np.zeros(len(train), bool)
    outcomes = []
    for step, row in enumerate(progress("pass 1", train.tolist())):
        if learner.network.labels:
            before = learner.decide(row)
            hits[step] = learner.index(before) == labels[step]
            if found := outcome(before, learner.rows.classes[labels[step]]):
                outcomes.append(found)
        learner.learn(row, int(labels[step]))
    return hits, outcomes


def with_wrong_labels(labels: NDArray[np.intp], names: Sequence[str], share: float, seed: int) -> NDArray[np.intp]:
    """Return labels (m,), round(share * m) of them changed to another class that occurs, each equally likely.

    names (m,) are the examples' names; with the seed they determine the result. A single class is left as it is.
    """
    there = np.unique(labels)
    wrong = labels.copy()
    if len(there) < 2:
        return wrong
    chosen = presentation_order(names, seed, _WHICH)[: round(share * len(labels))]
    # a second order, so that which examples are wrong and what they become are independent
    place = {row: rank for rank, row in enumerate(presentation_order(names, seed, _TO_WHAT))}
    for row in chosen:
        own = int(np.searchsorted(there, labels[row]))
        wrong[row] = there[(own + 1 + place[row] % (len(there) - 1)) % len(there)]
    return wrong


def run_baselines(
    rows: Rows, train: NDArray[np.intp], labels: NDArray[np.intp], test: NDArray[np.intp], setting: EvaluationSettings
) -> dict[str, float]:
    """Return the accuracy of each baseline that the setting asks for; it sees `train` as `labels`, in this order."""
    taught = baselines.unit_rows(rows.values[train], rows.zero_point)
    tested = baselines.unit_rows(rows.values[test], rows.zero_point)
    found = {}
    for name, classify in baselines.available().items():
        if setting.baselines is not None and name not in setting.baselines:
            continue
        options: dict[str, Any] = dict(setting.options.get(name, {}))
        # with fewer than three examples of a class, its vote could not win
        if name == "knn3" and setting.shots is not None and setting.shots < 3:
            options["k"] = 1
        decided = classify(taught, labels, tested, len(rows.classes), **options)
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
    # a plot shows no more points, and the JSON stays small
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
