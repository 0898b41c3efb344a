"""Rules as sentences."""

from typing import Any

import pytest

from edge_app.config import RuleConfig
from edge_app.rules.sentence import sentence


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (
            {"label": "cat", "output": "door", "pulse_ms": 500, "confidence": 0.8, "pause_s": 30},
            'When "cat" comes into view with a confidence of 80% or more: switch "door" on for 500 ms; '
            "at most once in 30 s and 60 times an hour.",
        ),
        (
            {"when": "held", "for_s": 5, "output": "lamp", "hours": "22:00-06:00", "weekdays": ["sat", "sun"]},
            "When any class or something unknown has been in view for 5 s, from 22:00 to 06:00 on Saturdays and "
            'Sundays: switch "lamp" on for as long as this holds; at most 60 times an hour.',
        ),
        (
            {"label": "unknown", "when": "left", "place": "hall", "webhook": "hub", "file": "/f", "topic": "a/b"},
            'When something unknown has left in "hall": call the webhook "hub", append a line to /f and publish on '
            "a/b; at most 60 times an hour.",
        ),
        (
            {"label": "cat", "when": "absent", "for_s": 3600, "file": "/f", "per_hour": 1},
            'When "cat" has not been seen for 3600 s: append a line to /f; at most 1 times an hour.',
        ),
    ],
)
def test_a_rule_is_told_in_a_sentence(keys: dict[str, Any], text: str) -> None:
    assert sentence(RuleConfig(name="r", **keys)) == text


def test_the_present_name_of_the_class_is_shown() -> None:
    assert sentence(RuleConfig(name="r", label="cat", file="/f"), "Tom").startswith('When "Tom" comes into view')
