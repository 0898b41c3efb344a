"""The measurement of rules, small: a line follows a decision, and no message is lost by kill -9."""

from pathlib import Path

import pytest

from benchmarks.rules import kills, latencies


def test_each_visit_is_timed() -> None:
    found = latencies(5)
    assert 4 <= len(found) <= 5
    assert min(found) > 0


@pytest.mark.slow
def test_no_message_is_lost_by_kill_9(tmp_path: Path) -> None:
    found = kills(tmp_path, 4, seed=3)
    assert found["kills"] == 4
    assert found["queued_over_1_s"] > 0
    assert found["lost_of_these"] == found["ids_with_two_contents"] == 0
