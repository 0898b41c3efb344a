"""Events hold facts; other values that clients need are derived from them, not stored twice."""

import numpy as np

from edge_app.messages import Decision
from edge_app.pipeline.events import Corrected
from edge_app.storage.records import Action, ExampleChange
from support.pipeline_parts import decided


def test_spikes_are_listed_by_class() -> None:
    decision = Decision(
        "a", ("a", "b"), np.array([3, 1], np.int32), np.array([2, 15], np.int32), 2, np.array([0, 0], np.int64)
    )
    event = decided("a", decision=decision)
    assert event.spikes == {"a": 3, "b": 1}
    assert event.first_spike == {"a": 2, "b": 15}


def test_a_correction_names_the_classes_and_examples_it_changed() -> None:
    changes = ExampleChange(1, "a", "b"), ExampleChange(2, "a", None), ExampleChange(3, None, "b")
    event = Corrected("undone", Action(9, 0, "relabel", changes), "page", 7)
    assert event.labels == ("a", "b")
    assert event.examples == (1, 2, 3)
