"""Events reach every listener, and no listener can stop a stage."""

import pytest

from edge_app.control import Event, Hub
from support.pipeline_parts import decided


def test_every_listener_receives_every_event_until_it_is_removed() -> None:
    hub = Hub()
    first: list[Event] = []
    second: list[Event] = []
    remove = hub.listen(first.append)
    hub.listen(second.append)
    a, b = decided("a"), decided("b")
    hub.tell(a)
    remove()
    hub.tell(b)
    assert (first, second) == ([a], [a, b])


def test_a_listener_that_fails_is_removed_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub()
    received: list[Event] = []

    def fails(event: Event) -> None:
        raise BrokenPipeError("nobody reads")

    hub.listen(fails)
    hub.listen(received.append)
    hub.tell(decided("a"))
    hub.tell(decided("a"))
    assert len(received) == 2
    assert caplog.text.count("an event listener failed") == 1
