"""Decisions become visits: when they begin, hold and end."""

import numpy as np
import pytest

from edge_app.config import CameraConfig, Config, DecisionConfig, NamedCameraConfig, PlaceConfig
from edge_app.devices.ports import NS_PER_S
from edge_app.history.visits import VisitTracker, gap_ns, runner_up
from edge_app.pipeline.events import Decided
from support.pipeline_parts import decision
from support.visits import WALL_NS, follow, shown


def tracker() -> VisitTracker:
    return VisitTracker("shelf", gap_ns=5 * NS_PER_S)


def row(label: str | None, begin: int, end: int, **fields: object) -> list[Decided]:
    """Decisions at ten per second, from `begin` to `end` tenths of a second, both included."""
    return [shown(label, tenth / 10, **fields) for tenth in range(begin, end + 1)]  # type: ignore[arg-type]


def test_a_label_that_holds_is_a_visit_from_its_first_to_its_last_decision() -> None:
    one = tracker()
    told = follow(one, [*row("mug", 0, 20), *row("pen", 21, 30)])
    assert [(change.kind, change.visit.label) for change in told] == [
        ("entered", "mug"),
        ("left", "mug"),
        ("entered", "pen"),
    ]
    entered, left = told[0].visit, told[1].visit
    assert (entered.frames, entered.duration_ns) == (6, NS_PER_S // 2)
    assert (left.place, left.frames, left.duration_ns) == ("shelf", 21, 2 * NS_PER_S)
    assert (left.begin_ns, left.end_ns) == (WALL_NS, WALL_NS + 2 * NS_PER_S)
    assert told[2].visit.begin_ns == WALL_NS + round(2.1 * NS_PER_S)


def test_a_short_change_neither_begins_a_visit_nor_ends_one() -> None:
    one = tracker()
    assert len(follow(one, [*row("mug", 0, 20), *row("pen", 21, 23), *row("mug", 24, 40)])) == 1
    still = one.snapshot()
    assert still is not None
    assert (still.label, still.frames, still.duration_ns) == ("mug", 38, 4 * NS_PER_S)


def test_labels_that_flicker_begin_no_visit_but_end_the_one_before() -> None:
    one = tracker()
    flicker = [shown(("pen", None)[tenth % 2], tenth / 10) for tenth in range(11, 60)]
    told = follow(one, [*row("mug", 0, 10), *flicker])
    assert [(change.kind, change.visit.label) for change in told] == [("entered", "mug"), ("left", "mug")]
    assert told[1].visit.end_ns == WALL_NS + NS_PER_S
    assert one.snapshot() is None


def test_unknown_is_a_visit_and_unsure() -> None:
    one = tracker()
    (told,) = follow(one, row(None, 0, 9, nearest="pen"))
    assert (told.visit.label, told.visit.confidence, told.visit.runner_up) == (None, 0.0, "pen")
    assert told.visit.unsure


def test_the_best_frame_is_the_surest_and_of_an_unknown_visit_the_strangest() -> None:
    one = tracker()
    sure = [0.5, 0.6, 0.9, 0.7, 0.7, 0.7, 0.4]
    follow(one, [shown("mug", at / 10, confidence) for at, confidence in enumerate(sure)])
    mug = one.snapshot()
    assert mug is not None
    assert (mug.best_sequence, mug.best_captured_ns, mug.confidence) == (2, NS_PER_S // 5, 0.9)
    assert mug.mean_confidence == pytest.approx(sum(sure) / len(sure))
    assert not mug.unsure
    follow(one, [shown(None, at / 10, novelty=100 - abs(at - 13)) for at in range(8, 20)])
    unknown = one.snapshot()
    assert unknown is not None
    assert (unknown.label, unknown.best_sequence, unknown.novelty) == (None, 13, 100)


def test_low_confidence_on_average_is_unsure() -> None:
    one = tracker()
    (told,) = follow(one, row("mug", 0, 5, confidence=0.55))
    assert told.visit.unsure


def test_a_gap_without_decisions_ends_a_visit() -> None:
    one = tracker()
    told = follow(one, [*row("mug", 0, 10), *row("mug", 70, 80)])
    assert [change.kind for change in told] == ["entered", "left", "entered"]
    assert told[1].visit.end_ns == WALL_NS + NS_PER_S
    assert one.tick(13 * NS_PER_S) == ()
    (ended,) = one.tick(round(13.1 * NS_PER_S))
    assert ended.kind == "left"
    assert one.tick(20 * NS_PER_S) == ()


def test_what_is_still_there_at_the_end_is_told() -> None:
    one = tracker()
    follow(one, row("mug", 0, 10))
    (left,) = one.finish()
    assert left.kind == "left"
    assert one.finish() == ()


def test_durations_do_not_follow_a_wall_clock_that_is_set() -> None:
    one = tracker()
    events = row("mug", 0, 20)
    set_back = [event._replace(time_ns=event.time_ns - 86_400 * NS_PER_S) for event in events[10:]]
    follow(one, [*events[:10], *set_back])
    still = one.snapshot()
    assert still is not None
    assert still.duration_ns == 2 * NS_PER_S


def test_the_runner_up_is_the_next_class_and_never_the_label() -> None:
    said = decision("b", ("a", "b", "c"))._replace(excitation=np.array([7, 9, 8]))
    assert runner_up(shown("b", 0, decision=said)) == "c"
    assert runner_up(shown("c", 0, decision=said)) == "b"
    alone = decision("b", ("b",))
    assert runner_up(shown("b", 0, decision=alone)) is None


def test_a_gap_is_longer_than_the_time_between_two_decisions() -> None:
    assert gap_ns(Config()) == 5 * NS_PER_S
    assert gap_ns(Config(camera=CameraConfig(stall_after_s=60))) == 60 * NS_PER_S
    assert gap_ns(Config(decision=DecisionConfig(max_fps=0.1))) == 30 * NS_PER_S
    slow = (PlaceConfig(name="gate"), PlaceConfig(name="shelf", max_fps=0.05))
    assert gap_ns(Config(places=slow)) == 60 * NS_PER_S
    back = NamedCameraConfig(name="back", stall_after_s=90)
    yard = PlaceConfig(name="yard", camera="back")
    assert gap_ns(Config(cameras=(back,), places=(slow[0], yard))) == 90 * NS_PER_S
