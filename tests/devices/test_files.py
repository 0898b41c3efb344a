"""Recordings that are damaged or odd."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.devices import open_camera
from edge_app.errors import DeviceError
from edge_app.simulation.devices import SimulatedClock


def save(folder: Path, name: str, level: int, size: tuple[int, int] = (8, 8)) -> None:
    cv2.imwrite(str(folder / name), np.full((*size, 3), level, np.uint8))


def test_names_are_taken_in_natural_order(tmp_path: Path) -> None:
    for name, level in (("10.png", 100), ("2.png", 20), ("1.png", 10), ("notes.txt.png", 200)):
        save(tmp_path, name, level)
    (tmp_path / "readme.txt").write_text("no picture")
    with open_camera(f"dir:{tmp_path}", SimulatedClock()) as camera:
        assert [int(camera.read(1.0).image[0, 0, 0]) for _ in range(4)] == [10, 20, 100, 200]


def test_pictures_may_differ_in_size_and_be_grey(tmp_path: Path) -> None:
    save(tmp_path, "1.png", 10, (8, 8))
    cv2.imwrite(str(tmp_path / "2.png"), np.full((5, 9), 77, np.uint8))
    with open_camera(f"dir:{tmp_path}", SimulatedClock()) as camera:
        assert camera.read(1.0).image.shape == (8, 8, 3)
        assert camera.read(1.0).image.shape == (5, 9, 3)


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_a_damaged_picture_is_named_and_passed_over(tmp_path: Path, content: bytes) -> None:
    save(tmp_path, "1.png", 10)
    (tmp_path / "2.png").write_bytes(content)
    save(tmp_path, "3.png", 30)
    with open_camera(f"dir:{tmp_path}", SimulatedClock()) as camera:
        camera.read(1.0)
        with pytest.raises(DeviceError, match=r"2\.png is damaged or no picture"):
            camera.read(1.0)
        assert camera.read(1.0).image[0, 0, 0] == 30


def test_a_picture_that_vanished_is_named(tmp_path: Path) -> None:
    save(tmp_path, "1.png", 10)
    with open_camera(f"dir:{tmp_path}", SimulatedClock()) as camera:
        (tmp_path / "1.png").unlink()
        with pytest.raises(DeviceError, match=r"cannot read 1\.png"):
            camera.read(1.0)


def test_a_folder_without_pictures_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no pictures in the folder"):
        open_camera(f"dir:{tmp_path}", SimulatedClock())


def test_what_is_no_video_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    path.write_bytes(b"RIFF but no more")
    with pytest.raises(DeviceError, match="cannot read this as a video"):
        open_camera(f"file:{path}", SimulatedClock())
