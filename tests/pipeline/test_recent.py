"""The frame that was shown at a given time."""

import threading

import numpy as np
import pytest

from edge_app.devices.ports import NS_PER_S
from edge_app.devices.view import Region, View
from edge_app.messages import Frame
from edge_app.pipeline.recent import NoFrame, PlaceFrames, RecentFrames
from edge_app.simulation.devices import SimulatedClock
from support.pipeline_parts import frame


def ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def why_not(recent: RecentFrames, time_s: float) -> str:
    found = recent.at(ns(time_s), max_age_ns=NS_PER_S, wait_s=0)
    assert isinstance(found, NoFrame)
    return found.reason


@pytest.fixture
def recent() -> RecentFrames:
    recent = RecentFrames()
    for number in range(10):
        recent.add(frame("red", 1 + number / 10, number))
    return recent


@pytest.mark.parametrize(("time_s", "sequence"), [(1.85, 8), (1.8, 8), (1.7999, 7), (1.55, 5), (1.95, 9)])
def test_the_frame_at_a_time_is_the_newest_that_is_not_later(
    recent: RecentFrames, time_s: float, sequence: int
) -> None:
    found = recent.at(ns(time_s), max_age_ns=NS_PER_S, wait_s=0)
    assert isinstance(found, Frame)
    assert found.sequence == sequence


def test_what_is_too_old_or_not_kept_is_not_guessed(recent: RecentFrames) -> None:
    assert why_not(recent, 1.2) == (
        "the frame that was shown at the press is not kept any more: the press was looked up 700 ms later, frames are "
        "kept for 500 ms; the machine was too busy"
    )
    assert why_not(recent, 4.0) == "no frame was shown within 1 s before the press"
    assert why_not(RecentFrames(), 4.0) == "no frame was shown within 1 s before the press"
    early = RecentFrames()
    early.add(frame("red", 5.0))
    assert why_not(early, 4.9) == "the press came before the first frame"


def test_a_frame_that_was_given_to_the_encoder_is_kept_while_it_is_decided_on(recent: RecentFrames) -> None:
    recent.hold(9)
    for number in range(10, 40):
        recent.add(frame("red", 1 + number / 10, number))
    assert recent.numbered(9) is not None
    assert recent.numbered(10) is None
    assert why_not(recent, 1.9).startswith("the frame that was shown at the press is not kept any more")
    for number in (36, 37, 38, 39):
        recent.hold(number)
    assert recent.numbered(9) is None


def test_a_place_holds_frames_of_its_own(recent: RecentFrames) -> None:
    places = [PlaceFrames(recent, view, lambda: 0) for view in (View(), View(mirror=True))]
    for number, place in enumerate(places):
        place.hold(8 + number)
    for number in range(10, 40):
        recent.add(frame("red", 1 + number / 10, number))
        places[1].hold(number)
    assert [places[0].numbered(number) is not None for number in (8, 9)] == [True, False]
    assert places[1].numbered(9) is None
    plain, mirrored = recent.numbered(39), places[1].numbered(39)
    assert plain is not None
    assert mirrored is not None
    assert np.array_equal(mirrored.image, plain.image[:, ::-1])


def test_of_large_frames_two_are_held() -> None:
    recent = RecentFrames()
    for number in range(4):
        recent.add(Frame(np.zeros((2160, 3840, 3), np.uint8), ns(1 + number), number))
        recent.hold(number)
    assert [number for number in range(4) if recent.numbered(number) is not None] == [2, 3]
    assert [one.sequence for one in recent._held] == [2, 3]


def test_of_large_frames_few_are_kept_and_a_press_that_is_looked_up_late_is_told_so() -> None:
    recent = RecentFrames()
    image = np.zeros((2160, 3840, 3), np.uint8)
    for number in range(15):
        recent.add(Frame(image, ns(1 + number / 30), number))
    assert len(recent._frames) == 2
    found = recent.at(ns(1 + 13.5 / 30), max_age_ns=NS_PER_S, wait_s=0)
    assert isinstance(found, Frame)
    assert found.sequence == 13
    told = why_not(recent, 1 + 12.5 / 30)
    assert "looked up 50 ms later, frames are kept for 33 ms" in told
    assert "more of 3840 x 2160 do not fit into the 48 MB for them: let the camera deliver smaller ones" in told


def test_a_frame_that_is_still_on_its_way_is_waited_for(recent: RecentFrames) -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(recent.at(ns(2.05), max_age_ns=NS_PER_S, wait_s=30)))
    thread.start()
    recent.add(frame("red", 2.0, 10))
    recent.add(frame("red", 2.1, 11))
    thread.join(30)
    assert found[0].sequence == 10


def test_memory_is_bounded_by_time_and_by_bytes() -> None:
    recent = RecentFrames(keep_bytes=5 * frame("red", 0).image.nbytes)
    for number in range(100):
        recent.add(frame("red", number / 1000, number))
    assert len(recent._frames) == 5
    slow = RecentFrames()
    for number in range(5):
        slow.add(frame("red", 10 * number, number))
    assert len(slow._frames) == 2, "with a slow camera too, the frame before the newest is there"


def test_embeddings_are_found_by_their_frame_and_are_few() -> None:
    recent = RecentFrames()
    for number in range(100):
        recent.add_embedding(number, frame("red", 0, number).image[0, 0])
    assert recent.embedding(99) is not None
    assert recent.embedding(3) is None
    assert len(recent._embeddings) == 32


def test_the_newest_is_handed_out_once_and_found_by_its_number() -> None:
    recent = RecentFrames()
    assert recent.newer(-1, 0.0) is None
    recent.add(frame("red", 1.0, 4))
    recent.add(frame("blue", 1.1, 5))
    newest = recent.newer(-1, 0.0)
    assert newest is not None
    assert newest.sequence == 5
    assert recent.newer(5, 0.0) is None
    older = recent.numbered(4)
    assert older is not None
    assert older.time_ns == NS_PER_S
    assert recent.numbered(6) is None


def test_each_frame_is_seen_as_the_view_was_when_it_was_captured() -> None:
    """A press that is looked up after a change teaches what was shown at the press."""
    clock, whole, left = SimulatedClock(ns(1)), RecentFrames(), View(Region(0, 0, 0.5, 1))
    recent = PlaceFrames(whole, View(), clock.monotonic_ns)
    whole.add(frame("red", 1, 1))
    recent.add_embedding(ns(1), np.zeros(3, np.uint8))
    clock.advance(0.1)
    recent.view = left
    assert recent.view == left
    whole.add(frame("red", 1.2, 2))

    before, after = recent.numbered(1), recent.newer(1, 0)
    assert before is not None
    assert after is not None
    assert (before.image.shape, after.image.shape) == ((32, 32, 3), (32, 16, 3))
    shown = recent.at(ns(1.05), max_age_ns=NS_PER_S, wait_s=0)
    assert isinstance(shown, Frame)
    assert shown.image.shape == (32, 32, 3)

    # an embedding of the part that was used before does not count for a later frame
    assert recent.embedding_used(ns(1.05)) is not None
    assert recent.embedding_used(ns(1.2)) is None
    recent.add_embedding(ns(1.2), np.ones(3, np.uint8))
    assert np.array_equal(recent.embedding_used(ns(1.3)), np.ones(3))


def test_few_views_are_remembered() -> None:
    clock = SimulatedClock(0)
    recent = PlaceFrames(RecentFrames(), View(), clock.monotonic_ns)
    for rotation in (90, 180, 270) * 9:
        clock.advance(1)
        recent.view = View(rotation=rotation)
    assert recent.view_at(ns(26.5)).view.rotation == 180
    # too old to be known: the oldest
    assert recent.view_at(0) == recent.view_at(ns(20.5))
