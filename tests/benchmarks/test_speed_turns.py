import numpy as np
import pytest

from benchmarks.speed.turns import low, ratio, take_turns


def test_jobs_take_turns_and_each_slice_is_long_enough() -> None:
    called: list[str] = []
    times = take_turns(
        {"a": lambda: called.append("a"), "b": lambda: called.append("b")}, seconds=0, slice_s=1e-9, fewest=3
    )
    assert "".join(called).endswith("ababab")
    assert {name: taken.shape for name, taken in times.items()} == {"a": (3,), "b": (3,)}
    assert min(times["a"]) > 0


def test_a_ratio_is_that_of_undisturbed_times() -> None:
    quiet = np.full(100, 2e-6)
    disturbed = quiet.copy()
    disturbed[::2] *= 50
    assert ratio(disturbed, quiet) == {"value": 1.0, "spread": 0.0}
    assert low(disturbed) == 2e-6


def test_a_ratio_that_drifts_has_a_spread() -> None:
    drifting = np.repeat([1.0, 1.1, 1.2, 1.3, 1.4], 20)
    found = ratio(drifting, np.ones(100))
    assert found["value"] == pytest.approx(1.0)
    assert found["spread"] == pytest.approx(0.2)
