"""Strangers: a few classes are taught, and pictures of quite other things are shown; how many of them get a name?

What a camera mostly meets is nothing like what it was taught. The false-accept share is that of the strangers that are
accepted at the highest threshold that accepts 95 % of the test images of the taught classes; and, at the default
strictness, what the device itself does: strangers with a name, and taught objects without one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.confidence import Outcome, outcome
from edge_app.evaluation import baselines
from edge_app.evaluation.continual import TaskStream, average
from edge_app.evaluation.embedded_draws import EmbeddedDraws
from edge_app.evaluation.novelty_baselines import Scores, familiarities
from edge_app.evaluation.openset import TAUGHT, false_accept
from edge_app.evaluation.splits import presentation_order
from edge_app.evaluation.trial import EvaluationSettings, limit_of
from edge_app.learner.replay import Network


def run_strangers(
    material: EmbeddedDraws,
    make_network: Callable[[], Network],
    setting: EvaluationSettings,
    classes: int,
    strangers: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]],
) -> dict[str, Any]:
    """Teach `classes` of the classes; mean over the repeats, each with other classes. As JSON values.

    strangers: {kind: (embeddings (m, n) uint8, spike counts (m, n) uint8)}.
    """
    return average(
        [
            _one_repeat(TaskStream(material, make_network, repeat, setting.seed + repeat), setting, classes, strangers)
            for repeat in range(setting.repeats)
        ]
    )


def _one_repeat(
    stream: TaskStream,
    setting: EvaluationSettings,
    classes: int,
    strangers: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]],
) -> dict[str, Any]:
    rows, learner = stream.rows, stream.network()
    there = np.unique(rows.labels[stream.train]).tolist()
    order = presentation_order([rows.classes[label] for label in there], stream.seed, TAUGHT)
    taught = [there[i] for i in order[:classes]]
    examples = stream.examples(taught)
    outcomes: list[Outcome] = []
    for row in examples.tolist():
        label = int(rows.labels[row])
        # test, then train: the limit follows from decisions on examples that were new, as on a device
        if learner.network.labels and (found := outcome(learner.decide(row), rows.classes[label])):
            outcomes.append(found)
        learner.learn(row, label)
    tested = stream.test[np.isin(rows.labels[stream.test], taught)]
    # from the taught examples alone: a device knows no strangers
    limit = limit_of(outcomes)
    known = [learner.decide(int(row)) for row in tested]
    right = [one.label == rows.classes[rows.labels[row]] for one, row in zip(known, tested, strict=True)]
    lost = [hit and one.novelty > limit for hit, one in zip(right, known, strict=True)]
    shown = [rows.values[tested], *(embeddings for embeddings, _ in strangers.values())]
    own, *others = _conventional(stream, examples, shown, setting)
    of_known = np.array([-one.novelty for one in known], float)
    kinds: dict[str, Any] = {}
    for (kind, (_, counts)), theirs in zip(strangers.items(), others, strict=True):
        novelty = np.array([-learner.network.predict_one(row).novelty for row in counts], float)
        kinds[kind] = {
            "named": float((-novelty <= limit).mean()),
            "false_accept": {
                "novelty": false_accept(of_known, novelty),
                **{name: false_accept(own[name], values) for name, values in theirs.items()},
            },
        }
    return {"right_names_lost": sum(lost) / max(sum(right), 1), "kinds": kinds}


def _conventional(
    stream: TaskStream, examples: NDArray[np.intp], shown: Sequence[NDArray[np.uint8]], setting: EvaluationSettings
) -> list[dict[str, Scores]]:
    """Return the conventional scores of each set of embeddings; everything is fitted once."""
    rows = stream.rows
    train, test = (
        baselines.unit_rows(values, rows.zero_point) for values in (rows.values[examples], np.concatenate(shown))
    )
    found = familiarities(train, rows.labels[examples], test, setting.options)
    bounds = np.cumsum([len(values) for values in shown])[:-1]
    parts = {name: np.split(values, bounds) for name, values in found.items()}
    return [{name: values[index] for name, values in parts.items()} for index in range(len(shown))]
