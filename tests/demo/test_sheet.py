"""The one picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.demo.run import DemoEvent
from edge_app.demo.sheet import COLUMN, GAP, GREEN, MARGIN, RED, WIDTH, ContactSheet
from edge_app.demo.tally import Tally
from edge_app.errors import InputError


def draw(events: list[DemoEvent], path: Path) -> np.ndarray:
    tally, sheet = Tally(), ContactSheet(2)
    for event in events:
        tally.add(event)
        sheet.add(event)
    sheet.save(path, tally)
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def count_pixels(image: np.ndarray, colour: str) -> int:
    wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return int((image == wanted).all(axis=2).sum())


def test_the_picture_has_frames_with_green_and_red_borders(events: list[DemoEvent], tmp_path: Path) -> None:
    image = draw(events, tmp_path / "demo.png")
    assert image.shape[1] == WIDTH
    assert 1000 < image.shape[0] < 1500
    assert count_pixels(image, GREEN) > 1000
    assert count_pixels(image, RED) > 1000
    for column in range(8):
        left = MARGIN + column * (COLUMN + GAP)
        assert image[150:280, left : left + COLUMN].std() > 5


def test_the_same_events_are_the_same_picture(events: list[DemoEvent], tmp_path: Path) -> None:
    assert np.array_equal(draw(events, tmp_path / "1.png"), draw(events, tmp_path / "2.png"))


def test_a_run_cut_short_has_a_picture_too(events: list[DemoEvent], tmp_path: Path) -> None:
    assert draw(events[:5], tmp_path / "demo.png").shape[1] == WIDTH


def test_a_place_that_cannot_be_written_is_named(events: list[DemoEvent], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.*cannot be written"):
        draw(events, tmp_path / "nowhere" / "demo.png")
