"""Region of interest, rotation and mirroring."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.devices import open_camera
from edge_app.devices.ports import Camera
from edge_app.devices.view import Region, View
from edge_app.simulation.devices import SimulatedClock

IMAGE = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("1.png", "2.png"):
        cv2.imwrite(str(tmp_path / name), IMAGE[:, :, ::-1])
    return tmp_path


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View(), IMAGE),
        (View(Region(0.25, 1 / 6, 0.5, 0.5)), IMAGE[1:4, 2:6]),
        (View(rotation=90), np.rot90(IMAGE, -1)),
        (View(rotation=180), IMAGE[::-1, ::-1]),
        (View(rotation=270), np.rot90(IMAGE)),
        (View(mirror=True), IMAGE[:, ::-1]),
        (View(Region(0.25, 1 / 6, 0.5, 0.5), 90, True), np.rot90(IMAGE[1:4, 2:6], -1)[:, ::-1]),
        (View(Region(0.999, 0.999, 0.0001, 0.0001)), IMAGE[5:, 7:]),
    ],
)
def test_pictures_are_cut_then_turned_then_mirrored(folder: Path, view: View, expected: np.ndarray) -> None:
    uri = f"dir:{folder}?fps=5"
    with open_camera(uri, SimulatedClock(), view) as camera:
        assert isinstance(camera, Camera)
        assert camera.uri == uri
        frame = camera.read(1.0)
        assert np.array_equal(frame.image, expected)
        assert frame.image.flags.c_contiguous
        assert not frame.image.flags.writeable
        assert camera.read(1.0).sequence == 1
        assert camera.dropped == 0
        assert camera.read(1.0) is None
