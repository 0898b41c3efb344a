import pytest

from benchmarks.speed.targets import Target, targets
from support.speed_result import result


@pytest.mark.parametrize(
    ("target", "met", "verdict"),
    [
        (Target("a", 1.5, 1.5), True, "pass"),
        (Target("a", 1.51, 1.5), False, "short"),
        (Target("a", 99.0, 100.0, False), False, "short"),
        (Target("a", 100.0, 100.0, False), True, "pass"),
        (Target("a", None, 1.0), None, "-"),
    ],
)
def test_a_limit_is_the_most_or_the_least(target: Target, met: bool | None, verdict: str) -> None:
    assert target.met is met
    assert target.line()[-1] == verdict


def test_a_line_says_figure_aim_and_unit() -> None:
    assert Target("start", 0.7712, 3.0, unit=" s").line() == ("start", "0.7712 s", "at most 3 s", "pass")
    assert Target("rate", 18_000.0, 18_700.0, False, "/s").line()[1:3] == ("1.8e+04/s", "at least 1.87e+04/s")
    assert Target("idle", None, 0.05).line()[1] == "not measured"


def test_every_target_has_its_figure() -> None:
    found = {target.name: target for target in targets(result())}
    assert len(found) == len(targets(result()))
    assert all(target.value is not None for target in found.values())
    short = {name for name, target in found.items() if not target.met}
    assert "learn one example / decide, 64 classes" in short
    assert "whole decision / memory floor, 64 classes" in short
    assert "weights' pass / memory floor, 64 classes" not in short
    assert found["KNP's network: decisions"].limit == 18_700


def test_what_did_not_run_is_not_judged() -> None:
    found = {target.name: target.met for target in targets(result() | {"idle": None, "live_memory": None})}
    assert [name for name, met in found.items() if met is None] == [
        "resident memory, 64 classes, edge-app run that has taught",
        "idle mode, of one core",
    ]
