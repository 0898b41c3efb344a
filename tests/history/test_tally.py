"""Decisions and seconds of each class since the start."""

import pytest

from edge_app.devices.ports import NS_PER_S
from edge_app.history.tally import LabelTally
from edge_app.pipeline.events import Health
from support.visits import shown


def test_decisions_are_counted_and_the_time_between_two_of_one_class() -> None:
    tally = LabelTally("shelf", gap_ns=5 * NS_PER_S)
    said = [("mug", 0.0), ("mug", 0.5), ("mug", 1.0), (None, 1.5), (None, 2.5), ("mug", 3.0), ("mug", 9.0)]
    for label, at_s in said:
        tally.listen(shown(label, at_s))
    tally.listen(Health("camera_fault", 30, {}, 0))
    assert tally.totals() == [("mug", 5, pytest.approx(1.0)), (None, 2, pytest.approx(1.0))]
