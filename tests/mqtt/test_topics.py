"""Names of topics."""

import pytest

from edge_app.mqtt.topics import Topics

TOPICS = Topics("home/cameras", "one")


def test_a_command_is_told_by_its_topic() -> None:
    assert TOPICS.commands == "home/cameras/one/command/+"
    assert TOPICS.command("home/cameras/one/command/teach") == "teach"
    for other in ("home/cameras/two/command/teach", "home/cameras/one/command/a/b", "home/cameras/one/event", ""):
        assert TOPICS.command(other) is None


def test_an_offer_is_told_by_its_topic_and_names_its_device() -> None:
    topic = TOPICS.offer("Tasse #1/+ blau")
    assert not set(topic) & set("+# ")
    assert topic != TOPICS.offer("Tasse")
    assert TOPICS.offering(topic) == "one"
    for other in ("home/cameras/offers/one", "home/cameras/offers/a/b/c", "home/offers/a/b", "a/b"):
        assert TOPICS.offering(other) is None


@pytest.mark.parametrize(
    "topic", ["home/cameras/one/response", "home/cameras/one/response/7", "home/cameras/one/answers/me"]
)
def test_a_response_may_go_below_the_device_s_own_topics(topic: str) -> None:
    assert TOPICS.allows_response(topic)


@pytest.mark.parametrize(
    "topic",
    [
        *("home/cameras/answers/7", "home/cameras", "home/cameras/one", "home/cameras/one/", "home/lock/set", "$SYS/x"),
        *("home/cameras/two/response", "home/cameras/two/event", "home/cameras/offers/one/x", "home/cameras/onetwo/x"),
        *(f"home/cameras/one/{name}" for name in ("event", "decision", "status", "choice", "error", "command/teach")),
        "home/cameras/one/event/x",
        "home/cameras/one/kitchen/event",  # of a device "kitchen" whose base is home/cameras/one
        "home/cameras/one/offers/kitchen/x",
        *("home/cameras/one/+/x", "home/cameras/one/#", "home/cameras/one//x", "home/cameras/one/" + "x" * 300),
    ],
)
def test_a_response_goes_to_no_topic_of_a_device_and_nowhere_else(topic: str) -> None:
    assert not TOPICS.allows_response(topic)
