"""Examples that are taught: as they come, as they are decided on before they are learnt, and as they are stored."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.learner.live import LiveNetwork
from edge_app.learner.replay import prediction_of
from edge_app.messages import Decision
from edge_app.storage.records import Entry, Prediction
from edge_app.storage.store import Store


class Sample(NamedTuple):
    """An example to teach."""

    embedding: NDArray[np.uint8]
    """(n,)"""
    thumbnail: bytes | None = None
    """The model's input as JPEG."""
    source: str | None = None
    """Its source; None: that of the whole call."""


class LearntExample(NamedTuple):
    """An example that is stored and learnt."""

    example_id: int
    label: str
    before: Decision
    """The network's decision before it learnt the example (test, then train)."""
    prediction: Prediction
    """The same decision as it is stored with the example."""


def predict_in_turn(
    network: LiveNetwork, store: Store, shown: Sequence[Sample], label: str, leaving: Sequence[int]
) -> list[tuple[Decision, Prediction]]:
    """Return the decision on each sample when those before it have been learnt, and that decision to be stored.

    `leaving` are the examples that make room for them. If there are several, `network` learns them, so it must be a
    copy: nobody may decide with examples that are not stored yet.
    """
    first = store.next_example()
    decided = []
    for index, one in enumerate(shown):
        before = network.predict(one.embedding)
        newest = None if before.label is None else store.newest(before.label)
        # its newest example is one of this call, which has no row yet but a number already
        if index and before.label == label:
            newest = first + index - 1
        elif newest in leaving:  # it will be gone when the prediction is stored
            newest = None
        decided.append((before, prediction_of(before, newest)))
        if len(shown) > 1:
            # sequence number 0: it has none before it is stored
            network.learn([Entry(0, label, one.embedding.tobytes())])
    return decided
