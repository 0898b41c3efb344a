"""Settings of the baselines, chosen on validation data inside the training data.

Each class's examples, sorted by name, are cut: the last quarter is held out and the eighth before it left out, for
neighbours are often near-duplicates. Of the rest the wanted number of shots is learnt, drawn by seed. The setting with
the most right decisions on held-out examples is taken, the first one at a tie; with shots, over several draws.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.evaluation import baselines
from edge_app.evaluation.splits import presentation_order

GRIDS: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "streaming_lda": ("shrinkage", (1e-2, 1e-3, 1e-4, 1e-5)),
    "online_softmax": ("rate", (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)),
    "logistic_regression": ("c", (3.0, 10.0, 30.0, 100.0, 300.0)),
}
"""baseline -> its setting, and the values that are tried."""
DRAWS_OF_SHOTS = 2
AT_MOST = 60
"""Examples of a class that are learnt while choosing, if the evaluation learns all."""
_SHOTS = 5000


def choose(
    rows: baselines.Rows,
    labels: NDArray[np.intp],
    names: Sequence[str],
    n_classes: int,
    *,
    shots: int | None,
) -> dict[str, dict[str, float]]:
    """Return the chosen setting of each baseline in GRIDS that is installed: {name: {setting: value}}.

    rows (m, n) unit rows of the training data, labels (m,) class indices, names (m,).
    """
    draws = [_split(labels, names, shots, seed) for seed in range(1 if shots is None else DRAWS_OF_SHOTS)]
    found = {}
    for name, (setting, values) in GRIDS.items():
        classify = baselines.available().get(name)
        if classify is None:
            continue
        right = []
        for value in values:
            options: dict[str, Any] = {setting: value}
            right.append(
                sum(
                    int((classify(rows[learn], labels[learn], rows[held], n_classes, **options) == labels[held]).sum())
                    for learn, held in draws
                )
            )
        # argmax: the first at a tie
        found[name] = {setting: values[int(np.argmax(right))]}
    return found


def _split(
    labels: NDArray[np.intp], names: Sequence[str], shots: int | None, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows to learn, mixed, and rows that are held out."""
    learn: list[int] = []
    held: list[int] = []
    for label in np.unique(labels):
        own = sorted(np.flatnonzero(labels == label).tolist(), key=lambda row: names[row])
        n_held = len(own) // 4
        # a gap between learnt and held-out: names that follow one another are often shots of one object
        kept = own[: max(len(own) - n_held - len(own) // 8, 1)]
        order = presentation_order([names[row] for row in kept], seed, _SHOTS)
        learn += [kept[i] for i in order][: shots or AT_MOST]
        held += own[len(own) - n_held :]
    order = presentation_order([names[row] for row in learn], seed, _SHOTS + 1)
    return np.array([learn[i] for i in order], np.intp), np.array(held, np.intp)
