"""Region of interest, rotation and mirroring."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.devices import open_camera
from edge_app.devices.ports import Camera
from edge_app.devices.simulated import SimulatedClock
from edge_app.devices.view import Region, View, split_view
from edge_app.errors import InputError

IMAGE = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(tmp_path / name), IMAGE[:, :, ::-1])
    return tmp_path


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("roi=4x3+2+1", IMAGE[1:4, 2:6]),
        ("rotate=90", np.rot90(IMAGE, -1)),
        ("rotate=180", IMAGE[::-1, ::-1]),
        ("rotate=270", np.rot90(IMAGE)),
        ("mirror=yes", IMAGE[:, ::-1]),
        ("mirror=no,rotate=0,roi=8x6+0+0", IMAGE),
        ("mirror=yes,rotate=90,roi=4x3+2+1", np.rot90(IMAGE[1:4, 2:6], -1)[:, ::-1]),
    ],
)
def test_pictures_are_cut_then_turned_then_mirrored(folder: Path, options: str, expected: np.ndarray) -> None:
    uri = f"dir:{folder}?fps=5,{options}"
    with open_camera(uri, SimulatedClock()) as camera:
        assert isinstance(camera, Camera)
        assert camera.uri == uri
        frame = camera.read(1.0)
        assert np.array_equal(frame.image, expected)
        assert frame.image.flags.c_contiguous
        assert not frame.image.flags.writeable
        assert camera.read(1.0).sequence == 1
        assert camera.dropped == 0
        assert camera.read(1.0) is None


@pytest.mark.parametrize("roi", ["8x6+1+0", "8x6+0+1", "9x1+0+0"])
def test_a_region_outside_the_picture_is_refused(folder: Path, roi: str) -> None:
    with open_camera(f"dir:{folder}?roi={roi}", SimulatedClock()) as camera, pytest.raises(InputError) as caught:
        camera.read(1.0)
    assert f"roi={roi} does not lie inside the picture of 8x6 pixels" in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "rest", "view"),
    [
        ("sim:", "sim:", View()),
        ("sim:rotate=90", "sim:", View(rotation=90)),
        ("sim:seed=3,rotate=90,fps=5", "sim:seed=3,fps=5", View(rotation=90)),
        ("dir:a?mirror=yes", "dir:a", View(mirrored=True)),
        ("http://h/s?rotate=90#mirror=yes,timeout=2", "http://h/s?rotate=90#timeout=2", View(mirrored=True)),
        ("v4l2:/dev/video0?roi=20x30+1+2", "v4l2:/dev/video0", View(Region(20, 30, 1, 2))),
    ],
)
def test_every_scheme_has_them_where_its_options_are(uri: str, rest: str, view: View) -> None:
    assert split_view(uri) == (rest, view)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("roi=1,2,3,4", r"expected WIDTHxHEIGHT\+LEFT\+TOP"),
        ("roi=0x5+1+1", r"expected WIDTHxHEIGHT\+LEFT\+TOP"),
        ("roi=-5x5+1+1", r"expected WIDTHxHEIGHT\+LEFT\+TOP"),
        ("rotate=45", "expected 0, 90, 180 or 270 degrees"),
        ("mirror=left", "expected yes or no"),
        ("rotate=90,rotate=180", "given twice"),
    ],
)
def test_bad_values_are_refused_by_name(option: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_camera(f"sim:scene=shapes,{option}", SimulatedClock())
