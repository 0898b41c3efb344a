"""Events of a picture, as ES-ImageNet makes them, against loops that are written from the paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.events.drawing import grey
from edge_app.events.gradient import (
    BORDER,
    STEPS,
    X,
    Y,
    drawn,
    edge_integral,
    edge_picture,
    events_of_picture,
)


def reference_events(picture: np.ndarray) -> np.ndarray:
    """With a threshold on fractions, as the paper has it."""
    height, width, _ = picture.shape
    events = np.zeros((8, 2, height, width), bool)
    for step in range(8):
        for row in range(2, height):
            for column in range(2, width):
                before = max(int(c) for c in picture[row - Y[step], column - X[step]]) / 255
                after = max(int(c) for c in picture[row - Y[step + 1], column - X[step + 1]]) / 255
                events[step, 0, row, column] = after - before > 0.18
                events[step, 1, row, column] = after - before < -0.18
    return events


def reference_integral(events: np.ndarray) -> np.ndarray:
    _, _, height, width = events.shape
    total = np.zeros((height, width), int)
    for step, polarity, row, column in zip(*np.nonzero(events), strict=True):
        to = row - Y[step + 1], column - X[step + 1]
        if min(to) >= 0:
            total[to] += -1 if polarity else 1
    return total


def test_the_path_is_that_of_the_paper() -> None:
    assert (X, Y) == ((1, 0, 2, 1, 0, 2, 1, 1, 2), (0, 2, 1, 0, 1, 2, 0, 1, 1))


@given(st.integers(0, 2**32), st.integers(1, 14), st.integers(1, 14), st.sampled_from([2, 60, 256]))
@settings(max_examples=30, deadline=None)
def test_events_and_integral_equal_plain_loops(seed: int, height: int, width: int, levels: int) -> None:
    picture = np.random.default_rng(seed).integers(0, levels, (height, width, 3)).astype(np.uint8)
    if levels == 2:
        picture *= 255
    events = events_of_picture(picture)
    assert events.dtype == np.bool_
    assert np.array_equal(events, reference_events(picture))
    assert np.array_equal(edge_integral(events), reference_integral(events))


@pytest.mark.parametrize(("rise", "fires"), [(45, False), (46, True), (-45, False), (-46, True)])
def test_a_change_of_more_than_18_percent_fires(rise: int, fires: bool) -> None:
    """0.18 * 255 = 45.9."""
    picture = np.full((9, 9, 3), 100, np.uint8)
    picture[4, 4, 1] = 100 + rise if rise > 0 else 100
    if rise < 0:
        picture[:] = 146
        picture[4, 4] = 146 + rise
    assert events_of_picture(picture).any() == fires


def test_borders_never_fire_and_a_flat_picture_is_grey() -> None:
    picture = np.random.default_rng(1).integers(0, 2, (20, 20, 1)).astype(np.uint8).repeat(3, axis=2) * 255
    events = events_of_picture(picture)
    assert not events[:, :, :BORDER].any()
    assert not events[:, :, :, :BORDER].any()
    assert events[:, :, BORDER].any()
    assert events[:, :, :, BORDER].any()
    assert events[:, :, -1, -1].any()
    assert (edge_picture(np.full((8, 8, 3), 200, np.uint8)) == 128).all()


def test_a_pixel_has_at_most_one_event_a_step_and_the_integral_at_most_8() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    events = events_of_picture(picture)
    assert not (events[:, 0] & events[:, 1]).any()
    assert np.abs(edge_integral(events)).max() <= STEPS


def test_edges_are_where_they_are_in_the_picture() -> None:
    """A bright dot: bright in the integral where it is, dark around it."""
    picture = np.zeros((15, 15, 3), np.uint8)
    picture[7, 9] = 255
    change = edge_integral(events_of_picture(picture))
    assert np.unravel_index(change.argmax(), change.shape) == (7, 9)
    # it comes to another pixel with each jump, and each time the event is moved back to where the dot is
    assert change[7, 9] == STEPS
    assert change.sum() == 0


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (9, 2)])
def test_a_picture_no_larger_than_its_border_has_no_events(shape: tuple[int, int]) -> None:
    assert not events_of_picture(np.full((*shape, 3), 255, np.uint8)).any()


@pytest.mark.parametrize("steps", range(1, STEPS + 1))
def test_the_first_steps_alone_are_moved_back_as_all_are(steps: int) -> None:
    events = events_of_picture(np.random.default_rng(3).integers(0, 256, (20, 17, 3)).astype(np.uint8))
    silent = events.copy()
    silent[steps:] = False
    found = edge_integral(events[:steps])
    assert np.array_equal(found, edge_integral(silent))
    assert np.array_equal(found, reference_integral(events[:steps]))


@pytest.mark.parametrize("steps", [0, 9])
def test_other_numbers_of_steps_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match=f"events of {steps} steps, expected 1 to 8"):
        edge_integral(np.zeros((steps, 2, 4, 4), bool))


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_events_are_drawn_grey_as_the_integral_and_in_two_colours_as_sums(steps: int) -> None:
    events = events_of_picture(np.random.default_rng(4).integers(0, 256, (20, 17, 3)).astype(np.uint8))[:steps]
    assert np.array_equal(drawn(events, "grey"), grey(edge_integral(events)))
    found = drawn(events, "red-blue")
    level = [0, 128, 192, 224, 240, 248, 252, 254, 255]
    for channel, polarity in ((0, 1), (2, 0)):
        counts = events[:, polarity].astype(int).sum(axis=0)
        assert counts.max() > 0
        assert found[:, :, channel].tolist() == [[level[count] for count in row] for row in counts]
    assert not found[:, :, 1].any()
