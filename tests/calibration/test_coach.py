"""Measuring the teaching coach: pictures that a warning is right for, and how rates are counted."""

import numpy as np
import pytest

from calibration import coach as measuring
from edge_app.datasets.contents import Item
from edge_app.pipeline import coach


def picture() -> measuring.Image:
    """Detail of two sizes, (64, 64, 3)."""
    random = np.random.default_rng(3)
    coarse = np.repeat(np.repeat(random.integers(40, 200, (16, 16, 3)), 4, axis=0), 4, axis=1)
    return np.clip(coarse + random.integers(-20, 21, coarse.shape), 0, 255).astype(np.uint8)


def test_altered_pictures_are_what_they_stand_for() -> None:
    random, shown = np.random.default_rng(0), picture()
    assert measuring.darkened(shown, random).mean() < shown.mean() / 10
    again = measuring.again(shown, random)
    assert not np.array_equal(again, shown)
    assert coach.correlation(coach.mosaic_of(np.roll(shown, 2, axis=1)), coach.mosaic_of(again)) > 0.99
    for blurred in (measuring.out_of_focus(shown), measuring.moved(shown)):
        assert coach.blur_of(blurred) > coach.blur_of(shown) + 0.2


def test_classes_take_turns_and_each_picture_comes_with_the_next() -> None:
    classes = {label: [Item("", label, f"{label}{number}") for number in range(4)] for label in "ab"}
    found = [(one.name, after.name) for _, one, after in measuring.spread(classes, 1, 10)]
    assert found == [("a1", "a2"), ("b1", "b2"), ("a2", "a3"), ("b2", "b3")]
    assert len(list(measuring.spread(classes, 0, 3))) == 3


def test_a_warning_is_right_if_it_names_the_true_class() -> None:
    values = {
        "resembles": {
            "right": [(0.9, 0.3, True), (0.9, 0.3, False), (0.5, 0.3, True), (0.9, 0.1, True)],
            "false": [(0.9, 0.3, False), (0.9, 0.1, False)],
        }
    }
    assert measuring.resembling(values, 0.6, 0.2) == (0.25, 0.5)
    assert measuring.share([0.1, 0.5, 0.9, 0.9], 0.5) == pytest.approx(0.75)
