"""Preprocessing equals its integer reference to the bit."""

import io
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_app.encoder.preprocess import MAX_SIDE, Preprocessor
from edge_app.errors import InputError
from support import reference_resize as reference


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image: NDArray[np.uint8], kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("size", [32, 224])
@pytest.mark.parametrize(
    "side", [1, 2, 3, 31, 63, 64, 65, 100, 129, 223, 224, 225, 280, 281, 447, 449, 480, 561, 720, 1081]
)
def test_equals_the_integer_reference(side: int, size: int) -> None:
    for frame in (noise(side, side + side // 3), noise(side + 7, side)):
        np.testing.assert_array_equal(Preprocessor(size)(frame), reference.square(frame, size))


@pytest.mark.parametrize("crop", [0.1, 0.5, 0.875])
def test_crop_keeps_the_centre(crop: float) -> None:
    frame = noise(301, 411)
    np.testing.assert_array_equal(Preprocessor(64, crop=crop)(frame), reference.square(frame, 64, crop))


def test_fine_detail_does_not_alias() -> None:
    """A chessboard of single pixels has mean 127.5 everywhere; bare bilinear sampling would show beats of 0..255."""
    for side in (300, 440, 447, 600, 895, 1000):
        board = np.indices((side, side)).sum(axis=0) % 2 * 255
        result = Preprocessor(224)(np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8))
        assert np.abs(result.astype(int) - 127.5).max() <= 64, side


def test_strided_frames_and_given_buffers() -> None:
    wide = noise(90, 120)
    expected = reference.square(np.ascontiguousarray(wide[:, ::-1]), 32)
    out = np.empty((32, 32, 3), np.uint8)
    assert Preprocessor(32)(wide[:, ::-1], out) is out
    np.testing.assert_array_equal(out, expected)
    padded = np.zeros((90, 160, 3), np.uint8)[:, :120]
    padded[:] = wide
    np.testing.assert_array_equal(Preprocessor(32)(padded), reference.square(wide, 32))


def test_the_frame_is_not_written_to_and_the_buffer_is_reused() -> None:
    frame = noise(64, 64)
    frame.flags.writeable = False
    preprocess = Preprocessor(32)
    first = preprocess(frame)
    assert preprocess(frame) is first
    assert not np.shares_memory(first, frame)


def test_many_shapes_do_not_fill_the_memory() -> None:
    preprocess = Preprocessor(8)
    for side in range(1, 60):
        preprocess(noise(side, side))
    assert len(preprocess._plans) <= 8


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        np.broadcast_to(np.uint8(0), (MAX_SIDE + 1, 1, 3)),
        [[1, 2, 3]],
        None,
    ],
)
def test_refuses_what_is_no_frame(frame: object) -> None:
    with pytest.raises(InputError, match="frame is "):
        Preprocessor(8)(frame)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 0}, "size = 0"),
        ({"crop": 0.0}, "crop = 0.0"),
        ({"crop": 1.5}, "crop = 1.5"),
        ({"crop": float("nan")}, "crop = nan"),
    ],
)
def test_refuses_options_out_of_range(options: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named):
        Preprocessor(**{"size": 8, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "out", [np.empty((8, 8, 3), np.int8), np.empty((8, 9, 3), np.uint8), np.empty((8, 16, 3), np.uint8)[:, ::2]]
)
def test_refuses_a_buffer_that_does_not_fit(out: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="out is "):
        Preprocessor(8)(noise(9, 9), out)


def test_importing_it_loads_neither_opencv_nor_pillow() -> None:
    import subprocess

    code = "import sys, edge_app.encoder.preprocess; print([m for m in ('cv2', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
