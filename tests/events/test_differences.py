"""Events of frames, against a loop over pixels."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.events import differences
from edge_app.events.differences import FrameDifferences


def flat(level: int, shape: tuple[int, int] = (2, 3)) -> np.ndarray:
    return np.full((*shape, 3), level, np.uint8)


def test_the_table_has_the_same_bits_everywhere() -> None:
    table = differences._LOG
    assert table.dtype == np.int16
    assert table[0] == 0
    assert (np.diff(table.astype(int)) >= 0).all()
    assert table[255] == round(256 * math.log(255))
    digest = hashlib.sha256(table.astype("<i2").tobytes()).hexdigest()
    assert digest[:16] == "3c05a6f0cf6ffb61"


@given(st.integers(0, 2**32), st.floats(0.01, 5))
@settings(max_examples=30, deadline=None)
def test_events_equal_a_loop_with_memory(seed: int, threshold: float) -> None:
    frames = np.random.default_rng(seed).integers(0, 256, (6, 3, 4, 3)).astype(np.uint8)
    camera = FrameDifferences(threshold)
    step = round(256 * threshold)
    memory = None
    for frame in frames:
        counts = camera.events(frame)
        level = np.array([[int(differences._LOG[max(pixel)]) for pixel in row] for row in frame])
        memory = level.copy() if memory is None else memory
        for (row, column), value in np.ndenumerate(level):
            n = int((value - memory[row, column]) / step)
            memory[row, column] += n * step
            assert counts[:, row, column].tolist() == [max(n, 0), max(-n, 0)]


def test_a_factor_of_brightness_is_the_same_in_light_and_shade() -> None:
    for level in (40, 80, 120):
        camera = FrameDifferences(0.2)
        camera.events(flat(level))
        assert (camera.events(flat(2 * level))[0] == 3).all()  # ln 2 = 3.47 thresholds


def test_slow_changes_add_up() -> None:
    camera = FrameDifferences(0.2)
    camera.events(flat(100))
    assert sum(int(camera.events(flat(level))[0].max()) for level in range(101, 151)) == 2  # ln 1.5 = 2.03 thresholds


def test_the_dark_makes_few_events() -> None:
    """Where log brightness would be steepest it is linear: a level more or less is no event."""
    camera = FrameDifferences(0.2)
    camera.events(flat(1))
    assert not camera.events(flat(2)).any()


def test_another_size_and_a_new_start_fill_the_memory() -> None:
    camera = FrameDifferences()
    assert not camera.events(flat(10)).any()
    assert not camera.events(flat(200, (5, 5))).any()
    camera.forget()
    assert not camera.events(flat(10, (5, 5))).any()
    assert camera.events(flat(200, (5, 5)))[0].all()


@pytest.mark.parametrize("threshold", [0.01, 5])
def test_the_largest_change_fits(threshold: float) -> None:
    camera = FrameDifferences(threshold)
    camera.events(flat(0))
    counts = camera.events(flat(255))
    assert (counts[0] == round(256 * math.log(255)) // round(256 * threshold)).all()
