import numpy as np
import pytest

from edge_app.evaluation.trial import percentiles, running_accuracy, with_wrong_labels


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


NAMES = [f"{number}.jpg" for number in range(300)]
LABELS = np.arange(300) % 3 * 2


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 1.0])
def test_so_many_labels_are_wrong(share: float) -> None:
    wrong = with_wrong_labels(LABELS, NAMES, share, seed=0)
    assert (wrong != LABELS).sum() == round(300 * share)
    assert set(wrong.tolist()) == {0, 2, 4}


def test_all_other_classes_are_taken_and_the_seed_decides() -> None:
    wrong = with_wrong_labels(LABELS, NAMES, 1.0, seed=0)
    moved = [tuple(pair) for pair in np.stack([LABELS, wrong], axis=1).tolist()]
    assert min(moved.count((a, b)) for a in (0, 2, 4) for b in (0, 2, 4) if a != b) > 30
    assert (with_wrong_labels(LABELS, NAMES, 0.2, 0) == with_wrong_labels(LABELS, NAMES, 0.2, 0)).all()
    assert (with_wrong_labels(LABELS, NAMES, 0.2, 0) != with_wrong_labels(LABELS, NAMES, 0.2, 1)).any()


def test_one_class_has_no_other() -> None:
    assert with_wrong_labels(np.array([5, 5]), ["a", "b"], 1.0, 0).tolist() == [5, 5]
