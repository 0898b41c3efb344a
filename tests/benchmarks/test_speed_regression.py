from copy import deepcopy

import pytest

from benchmarks.speed.regression import LEAST, RatioChange, compare, ratios, report
from support.speed_result import result


def changed(value: float, spread: float = 0.01) -> RatioChange:
    """The change of one ratio from 15, with a spread of 0.01."""
    now = deepcopy(result())
    now["classifier"]["64 classes"]["learn_to_decide"] = {"value": value, "spread": spread}
    (found,) = (change for change in compare(result(), now) if change.name == "64 classes: learn_to_decide")
    return found


@pytest.mark.parametrize(
    ("value", "spread", "verdict"),
    [
        (15.0, 0.01, "same"),
        (16.4, 0.01, "same"),
        (16.6, 0.01, "worse"),
        (13.4, 0.01, "better"),
        (16.6, 0.05, "same"),
        (17.5, 0.05, "worse"),
        (30.0, 0.2, "too noisy"),
    ],
)
def test_a_ratio_may_differ_by_what_both_runs_differed_by_within_themselves(
    value: float, spread: float, verdict: str
) -> None:
    assert changed(value, spread).verdict == verdict


def test_small_spreads_are_not_believed() -> None:
    assert changed(15.0, 0.0).allowed == LEAST


def test_less_is_better_in_all_ratios() -> None:
    names = dict(ratios(result()))
    assert names["device: encoder alone to live loop"][0] == pytest.approx(1 / 0.97)
    assert names["CoLaNET to streaming LDA, numpy: learn"][0] == pytest.approx(20 / 1500)
    slower = deepcopy(result())
    slower["device"]["sustained"]["live_to_bare"] = 0.6
    slower["peers"]["to_colanet"]["streaming LDA, numpy: learn"]["value"] /= 2
    worse = {change.name for change in compare(result(), slower) if change.verdict == "worse"}
    assert worse == {"device: encoder alone to live loop", "CoLaNET to streaming LDA, numpy: learn"}


def test_times_do_not_matter() -> None:
    slower = deepcopy(result())
    for size in slower["classifier"].values():
        for key in ("decide_us", "learn_us", "weights_us", "presentation_us"):
            size[key] = {name: 10 * value for name, value in size[key].items()}
    slower["device"]["encoder_invoke_ms"] = {"p50": 99.0, "p95": 100.0}
    assert {change.verdict for change in compare(result(), slower)} == {"same"}


def test_only_what_both_have_is_compared() -> None:
    fewer = deepcopy(result())
    del fewer["classifier"]["200 classes"]
    names = {change.name for change in compare(result(), fewer)}
    assert "200 classes: learn_to_decide" not in names
    assert "64 classes: learn_to_decide" in names


def test_report_names_what_changed() -> None:
    lines = report([changed(30.0), changed(15.0)]).splitlines()
    assert lines == [
        "worse: 64 classes: learn_to_decide 15 -> 30 (allowed: 10%)",
        "1 of 2 ratios are as in the last kept result",
    ]
