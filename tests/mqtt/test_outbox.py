"""Messages to publish: events in order and limited, only the newest of each state, none lost with a connection."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.mqtt.outbox import MAX_IN_FLIGHT, Outbox, Outgoing


def taken(outbox: Outbox) -> list[Outgoing]:
    found = []
    while (message := outbox.take()) is not None:
        found.append(message)
    return found


def texts(messages: list[Outgoing]) -> list[str]:
    return [message.payload.decode() for message in messages]


def test_events_come_in_order_and_states_only_with_their_newest_content() -> None:
    woken = []
    outbox = Outbox(100, lambda: woken.append(1))
    outbox.state("s", b"1")
    outbox.event("e", b"a")
    outbox.state("s", b"2")
    outbox.state("s", b"2")
    outbox.event("e", b"b")
    assert len(woken) == 4
    assert texts(taken(outbox)) == ["a", "2", "b"]
    assert outbox.take() is None


def test_beyond_the_bound_the_oldest_event_goes_and_is_counted() -> None:
    outbox = Outbox(3)
    for name in "abcde":
        outbox.event("e", name.encode())
    outbox.state("s", b"1")
    assert outbox.lost == 2
    assert texts(taken(outbox)) == ["c", "d", "e", "1"]


def test_no_more_are_on_their_way_than_may_be() -> None:
    outbox = Outbox(100)
    for number in range(MAX_IN_FLIGHT + 3):
        outbox.event("e", str(number).encode())
    first = taken(outbox)
    assert len(first) == MAX_IN_FLIGHT
    outbox.done(first[0].number)
    outbox.done(first[0].number)
    assert texts(taken(outbox)) == [str(MAX_IN_FLIGHT)]
    assert outbox.waiting == MAX_IN_FLIGHT + 2


def test_a_new_connection_begins_with_what_was_not_acknowledged_and_all_states() -> None:
    outbox = Outbox(100)
    outbox.state("s", b"1")
    outbox.event("e", b"a")
    outbox.event("e", b"b")
    outbox.state("t", b"2")
    state, a, *_ = taken(outbox)
    outbox.done(state.number)
    outbox.done(a.number)
    outbox.event("e", b"c")
    outbox.reconnected()
    assert texts(taken(outbox)) == ["1", "b", "2", "c"]


def test_the_largest_is_given_up_for_good() -> None:
    outbox = Outbox(100)
    assert outbox.give_up_largest() is None
    outbox.event("e", b"a")
    outbox.state("s", bytes(100))
    taken(outbox)
    lost = outbox.give_up_largest()
    assert lost is not None
    assert lost.topic == "s"
    outbox.reconnected()
    assert texts(taken(outbox)) == ["a"]


def test_it_is_crowded_at_half() -> None:
    outbox = Outbox(16)
    for number in range(9):
        assert not outbox.crowded, number
        outbox.event("e", b"")
    assert outbox.crowded


def test_what_someone_else_retained_is_removed_once_and_never_at_the_cost_of_events() -> None:
    outbox = Outbox(10)
    for number in range(50):
        outbox.remove(f"t{number}")
    outbox.event("e", b"a")
    assert outbox.waiting == 7
    assert outbox.lost == 0
    removal = outbox.take()
    assert removal is not None
    assert removal[1:4] == ("t0", b"", True)
    outbox.reconnected()
    assert [message.topic for message in taken(outbox)] == ["t1", "t2", "t3", "t4", "t5", "e"]


@pytest.mark.parametrize("bound", [5, 1000])
@settings(deadline=None)
@given(data=st.data())
def test_whatever_happens_each_event_arrives_in_order_or_is_counted(bound: int, data: st.DataObject) -> None:
    outbox, sent, arrived, way = Outbox(bound), 0, [], []
    for step in data.draw(st.lists(st.sampled_from(["event", "take", "done", "lose"]), max_size=200)):
        if step == "event":
            outbox.event("e", str(sent).encode())
            sent += 1
        elif step == "take" and (message := outbox.take()) is not None:
            way.append(message)
        elif step == "done" and way:
            arrived.append(way.pop(0))
            outbox.done(arrived[-1].number)
        elif step == "lose":
            way.clear()
            outbox.reconnected()
    while way or (message := outbox.take()) is not None:
        if way:
            arrived.append(way.pop(0))
            outbox.done(arrived[-1].number)
        else:
            way.append(message)
    numbers = [int(message.payload) for message in arrived]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + outbox.lost == sent
    assert outbox.waiting == 0
