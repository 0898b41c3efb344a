"""Which frame was shown when."""

import threading

import pytest
from parts import frame

from edge_app.devices.ports import NS_PER_S
from edge_app.pipeline.recent import Recent


def ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


@pytest.fixture
def recent() -> Recent:
    recent = Recent()
    for number in range(10):
        recent.add(frame("red", 1 + number / 10, number))
    return recent


@pytest.mark.parametrize(("time_s", "sequence"), [(1.85, 8), (1.8, 8), (1.7999, 7), (1.55, 5), (1.95, 9)])
def test_the_frame_at_a_time_is_the_newest_that_is_not_later(recent: Recent, time_s: float, sequence: int) -> None:
    found = recent.at(ns(time_s), max_age_ns=NS_PER_S, wait_s=0)
    assert found is not None
    assert found.sequence == sequence


def test_what_is_too_old_or_not_kept_is_not_guessed(recent: Recent) -> None:
    assert recent.at(ns(1.2), max_age_ns=NS_PER_S, wait_s=0) is None, "kept for half a second"
    assert recent.at(ns(4.0), max_age_ns=NS_PER_S, wait_s=0) is None, "the newest is two seconds older"
    assert Recent().at(ns(4.0), max_age_ns=NS_PER_S, wait_s=0) is None


def test_a_frame_that_is_still_on_its_way_is_waited_for(recent: Recent) -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(recent.at(ns(2.05), max_age_ns=NS_PER_S, wait_s=30)))
    thread.start()
    recent.add(frame("red", 2.0, 10))
    recent.add(frame("red", 2.1, 11))
    thread.join(30)
    assert found[0].sequence == 10


def test_memory_is_bounded_by_time_and_by_bytes() -> None:
    recent = Recent(keep_bytes=5 * frame("red", 0).image.nbytes)
    for number in range(100):
        recent.add(frame("red", number / 1000, number))
    assert len(recent._frames) == 5
    slow = Recent()
    for number in range(5):
        slow.add(frame("red", 10 * number, number))
    assert len(slow._frames) == 2, "with a slow camera too, the frame before the newest is there"


def test_embeddings_are_found_by_their_frame_and_are_few() -> None:
    recent = Recent()
    for number in range(100):
        recent.add_embedding(number, frame("red", 0, number).image[0, 0])
    assert recent.embedding(99) is not None
    assert recent.embedding(3) is None
    assert len(recent._embeddings) == 32


def test_the_newest_is_handed_out_once_and_found_by_its_number() -> None:
    recent = Recent()
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
