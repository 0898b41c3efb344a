"""A class added after all others, with a few shots: its accuracy, and that of the others."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from edge_app.errors import InputError
from edge_app.evaluation.continual import ONE_PASS, TaskStream, average
from edge_app.evaluation.embedded_draws import EmbeddedDraws
from edge_app.evaluation.splits import presentation_order
from edge_app.evaluation.trial import EvaluationSettings, Progress, run_baselines
from edge_app.learner.replay import Network

_NEWCOMERS = 3003


def run_newcomer(
    material: EmbeddedDraws,
    make_network: Callable[[], Network],
    setting: EvaluationSettings,
    *,
    shots: int = 10,
    choices: int = 5,
    progress: Progress = lambda what, items: items,
) -> dict[str, Any]:
    """Teach all classes but one, then that one with `shots` examples; mean over `choices` newcomers and the repeats.

    Rates: accuracy on the newcomer's test images and, class by class, on the others' before and after it is added; and,
    of a network taught `shots` examples of every class in random order, on the newcomer's and on all (`few_shot`). The
    one-pass baselines that the setting asks for are taught the same stream: their accuracy on the newcomer.
    Raises InputError when there are fewer than two classes.
    """
    if shots < 1 or choices < 1:
        raise InputError(f"newcomer: {choices} choices with {shots} shots, expected at least 1 of each")
    found = []
    for repeat in range(setting.repeats):
        stream = TaskStream(material, make_network, repeat, setting.seed + repeat)
        found += _one_repeat(stream, shots, choices, setting, progress)
    return average(found) | {"shots": shots, "choices": len(found)}


def _one_repeat(
    stream: TaskStream, shots: int, choices: int, setting: EvaluationSettings, progress: Progress
) -> list[dict[str, Any]]:
    labels, classes = stream.rows.labels, stream.rows.classes
    # a class without test images has no accuracy
    there = [label for label in np.unique(labels[stream.train]).tolist() if label in labels[stream.test]]
    if len(there) < 2:
        raise InputError("newcomer: fewer than two classes with images to learn and to test")
    few = np.concatenate([stream.examples([label])[:shots] for label in there])
    reference = stream.network()
    stream.teach(reference, few[presentation_order([stream.rows.names[row] for row in few], stream.seed, 0)])
    few_shot = stream.score(reference, [[label] for label in there], len(there))[0]
    order = presentation_order([classes[label] for label in there], stream.seed, _NEWCOMERS)[:choices]
    found = []
    for place in progress("newcomers", order):
        newcomer = there[place]
        others = [label for label in there if label != newcomer]
        learner = stream.network()
        stream.teach(learner, stream.examples(others))
        before = stream.score(learner, [[label] for label in others], len(others))[0]
        stream.teach(learner, stream.examples([newcomer])[:shots])
        after = stream.score(learner, [[newcomer], *([label] for label in others)], len(there))[0]
        found.append(
            {
                "newcomer": float(after[0]),
                "others_before": float(before.mean()),
                "others_after": float(after[1:].mean()),
                "few_shot_newcomer": float(few_shot[place]),
                "few_shot": float(few_shot.mean()),
                "baselines": _baselines(stream, others, newcomer, shots, setting),
            }
        )
    return found


def _baselines(
    stream: TaskStream, others: list[int], newcomer: int, shots: int, setting: EvaluationSettings
) -> dict[str, float]:
    labels = stream.rows.labels
    train = np.concatenate([stream.examples(others), stream.examples([newcomer])[:shots]])
    test = stream.test[labels[stream.test] == newcomer]
    wanted = tuple(name for name in ONE_PASS if setting.baselines is None or name in setting.baselines)
    only = dataclasses.replace(setting, baselines=wanted)
    return run_baselines(stream.rows, train, labels[train], test, only)
