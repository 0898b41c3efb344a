"""Recordings that are damaged or odd."""

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

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


BOMB = b"BM" + struct.pack("<IIIIiiHHIIiiII", 58, 0, 54, 40, 3_000_000, 2_000_000, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(4)
DDS = b"DDS \x7c\0\0\0" + bytes(140)


@pytest.mark.parametrize("content", [b"", b"not a picture", BOMB, DDS, b"\x89PNG\r\n\x1a\n" + bytes(30)])
def test_a_damaged_picture_is_named_and_passed_over(tmp_path: Path, content: bytes) -> None:
    save(tmp_path, "1.png", 10)
    (tmp_path / "2.png").write_bytes(content)
    save(tmp_path, "3.png", 30)
    with open_camera(f"dir:{tmp_path}", SimulatedClock()) as camera:
        camera.read(1.0)
        with pytest.raises(DeviceError, match=r"2\.png (is|cannot be read).*; remove or replace it"):
            camera.read(1.0)
        assert camera.read(1.0).image[0, 0, 0] == 30


@pytest.mark.parametrize("late_s", [0.2, 1.0, 60.0])
def test_the_last_picture_is_shown_however_late_the_reader_is(tmp_path: Path, late_s: float) -> None:
    for number in range(3):
        save(tmp_path, f"{number}.png", number)
    clock = SimulatedClock()
    with open_camera(f"dir:{tmp_path}?fps=10", clock) as camera:
        clock.advance(late_s)
        frame = camera.read(1.0)
        assert (int(frame.image[0, 0, 0]), frame.sequence, camera.dropped) == (2, 2, 2)
        assert camera.read(1.0) is None
        assert camera.dropped == 2


def test_companion_files_are_not_pictures(tmp_path: Path) -> None:
    save(tmp_path, "1.png", 10)
    for name in ("._1.png", ".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7" + bytes(4092))
    (tmp_path / "album.png").mkdir()
    with open_camera(f"dir:{tmp_path}", SimulatedClock()) as camera:
        assert camera.read(1.0).image[0, 0, 0] == 10
        assert camera.read(1.0) is None


def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.png")
    with open_camera(f"dir:{tmp_path}", SimulatedClock()) as camera, pytest.raises(DeviceError, match="named pipe"):
        camera.read(1.0)


def test_pictures_are_upright_and_on_white_as_when_they_are_taught(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (9, 5), (0, 200, 0)).save(tmp_path / "1.webp", exif=exif)
    Image.new("RGBA", (9, 5), (0, 0, 0, 0)).save(tmp_path / "2.png")
    with open_camera(f"dir:{tmp_path}", SimulatedClock()) as camera:
        assert camera.read(1.0).image.shape == (9, 5, 3)
        assert camera.read(1.0).image.min() == 255


@pytest.mark.parametrize("name", ["what?", "a?b=c/d", "?", "fps?"])
@pytest.mark.parametrize("options", ["", "?fps=5", "?fps=5,loop=no"])
def test_a_question_mark_may_be_a_part_of_the_path(tmp_path: Path, name: str, options: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    save(tmp_path / name, "1.png", 10)
    with open_camera(f"dir:{tmp_path / name}{options}", SimulatedClock()) as camera:
        assert camera.read(1.0).image[0, 0, 0] == 10


def test_a_picture_that_vanished_is_named(tmp_path: Path) -> None:
    save(tmp_path, "1.png", 10)
    with open_camera(f"dir:{tmp_path}", SimulatedClock()) as camera:
        (tmp_path / "1.png").unlink()
        with pytest.raises(DeviceError, match=r"1\.png cannot be read: No such file"):
            camera.read(1.0)


def test_a_folder_without_pictures_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no pictures in the folder"):
        open_camera(f"dir:{tmp_path}", SimulatedClock())


def test_what_is_no_video_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    path.write_bytes(b"RIFF but no more")
    with pytest.raises(DeviceError, match="cannot read this as a video"):
        open_camera(f"file:{path}", SimulatedClock())


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("file:{}/pipe", "named pipe"),
        ("file:{}", "is a folder"),
        ("file:{}/" + "a" * 300, "File name too long"),
        ("file:a\0b", "not a path"),
        ("dir:a\0b", "not a path"),
    ],
)
def test_what_is_no_path_to_a_file_or_folder_is_named(uri: str, reason: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DeviceError, match=reason):
        open_camera(uri.format(tmp_path), SimulatedClock())
