"""A reader gets the newest value, and older ones are dropped."""

import threading

from edge_app.pipeline.latest import Latest


def test_the_newest_wins_and_what_it_displaced_is_counted() -> None:
    place = Latest[int]()
    for number in (1, 2, 3):
        place.put(number)
    assert place.take(0) == 3
    assert place.take(0) is None
    assert place.dropped == 2
    place.put(4)
    assert place.dropped == 2


def test_what_lies_there_can_be_taken_after_the_end() -> None:
    place = Latest[int]()
    place.put(1)
    place.close()
    assert not place.over
    assert place.take(10) == 1
    assert place.over
    assert place.take(10) is None


def test_a_waiting_taker_is_woken() -> None:
    place = Latest[str]()
    taken: list[str | None] = []
    thread = threading.Thread(target=lambda: taken.append(place.take(30)))
    thread.start()
    place.put("x")
    thread.join(30)
    assert taken == ["x"]
