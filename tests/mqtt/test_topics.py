"""The names of topics."""

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
    ("topic", "allowed"),
    [
        ("home/cameras/answers/7", True),
        ("home/cameras", False),
        ("home/lock/set", False),
        ("$SYS/x", False),
        ("home/cameras/+/x", False),
        ("home/cameras/" + "x" * 300, False),
    ],
)
def test_an_answer_goes_nowhere_outside_the_base(topic: str, allowed: bool) -> None:
    assert TOPICS.allows_response(topic) is allowed
