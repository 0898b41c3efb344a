"""Open set: half of the classes are taught, all are shown; are the others recognised as unknown?

An object is accepted as known if its score is high enough. Scores, from a decision alone:

    novelty      minus `Decision.novelty`, which the device rejects by (docs/colanet.md)
    familiarity  excitation of the winning column + its lead over the runner-up (chosen on validation data)
    excitation   of the winning column
    lead         over the runner-up
    spikes       of the winning OUT neuron

and beside them, of the embeddings, the greatest `cosine` to the mean of a taught class, and `novelty_baselines`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import InputError
from edge_app.evaluation import baselines
from edge_app.evaluation.continual import TaskStream, average
from edge_app.evaluation.embedded_draws import EmbeddedDraws
from edge_app.evaluation.novelty_baselines import familiarities
from edge_app.evaluation.splits import presentation_order
from edge_app.evaluation.trial import EvaluationSettings, Progress
from edge_app.learner.replay import Network
from edge_app.messages import Decision

TRUE_ACCEPT = 0.95
CURVE_POINTS = 101
TAUGHT = 3004

Scores = NDArray[np.float64]


def auroc(known: Scores, unknown: Scores) -> float:
    """Area under the ROC curve: chance that a known object scores higher than an unknown one; a tie counts half."""
    ordered = np.sort(unknown)
    below = np.searchsorted(ordered, known, side="left")
    tied = np.searchsorted(ordered, known, side="right") - below
    return float((below + tied / 2).mean() / len(unknown))


def false_accept(known: Scores, unknown: Scores, accepted: float = TRUE_ACCEPT) -> float:
    """Share of unknown objects accepted at the highest threshold that accepts this share of the known ones."""
    # rounded up: at least the wanted share is accepted
    keep = max(int(np.ceil(accepted * len(known))), 1)
    threshold = np.sort(known)[len(known) - keep]
    return float((unknown >= threshold).mean())


def roc(known: Scores, unknown: Scores) -> dict[str, list[float]]:
    """Return the false-accept share at evenly spread true-accept shares."""
    shares = np.linspace(0, 1, CURVE_POINTS)
    return {"true_accept": shares.tolist(), "false_accept": [false_accept(known, unknown, s) for s in shares]}


def run_openset(
    material: EmbeddedDraws,
    make_network: Callable[[], Network],
    setting: EvaluationSettings,
    *,
    progress: Progress = lambda what, items: items,
) -> dict[str, Any]:
    """Teach half of the classes, show all; mean over the repeats, each with another half. As JSON values.

    Raises InputError when there are fewer than four classes: with a single taught class there is no lead.
    """
    found = [
        _one_repeat(TaskStream(material, make_network, repeat, setting.seed + repeat), setting.options, progress)
        for repeat in range(setting.repeats)
    ]
    return average(found)


def _one_repeat(stream: TaskStream, options: Mapping[str, Mapping[str, float]], progress: Progress) -> dict[str, Any]:
    rows = stream.rows
    there = np.unique(rows.labels[stream.train]).tolist()
    if len(there) < 4:
        raise InputError(f"open set: {len(there)} classes, expected at least 4: half of them are taught")
    order = presentation_order([rows.classes[label] for label in there], stream.seed, TAUGHT)
    taught = [there[i] for i in order[: len(there) // 2]]
    learner = stream.network()
    examples = stream.examples(taught)
    stream.teach(learner, progress("half of the classes", examples.tolist()))
    decisions = [learner.decide(int(row)) for row in progress("testing", stream.test.tolist())]
    known = np.isin(rows.labels[stream.test], taught)
    # neither rate exists then
    if known.all() or not known.any():
        raise InputError("open set: no test image of a class that was taught, or of one that was not")
    scores = _scores(decisions) | _conventional(stream, examples, options)
    silent = np.array([decision.label is None for decision in decisions])
    right = [d.label == rows.classes[rows.labels[row]] for d, row in zip(decisions, stream.test, strict=True)]
    return {
        "taught": len(taught),
        "shown": len(there) - len(taught),
        "accuracy_of_taught": float(np.array(right)[known].mean()),
        "no_spike": {"known": float(silent[known].mean()), "unknown": float(silent[~known].mean())},
        "scores": {name: _judge(values[known], values[~known]) for name, values in scores.items()},
    }


def _judge(known: Scores, unknown: Scores) -> dict[str, Any]:
    return {
        "auroc": auroc(known, unknown),
        "false_accept": false_accept(known, unknown),
        "roc": roc(known, unknown)["false_accept"],
    }


def _scores(decisions: list[Decision]) -> dict[str, Scores]:
    ordered = [np.sort(decision.excitation)[::-1] for decision in decisions]  # also of those that are "unknown"
    excitation = np.array([values[0] for values in ordered], float)
    lead = np.array([values[0] - max(int(values[1]), 0) if len(values) > 1 else values[0] for values in ordered], float)
    return {
        "novelty": np.array([-decision.novelty for decision in decisions], float),
        "familiarity": excitation + lead,
        "excitation": excitation,
        "lead": lead,
        "spikes": np.array([decision.spikes.max() for decision in decisions], float),
    }


def _conventional(
    stream: TaskStream, examples: NDArray[np.intp], options: Mapping[str, Mapping[str, float]]
) -> dict[str, Scores]:
    rows = stream.rows
    train = baselines.unit_rows(rows.values[examples], rows.zero_point)
    test = baselines.unit_rows(rows.values[stream.test], rows.zero_point)
    cosines = baselines.class_mean_cosines(train, rows.labels[examples], test, len(rows.classes)).max(axis=1)
    return {"cosine": cosines.astype(float), **familiarities(train, rows.labels[examples], test, options)}
