"""Events reach everyone, and no one can hold them up."""

import numpy as np
import pytest

from edge_app.control.events import Answered, Health, Hub
from edge_app.messages import Decision
from edge_app.pipeline.decide import Answer


def answer(label: str | None, sequence: int = 0) -> Answer:
    decision = Decision(
        label, ("a", "b"), np.array([3, 1], np.int32), np.array([2, 15], np.int32), 2, np.array([0, 0], np.int64)
    )
    return Answer(label, decision, 0.9, sequence, 10, 2_000_000, True)


def test_an_answer_says_whether_it_changed() -> None:
    hub = Hub(wall=lambda: 7)
    told: list[Answered] = []
    stop = hub.listen(told.append)
    for label in ("a", "a", "b", None, None):
        hub.answered(answer(label))
    assert [event.changed for event in told] == [True, False, True, True, False]
    assert told[0].spikes == {"a": 3, "b": 1}
    assert told[0].first_spike == {"a": 2, "b": 15}
    assert (told[0].time_ns, told[0].latency_ms) == (7, 2.0)
    assert hub.last is told[-1]
    stop()
    hub.answered(answer("a"))
    assert len(told) == 5


def test_a_slow_reader_loses_the_oldest_and_is_told_how_many() -> None:
    hub = Hub()
    with hub.subscribe(3) as reader, hub.subscribe(3, only=(Health,)) as other:
        for number in range(5):
            hub.answered(answer("a", number))
        assert reader.dropped == 2
        found = [reader.get(0) for _ in range(4)]
        assert [event.sequence for event in found if isinstance(event, Answered)] == [2, 3, 4]
        assert other.get(0) is None
        hub.report(30, "camera_fault", kind="stalled")
        hub.report(20, "learnt", label="x")
        event = other.get(0)
        assert isinstance(event, Health)
        assert (event.what, event.fields, other.get(0)) == ("camera_fault", {"kind": "stalled"}, None)


def test_the_end_of_a_rebuild_is_told() -> None:
    hub = Hub()
    state = [True, True, False, False]
    hub.rebuilding = lambda: state.pop(0)
    with hub.subscribe(only=(Health,)) as reader:
        for _ in range(4):
            hub.answered(answer("a"))
        assert [event.what for event in (reader.get(0), reader.get(0)) if isinstance(event, Health)] == [
            "rebuilding",
            "rebuilt",
        ]
        assert reader.get(0) is None


def test_a_listener_that_fails_is_left_out_and_the_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub()
    told: list[object] = []

    def fails(event: object) -> None:
        raise ValueError("no")

    hub.listen(fails)
    hub.listen(told.append)
    hub.answered(answer("a"))
    hub.answered(answer("a"))
    assert len(told) == 2
    assert caplog.text.count("a listener failed") == 1
