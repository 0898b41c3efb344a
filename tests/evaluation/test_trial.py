import numpy as np
import pytest

from edge_app.evaluation.trial import percentiles, running_accuracy


def test_percentiles() -> None:
    assert percentiles(list(range(101))) == {"p50": 50.0, "p95": 95.0}
    assert percentiles([]) == {"p50": None, "p95": None}


def test_running_accuracy_keeps_the_first_and_the_last_step() -> None:
    hits = np.array([False] * 500 + [True] * 500)
    curve = running_accuracy(hits, points=50)
    assert len(curve) == 50
    assert curve[0] == 0
    assert curve[-1] == 0.5
    np.testing.assert_allclose(running_accuracy(np.array([True, False, True])), [1, 0.5, 2 / 3])
    assert len(running_accuracy(np.zeros(0, bool))) == 0


@pytest.mark.parametrize("count", [1, 2, 199, 200, 201])
def test_running_accuracy_of_any_length(count: int) -> None:
    assert len(running_accuracy(np.ones(count, bool))) == min(count, 200)
