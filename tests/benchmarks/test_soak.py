"""The soak's arithmetic, on decisions and events that are known."""

import json
from typing import Any

import pytest

from benchmarks.soak import NAMES, Events, Window, plan, summarise


def answers(times: list[tuple[float, float, int]]) -> list[str]:
    return [json.dumps({"time_ms": at, "waited_ms": waited, "latency_ms": 9, "frame": n}) for at, waited, n in times]


def test_ages_are_told_in_periods_of_the_loop_and_windows_join() -> None:
    window = Window()
    window.read(answers([(0, 2, 0), (10, 2, 1), (20, 2, 4)]))
    first = window.take()
    assert (first["decisions"], first["dropped"], first["fps"]) == (3, 2, 100.0)
    assert first["waited_periods"]["most"] == pytest.approx(0.2)
    assert first["older_than_mean_period"] == first["older_than_own_period"] == 0
    window.read(answers([(30, 2, 5), (32, 18, 6)]))
    second = window.take()
    assert second["dropped"] == 0, "the last of the first window counts"
    assert second["period_ms"]["most"] == pytest.approx(18)
    assert (second["older_than_mean_period"], second["older_than_own_period"]) == (1, 0)
    assert window.take() == {"decisions": 0}
    assert window.decided == 5


def test_events_are_counted_and_troubles_kept() -> None:
    events = Events()
    events.read(["12:00:00 info     learnt label=a\n", "12:00:01 warning  camera_fault kind=stalled\n", "INFO: x\n"])
    assert events.counts == {"learnt": 1, "camera_fault": 1}
    assert events.troubles == ["12:00:01 warning  camera_fault kind=stalled"]


def test_the_plan_presses_all_the_while() -> None:
    uri, asked = plan(7200, 20)
    assert asked == {"teach": 359, "undo": 71}
    taught = [part.partition("@") for part in uri.removeprefix("sim:").split(",")][:4]
    for place, (name, _, moments) in enumerate(taught):
        assert name == NAMES[place]
        assert {int(float(at)) % len(NAMES) for at in moments.split("+")} == {place}, "the shape that is shown"
    times = [float(at) for part in uri.removeprefix("sim:").split(",") for at in part.partition("@")[2].split("+")]
    assert max(times) > 7100
    assert len(times) == 359 + 71
    assert all(f"{name}@" in uri for name in (*NAMES, "undo"))


def test_the_summary_tells_the_slope_of_the_second_half() -> None:
    def sample(number: int) -> dict[str, Any]:
        window = Window()
        window.read(answers([(1000 * number + 10 * n, 2, n) for n in range(5)]))
        memory = {name: 200 + max(0, number - 10) * 0.5 for name in ("rss_mb", "pss_mb", "private_mb")}
        return {"t_s": 360.0 * number, "threads": 8, "files": 9, "load": 1.0, **memory, **window.take()}

    found = summarise({"samples": [sample(number) for number in range(20)], "events": {"learnt": 3}, "troubles": []})
    assert found["memory"]["rss_mb"]["second_half_mb_per_hour"] == pytest.approx(5)
    assert found["memory"]["rss_mb"]["most"] == 204.5
    assert (found["decisions"], found["learnt"], found["undone"]) == (100, 3, 0)
