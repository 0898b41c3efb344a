import numpy as np
import pytest

from edge_app.evaluation import tuning
from support.clusters import N_CLASSES, clusters


def test_takes_the_setting_that_decides_most_held_out_examples_right() -> None:
    rows, labels = clusters(each=40, spread=60)
    names = [f"{number:03}" for number in range(len(labels))]
    found = tuning.choose(rows, labels, names, N_CLASSES, shots=2)
    assert set(found) <= set(tuning.GRIDS)
    for name, options in found.items():
        setting, values = tuning.GRIDS[name]
        assert list(options) == [setting]
        assert options[setting] in values


def test_a_setting_that_ruins_a_baseline_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = clusters(each=40, spread=60)
    names = [f"{number:03}" for number in range(len(labels))]
    monkeypatch.setattr(tuning, "GRIDS", {"online_softmax": ("rate", (0.0, 8.0))})
    assert tuning.choose(rows, labels, names, N_CLASSES, shots=None) == {"online_softmax": {"rate": 8.0}}


def test_held_out_examples_are_neither_learnt_nor_next_to_learnt_ones() -> None:
    labels = np.repeat(np.arange(2), 40)
    names = [f"{number:03}" for number in range(80)]
    learn, held = tuning._split(labels, names, None, 0)
    assert len(held) == 20
    assert len(learn) == 2 * (40 - 10 - 5)
    for row in held:
        assert min(abs(int(row) - int(other)) for other in learn if labels[other] == labels[row]) > 5
    few, _ = tuning._split(labels, names, 3, 0)
    assert np.bincount(labels[few]).tolist() == [3, 3]
    one, none = tuning._split(np.array([0]), ["a"], None, 0)
    assert (one.tolist(), none.tolist()) == ([0], [])
