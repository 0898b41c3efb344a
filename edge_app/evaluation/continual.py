"""Continual learning: classes arrive one after another (class-incremental); how much of the old ones is kept?

All examples of a task's classes are learnt, then the next task's; after each task all classes seen so far are tested
among one another. With a_kj the accuracy on the test images of task j after task k of K:

    forgetting         mean over j < K of (max_{l<K} a_lj - a_Kj)                (Chaudhry et al. 2018)
    backward transfer  mean over j < K of (a_Kj - a_jj)                          (Lopez-Paz and Ranzato 2017)

With more classes an old task gets harder, without anything being forgotten. The share of this effect is the forgetting
of a network that learns the same classes jointly, in random order, from scratch after each task; it is reported too.
`within_task` decides among the classes of one task only, so that other classes cannot interfere.

Two regimes with columns (arXiv 2506.17169): in the stable one a neuron's plasticity falls the more it has learnt, so
that old knowledge stays; in the plastic one it does not fall (or no further), so that new examples count more:

    rule          stable                        plastic
    Decorrelated  stability_max as set (4096)   stability_max = 16: 1/(1+n) stops falling after 16 examples
    Published     stability_rate as published   stability_rate = 0: 2^-s stays 1
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet.params import Decorrelated, Params
from edge_app.errors import InputError
from edge_app.evaluation.embedded_draws import EmbeddedDraws
from edge_app.evaluation.splits import presentation_order
from edge_app.evaluation.trial import EvaluationSettings, Progress, Rows, TimedNetwork, mean, run_baselines
from edge_app.learner.replay import Network

ONE_PASS = ("nearest_class_mean", "streaming_lda", "online_softmax")
"""Baselines that learn a stream, so that classes can be shown one after another."""
JOINT_TASKS = 10
"""Joint networks are taught for at most this many tasks, since they cost half as many runs as there are tasks."""
PLASTIC_STABILITY_MAX = 16
REGIMES = ("stable", "plastic")
_CLASS_ORDER, _KEPT, _REPLAYED = 3000, 3002, 4000
"""Numbers that keep these seeded orders apart from one another."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class ContinualPlan:
    """Classes per task, and examples kept for rehearsal after each task (0: none)."""

    classes_per_task: int = 1
    rehearse: int = 0

    def __post_init__(self) -> None:
        if self.classes_per_task < 1:
            raise InputError(f"--classes-per-task {self.classes_per_task}: expected at least 1")
        if self.rehearse < 0:
            raise InputError(f"--rehearse {self.rehearse}: expected a number of examples, at least 0")


def in_regime(params: Params, regime: str) -> Params:
    """Return the parameters in a regime, one of REGIMES; "stable" leaves them as they are."""
    if regime == "stable":
        return params
    rule = params.plasticity
    if isinstance(rule, Decorrelated):
        return dataclasses.replace(
            params,
            plasticity=dataclasses.replace(rule, stability_max=min(rule.stability_max, PLASTIC_STABILITY_MAX)),
        )
    return dataclasses.replace(params, plasticity=dataclasses.replace(rule, stability_rate=0.0))


def forgetting(matrix: Matrix) -> float:
    """Return Chaudhry's forgetting of a (K, K) matrix a_kj, nan above the diagonal; 0 for a single task."""
    if len(matrix) < 2:
        return 0.0
    # without the last row: the definition's maximum is over l < K
    best = np.nanmax(matrix[:-1, :-1], axis=0)
    return float(np.mean(best - matrix[-1, :-1]))


def backward_transfer(matrix: Matrix) -> float:
    """Return Lopez-Paz's backward transfer of a (K, K) matrix a_kj; 0 for a single task."""
    return float(np.mean(matrix[-1, :-1] - np.diag(matrix)[:-1])) if len(matrix) > 1 else 0.0


def split_tasks(classes: Sequence[int], names: Sequence[str], seed: int, per_task: int) -> list[list[int]]:
    """Return class indices in tasks of `per_task`, in seeded order; the last may be smaller."""
    order = [classes[i] for i in presentation_order([names[label] for label in classes], seed, _CLASS_ORDER)]
    return [order[start : start + per_task] for start in range(0, len(order), per_task)]


class Rehearsal:
    """At most `size` rows, in equal parts of each class; the seed determines which."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed
        self._kept: dict[int, list[int]] = defaultdict(list)

    def keep(self, examples: Iterable[int], rows: Rows) -> None:
        """Add rows; older classes give up places to new ones."""
        for row in examples:
            self._kept[int(rows.labels[row])].append(int(row))
        for rank, label in enumerate(sorted(self._kept)):
            places = self.size // len(self._kept) + (rank < self.size % len(self._kept))
            kept = self._kept[label]
            # one seeded order for all tasks, so that a class that gives up places keeps some of the same examples
            order = presentation_order([rows.names[row] for row in kept], self.seed, _KEPT)
            self._kept[label] = [kept[i] for i in order[:places]]

    def replay(self, rows: Rows, number: int) -> NDArray[np.intp]:
        """Return the kept rows, shuffled; `number` distinguishes the orders of several replays."""
        kept = [row for label in sorted(self._kept) for row in self._kept[label]]
        order = presentation_order([rows.names[row] for row in kept], self.seed, _REPLAYED + number)
        return np.array([kept[i] for i in order], np.intp)


class TaskStream:
    """One repeat as a sequence of tasks."""

    def __init__(self, material: EmbeddedDraws, make_network: Callable[[], Network], repeat: int, seed: int) -> None:
        self.material, self.make_network, self.seed = material, make_network, seed
        self.rows = material.rows
        train, test = material.learnt(repeat), material.tested(repeat)
        names = [self.rows.names[row] for row in train]
        self.train = train[presentation_order(names, seed, 0)]
        self.test = test[np.isin(self.rows.labels[test], self.rows.labels[train])]
        """Without the classes that are never learnt, which belong to no task."""

    def tasks(self, per_task: int) -> list[list[int]]:
        """Class indices, task by task."""
        return split_tasks(np.unique(self.rows.labels[self.train]).tolist(), self.rows.classes, self.seed, per_task)

    def examples(self, classes: Sequence[int]) -> NDArray[np.intp]:
        """Rows to learn of some classes, in the seeded order of presentation."""
        found: NDArray[np.intp] = self.train[np.isin(self.rows.labels[self.train], classes)]
        return found

    def network(self) -> TimedNetwork:
        """A new network."""
        return TimedNetwork(self.make_network(), self.rows, self.material.counts, self.material.times_ms)

    def teach(self, learner: TimedNetwork, rows: Iterable[int]) -> None:
        """Show rows, each under its own label."""
        for row in rows:
            learner.learn(int(row), int(self.rows.labels[row]))

    def score(self, learner: TimedNetwork, tasks: Sequence[Sequence[int]], width: int) -> tuple[Matrix, Matrix, float]:
        """Test the tasks' classes: (width,) accuracy of each, the same within tasks, and over all images."""
        whole, within = np.full(width, np.nan), np.full(width, np.nan)
        hits: list[bool] = []
        for number, task in enumerate(tasks):
            # with few shots a class of the task may have no example, and no column then
            own = [name for label in task if (name := self.rows.classes[label]) in learner.network.labels]
            right, right_within = [], []
            for row in self.test[np.isin(self.rows.labels[self.test], task)]:
                decision, truth = learner.decide(int(row)), self.rows.classes[self.rows.labels[row]]
                places = [decision.labels.index(name) for name in own]
                right.append(decision.label == truth)
                right_within.append(own[int(decision.excitation[places].argmax())] == truth)
            if right:
                whole[number], within[number] = np.mean(right), np.mean(right_within)
            hits += right
        return whole, within, mean(np.array(hits, bool))


def run_continual(
    material: EmbeddedDraws,
    make_network: Callable[[], Network],
    setting: EvaluationSettings,
    plan: ContinualPlan,
    *,
    progress: Progress = lambda what, items: items,
) -> dict[str, Any]:
    """Teach class after class, and all classes mixed; mean over the repeats, as JSON values (docs/evaluate.md)."""
    found = [
        _one_repeat(TaskStream(material, make_network, repeat, setting.seed + repeat), setting, plan, progress)
        for repeat in range(setting.repeats)
    ]
    return average(found)


def average(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean of equally built dictionaries of numbers, of dictionaries and of lists of numbers."""
    result: dict[str, Any] = {}
    for key, first in found[0].items():
        values = [one[key] for one in found]
        if isinstance(first, dict):
            result[key] = average(values)
        elif first is None or any(value is None for value in values):
            result[key] = None
        else:
            result[key] = np.mean(np.array(values, float), axis=0).tolist()
    return result


def _one_repeat(
    stream: TaskStream, setting: EvaluationSettings, plan: ContinualPlan, progress: Progress
) -> dict[str, Any]:
    tasks = stream.tasks(plan.classes_per_task)
    plain = _incremental(stream, tasks, 0, progress)
    mixed = stream.network()
    stream.teach(mixed, progress("random order", stream.train.tolist()))
    final = stream.score(mixed, tasks, len(tasks))[2]
    result = plain | {"tasks": len(tasks), "random_order": final, "behind_random_order": final - plain["final"]}
    result["joint"] = _joint(stream, tasks, progress) if 1 < len(tasks) <= JOINT_TASKS else None
    result["rehearsed"] = _incremental(stream, tasks, plan.rehearse, progress) if plan.rehearse else None
    result["baselines"] = _baselines(stream, tasks, setting)
    return result


def _incremental(stream: TaskStream, tasks: list[list[int]], rehearse: int, progress: Progress) -> dict[str, Any]:
    learner = stream.network()
    memory = Rehearsal(rehearse, stream.seed)
    matrix, within = np.full((2, len(tasks), len(tasks)), np.nan)
    steps = []
    for number, task in enumerate(progress("rehearsed tasks" if rehearse else "tasks", tasks)):
        examples = stream.examples(task)
        stream.teach(learner, examples.tolist())
        if rehearse:
            memory.keep(examples, stream.rows)
            stream.teach(learner, memory.replay(stream.rows, number))
        matrix[number], within[number], overall = stream.score(learner, tasks[: number + 1], len(tasks))
        steps.append(overall)
    # a task without test images has no accuracy
    tested = ~np.isnan(np.diag(matrix))
    return {
        "steps": steps,
        "final": steps[-1],
        "forgetting": forgetting(matrix[tested][:, tested]),
        "backward_transfer": backward_transfer(matrix[tested][:, tested]),
        "forgetting_within_task": forgetting(within[tested][:, tested]),
        "final_by_task": np.nan_to_num(matrix[-1]).tolist(),
    }


def _joint(stream: TaskStream, tasks: list[list[int]], progress: Progress) -> dict[str, Any]:
    """The figures of networks taught from scratch after each task, with all classes seen so far mixed."""
    matrix = np.full((len(tasks), len(tasks)), np.nan)
    steps = []
    for number in progress("joint", range(len(tasks))):
        learner = stream.network()
        stream.teach(learner, stream.examples([label for task in tasks[: number + 1] for label in task]))
        matrix[number], _, overall = stream.score(learner, tasks[: number + 1], len(tasks))
        steps.append(overall)
    tested = ~np.isnan(np.diag(matrix))
    return {"steps": steps, "forgetting": forgetting(matrix[tested][:, tested])}


def _baselines(stream: TaskStream, tasks: list[list[int]], setting: EvaluationSettings) -> dict[str, Any]:
    """Final accuracy of the one-pass learners, shown the same stream: task by task, and mixed."""
    wanted = tuple(name for name in ONE_PASS if setting.baselines is None or name in setting.baselines)
    only = EvaluationSettings(setting.choice, baselines=wanted, options=setting.options, shots=setting.shots)
    labels = stream.rows.labels
    in_tasks = np.concatenate([stream.examples(task) for task in tasks])
    final = run_baselines(stream.rows, in_tasks, labels[in_tasks], stream.test, only)
    mixed = run_baselines(stream.rows, stream.train, labels[stream.train], stream.test, only)
    return {name: {"final": final[name], "random_order": mixed[name]} for name in wanted}
