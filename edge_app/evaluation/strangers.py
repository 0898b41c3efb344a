"""Strangers: a few classes are taught, and pictures of quite other things are shown; how many of them get a name?

What a camera mostly meets is nothing like what it was taught. The false-accept share is that of the strangers that are
accepted at the highest threshold that accepts 95 % of the test images of the taught classes; and, at the default
strictness, what the device itself does: strangers with a name, and taught objects without one.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.confidence import Outcome, outcome
from edge_app.evaluation import baselines
from edge_app.evaluation.continual import TaskStream, average
from edge_app.evaluation.embedded_draws import EmbeddedDraws
from edge_app.evaluation.novelty_baselines import familiarities
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
        if learner.network.labels and (found := outcome(learner.decide(row), rows.classes[label])):
            outcomes.append(found)
        learner.learn(row, label)
    tested = stream.test[np.isin(rows.labels[stream.test], taught)]
    limit = limit_of(outcomes)
    known = [learner.decide(int(row)) for row in tested]
    unit = baselines.unit_rows(rows.values[examples], rows.zero_point)

    def scores(embeddings: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        shown = baselines.unit_rows(embeddings, rows.zero_point)
        return familiarities(unit, rows.labels[examples], shown, setting.options)

    right = [one.label == rows.classes[rows.labels[row]] for one, row in zip(known, tested, strict=True)]
    lost = [hit and one.novelty > limit for hit, one in zip(right, known, strict=True)]
    kinds: dict[str, Any] = {}
    own, of_known = scores(rows.values[tested]), np.array([-one.novelty for one in known], float)
    for kind, (embeddings, counts) in strangers.items():
        shown = np.array([-learner.network.predict_one(row).novelty for row in counts], float)
        theirs = scores(embeddings)
        kinds[kind] = {
            "named": float((-shown <= limit).mean()),
            "false_accept": {
                "novelty": false_accept(of_known, shown),
                **{name: false_accept(own[name], theirs[name]) for name in theirs},
            },
        }
    return {"right_names_lost": sum(lost) / max(sum(right), 1), "kinds": kinds}
