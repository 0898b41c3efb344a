"""Streams cut into windows."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.events import stream
from edge_app.events.stream import LONGEST_GAP_US, RESET_US, EventPacket, EventWindow, EventWindows, Played, Sorter

W, H = 5, 4


def packet(*events: tuple[int, int, int, bool]) -> EventPacket:
    t, x, y, on = zip(*events, strict=True) if events else ((), (), (), ())
    return EventPacket(np.array(t, np.uint64), np.array(x, np.uint16), np.array(y, np.uint16), np.array(on, bool))


def at(*times: int) -> EventPacket:
    return packet(*((t, 0, 0, True) for t in times))


def windows(packets: list[EventPacket], **how: int) -> list[EventWindow]:
    sorter = Sorter(W, H)
    found = EventWindows((sorter.sort(one) for one in packets), (H, W), **how)
    return list(iter(found.next, None))


def test_on_comes_first_and_pixels_are_where_they_belong() -> None:
    (window,) = windows([packet((7, 4, 0, True), (8, 0, 3, False), (8, 0, 3, False))], window_us=10)
    assert window.counts.shape == (2, H, W)
    assert window.counts.dtype == np.int16
    assert window.counts[0, 0, 4] == 1
    assert window.counts[1, 3, 0] == 2
    assert window.counts.sum() == 3


def test_windows_of_time_begin_with_the_first_event_and_may_be_empty() -> None:
    found = windows([at(100, 109), at(110, 131)], window_us=10)
    assert [int(one.counts.sum()) for one in found] == [2, 1, 0, 1]
    assert [one.end_us for one in found] == [10, 20, 30, 40]


def test_a_wait_that_ends_early_is_taken_up_again() -> None:
    class Late:
        """Events of a camera, with a pause before each packet."""

        def __init__(self) -> None:
            self.packets = iter([at(0, 4), at(6), at(9, 10), at(40)])
            self.pause = False

        def __iter__(self) -> Iterator[Played]:
            return self

        def __next__(self) -> Played:
            self.pause = not self.pause
            if self.pause:
                raise TimeoutError
            return sorter.sort(next(self.packets))

    sorter = Sorter(W, H)
    windows, found, pauses = EventWindows(Late(), (H, W), window_us=10), [], 0
    while len(found) < 2:
        try:
            found.append(windows.next())
        except TimeoutError:
            pauses += 1
    assert pauses == 4
    assert [(int(one.counts.sum()), one.end_us) for one in found if one] == [(4, 10), (1, 20)]
    assert windows.skip_empty() == 1
    assert windows.skip_empty() == 0
    empty = windows.next()
    assert empty is not None
    assert (int(empty.counts.sum()), empty.end_us) == (0, 40)


def test_windows_of_a_number_end_with_their_last_event() -> None:
    found = windows([at(100, 103), at(110), at(150, 151)], count=2)
    assert [int(one.counts.sum()) for one in found] == [2, 2, 1]
    assert [one.end_us for one in found] == [3, 50, 51]


@given(st.lists(st.lists(st.integers(0, 400), max_size=8), max_size=6), st.integers(1, 50), st.booleans())
@settings(max_examples=100, deadline=None)
def test_windows_equal_a_loop_over_events(times: list[list[int]], size: int, by_time: bool) -> None:
    flat = sorted(t for part in times for t in part)
    taken = iter(flat)
    packets = [at(*(next(taken) for _ in part)) for part in times]
    found = [int(one.counts.sum()) for one in windows(packets, **{"window_us" if by_time else "count": size})]
    if not flat:
        assert found == []
    elif by_time:
        expected = [0] * ((flat[-1] - flat[0]) // size + 1)
        for t in flat:
            expected[(t - flat[0]) // size] += 1
        assert found == expected
    else:
        assert found == [len(flat[i : i + size]) for i in range(0, len(flat), size)]


def test_events_outside_the_picture_are_left_out_and_counted() -> None:
    sorter = Sorter(W, H)
    played = sorter.sort(packet((1, 5, 0, True), (2, 0, 4, True), (3, 65535, 65535, False), (4, 4, 3, False)))
    assert (sorter.outside, sorter.late) == (3, 0)
    assert played.time_us.tolist() == [0]
    assert played.place.tolist() == [2 * H * W - 1]


def test_late_events_are_left_out_and_counted() -> None:
    sorter = Sorter(W, H)
    assert sorter.sort(at(100, 105, 103, 105, 110)).time_us.tolist() == [0, 5, 5, 10]
    assert sorter.sort(at(109, 111)).time_us.tolist() == [11]
    assert sorter.late == 2


def test_a_clock_that_was_set_back_goes_on() -> None:
    sorter = Sorter(W, H)
    sorter.sort(at(RESET_US * 5, RESET_US * 5 + 10))
    assert sorter.sort(at(3, 5)).time_us.tolist() == [10, 12]
    assert sorter.late == 0


def test_a_leap_is_at_most_the_longest_gap() -> None:
    sorter = Sorter(W, H)
    assert sorter.sort(at(0, 2**63, 2**64 - 1)).time_us.tolist() == [0, LONGEST_GAP_US, LONGEST_GAP_US]
    # whose time stamps are right again
    assert sorter.sort(at(7, 8)).time_us.tolist() == [LONGEST_GAP_US, LONGEST_GAP_US + 1]


def test_events_that_got_the_time_of_a_damaged_one_are_counted() -> None:
    sorter = Sorter(W, H)
    far = LONGEST_GAP_US + 2
    sorter.sort(at(0, 1, far, far, far))
    sorter.sort(at(far, far))
    assert sorter.stuck == 5
    # it goes on: a pause, and no damage
    sorter.sort(at(far, far + 1))
    assert sorter.stuck == 1
    # a clock that was set back leaves no gap
    sorter.sort(at(far + 1, far + 5, far + 5))
    sorter.sort(at(far + 5))
    assert sorter.stuck == 3


def test_more_events_than_a_count_holds_are_told_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_MOST_GATHERED", 1000)

    def packets() -> Iterator[Played]:
        for _ in range(40):
            yield Played(np.zeros(1000, np.int64), np.zeros(1000, np.int64))

    window = EventWindows(packets(), (H, W), window_us=10).next()
    assert window is not None
    assert window.counts[0, 0, 0] == 32767
