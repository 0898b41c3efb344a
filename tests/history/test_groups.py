"""Visits that look alike are grouped, the same way whatever the machine."""

import numpy as np

from edge_app.history.groups import SCALE, cosines, group


def likes_of(seed: int, count: int, noise: int = 8) -> np.ndarray:
    """Embeddings that resemble one another."""
    random = np.random.default_rng(seed)
    base = random.integers(0, 200, 64) * (random.random(64) < 0.3)
    rows = base + random.integers(0, noise, (count, 64))
    return rows.astype(np.uint8)


def test_cosines_are_whole_numbers_and_one_with_itself() -> None:
    rows = np.array([[3, 4], [4, 3], [0, 0], [6, 8]], np.uint8)
    found = cosines(rows)
    assert found.dtype == np.int64
    assert found[0].tolist() == [SCALE, SCALE * 24 // 25, 0, SCALE]
    assert found[2].tolist() == [0, 0, 0, 0]


def test_those_that_look_alike_are_one_group_and_a_single_one_is_none() -> None:
    rows = np.concatenate([likes_of(1, 5), likes_of(2, 3), likes_of(3, 1)])
    mixed = [4, 8, 0, 6, 2, 5, 1, 7, 3]
    ids = [100 + index for index in mixed]
    found = group(ids, rows[mixed])
    assert [sorted(one.visits) for one in found] == [[100, 101, 102, 103, 104], [105, 106, 107]]
    assert all(0.8 <= one.likeness <= 1 for one in found)


def test_the_same_embeddings_give_the_same_groups() -> None:
    rows = np.concatenate([likes_of(seed, 4, noise=60) for seed in range(6)])
    ids = list(range(len(rows)))
    assert group(ids, rows) == group(ids, rows.copy())


def test_none_and_one_give_no_groups() -> None:
    assert group([], np.zeros((0, 64), np.uint8)) == []
    assert group([1], likes_of(1, 1)) == []
