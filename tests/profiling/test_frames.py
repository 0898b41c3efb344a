from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_app.errors import InputError, RuntimeMissing
from edge_app.profiling import frames as bench_frames
from edge_app.profiling.frames import make_frames
from edge_app.simulation import photographs


def test_same_frames_every_time_and_each_class_its_own(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(random.integers(0, 256, (300, 420, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    one, two = (make_frames(4, 2, tmp_path) for _ in range(2))
    assert one.images.shape == (4, 2, 480, 640, 3)
    assert one.images.dtype == np.uint8
    np.testing.assert_array_equal(one.images, two.images)
    assert len({frame.tobytes() for frame in one.images.reshape(8, -1)}) == 8
    assert one.source == "2 pictures of --images"


def test_small_and_broken_pictures_are_passed_over(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "small.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="no picture there with sides of 200"):
        make_frames(1, 1, tmp_path)


def test_drawn_pictures_stand_in_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise RuntimeMissing("scikit-image is not installed")

    monkeypatch.setattr(photographs, "picture_folder", missing)
    frames = make_frames(2, 1)
    assert "drawn" in frames.source
    assert all(frame.std() > 20 for frame in frames.images)


def test_window_stays_inside_the_picture() -> None:
    picture = np.full((210, 800, 3), 100, np.uint8)
    for spot in ((-1.0, -1.0), (2.0, 2.0), (0.5, 0.5)):
        frame = bench_frames._window(picture, np.array(spot), 1.5, 1.0)
        assert frame.shape == (480, 640, 3)
        assert (frame == 100).all()
