"""The live picture is made once for all, only when someone asks, and what was shown can be taught for a while."""

import numpy as np
import pytest

from edge_app.control.errors import FrameGone
from edge_app.control.pictures import KEEP_AT_MOST, Pictures, scaled, to_jpeg
from edge_app.datasets.pictures import decode_image
from edge_app.devices.ports import NS_PER_S
from edge_app.encoder.preprocess import Preprocessor
from edge_app.pipeline.recent import RecentFrames
from edge_app.simulation.devices import SimulatedClock
from support.pipeline_parts import SIDE, frame, make_preprocess


class Rig:
    def __init__(self) -> None:
        self.clock, self.recent = SimulatedClock(NS_PER_S), RecentFrames()
        self.pictures = Pictures(
            self.recent,
            lambda image, side: Preprocessor(min(side, SIDE))(image),
            make_preprocess(),
            self.clock,
            max_fps=10,
        )

    def show(self, name: str, sequence: int, after_s: float = 0.05) -> None:
        self.clock.advance(after_s)
        self.recent.add(frame(name, self.clock.monotonic_ns() / NS_PER_S, sequence))


def test_a_picture_is_made_once_and_no_oftener_than_allowed() -> None:
    rig = Rig()
    with pytest.raises(FrameGone, match="no picture"):
        rig.pictures.newest()
    for number in range(10):
        rig.show("red", number)
    assert rig.pictures.encoded == 0
    first = rig.pictures.newest()
    assert (first.sequence, rig.pictures.newest(), rig.pictures.encoded) == (9, first, 1)
    rig.show("blue", 10)
    assert rig.pictures.newest() == first
    rig.show("blue", 11)
    assert (rig.pictures.newest().sequence, rig.pictures.encoded) == (11, 2)
    assert rig.pictures.newest(320).sequence == 11
    assert rig.pictures.encoded == 3
    assert rig.pictures.newest(50).sequence == rig.pictures.newest(400).sequence == 11
    assert rig.pictures.encoded == 3
    colour = decode_image(rig.pictures.newest().jpeg).mean(axis=(0, 1))
    assert colour.argmax() == 2  # blue is blue


def test_an_old_frame_is_no_live_picture() -> None:
    rig = Rig()
    rig.show("red", 0)
    rig.clock.advance(3)
    with pytest.raises(FrameGone):
        rig.pictures.newest()
    with pytest.raises(FrameGone):
        rig.pictures.find(None)


def test_what_was_shown_is_kept_for_seconds_and_no_longer() -> None:
    rig = Rig()
    rig.show("red", 0)
    shown = rig.pictures.newest()
    for number in range(1, 50):
        rig.show("blue", number, 0.1)
        rig.pictures.newest()
    seen = rig.pictures.find(shown.sequence)
    assert (seen.sequence, seen.picture.shape) == (0, (SIDE, SIDE, 3))
    assert seen.picture.mean(axis=(0, 1)).argmax() == 0
    for number in range(50, 80):
        rig.show("blue", number, 0.1)
        rig.pictures.newest()
    with pytest.raises(FrameGone, match="frame 0 is not kept"):
        rig.pictures.find(0)
    for number in range(80, 80 + 2 * KEEP_AT_MOST):
        rig.show("red", number, 0.02)
        rig.pictures.keep(number)
    with pytest.raises(FrameGone):
        rig.pictures.find(80 + KEEP_AT_MOST - 1)
    assert rig.pictures.find(80 + KEEP_AT_MOST).sequence == 80 + KEEP_AT_MOST


def test_the_embedding_comes_along_where_there_is_one() -> None:
    rig = Rig()
    rig.show("red", 0)
    assert rig.pictures.find(0).embedding is None
    rig.recent.add_embedding(rig.clock.monotonic_ns(), np.ones(32, np.uint8))
    found = rig.pictures.find(0).embedding
    assert found is not None
    assert found.tolist() == [1] * 32


def test_jpeg_keeps_the_colours() -> None:
    image = np.zeros((32, 48, 3), np.uint8)
    image[..., 0] = 200
    assert decode_image(to_jpeg(image))[5, 5].tolist() == pytest.approx([200, 0, 0], abs=6)


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [
        ((48, 64), 320, (48, 64)),
        ((480, 640), 320, (240, 320)),
        ((640, 480), 320, (320, 240)),
        ((1, 2000), 320, (1, 320)),
    ],
)
def test_a_whole_picture_is_scaled_down_and_never_up(
    shape: tuple[int, int], side: int, expected: tuple[int, int]
) -> None:
    image = np.full((*shape, 3), 7, np.uint8)
    assert scaled(image, side).shape == (*expected, 3)
    assert (scaled(image, side) == 7).all()


def test_the_size_is_that_of_a_frame_that_is_there_now() -> None:
    rig = Rig()
    assert rig.pictures.size is None
    rig.show("red", 1)
    assert rig.pictures.size == (32, 32)
    rig.clock.advance(3)
    assert rig.pictures.size is None
