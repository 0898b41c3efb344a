"""Black pictures, noise and repeated pictures are told from good ones."""

import numpy as np
import pytest

from edge_app.devices.ports import NS_PER_S
from edge_app.errors import DeviceError
from edge_app.messages import Frame
from edge_app.pipeline.inspector import FrameInspector, check_form
from edge_app.simulation.shapes import ShapesScene
from support.pipeline_parts import colour


@pytest.mark.parametrize("size", [(64, 48), (640, 480), (1920, 1080), (5, 3)])
def test_black_noise_and_repeated_pictures_are_told_from_good_ones(size: tuple[int, int]) -> None:
    inspector = FrameInspector()
    shape = (size[1], size[0], 3)
    random = np.random.default_rng(0)
    dark = random.integers(0, 9, shape, np.uint8)
    assert inspector.judge(np.zeros(shape, np.uint8)) == "black"
    assert inspector.judge(dark) == "black"
    if min(size) > 16:
        assert inspector.judge(random.integers(0, 256, shape, np.uint8)) == "noise"
        one, other = (ShapesScene(size=size).image(time) for time in (0, NS_PER_S // 10))
        assert [inspector.judge(image) for image in (one, other, other.copy(), one)] == [
            "good",
            "good",
            "repeated",
            "good",
        ]


def test_one_changed_pixel_is_no_repetition() -> None:
    inspector = FrameInspector()
    image = colour("red", side=200)
    assert inspector.judge(image) == "good"
    changed = image.copy()
    changed[101, 103, 1] ^= 1
    assert inspector.judge(changed) == "good"
    assert inspector.judge(changed) == "repeated"
    inspector.forget()
    assert inspector.judge(changed) == "good"


def test_photographs_are_good() -> None:
    data = pytest.importorskip("skimage.data")
    for name in ("astronaut", "cat", "coffee", "rocket"):
        assert FrameInspector().judge(np.ascontiguousarray(getattr(data, name)())) == "good", name


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (np.zeros((4, 4), np.uint8), r"uint8 \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \(4, 4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \(0, 4, 3\)"),
        (None, "NoneType"),
    ],
)
def test_what_is_no_picture_is_refused(image: np.ndarray, found: str) -> None:
    with pytest.raises(DeviceError, match=f"cam:: the camera delivered {found}.*, expected uint8"):
        check_form(Frame(image, 0, 0), "cam:")
    check_form(Frame(colour("red"), 0, 0), "cam:")
