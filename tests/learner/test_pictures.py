"""Thumbnails."""

import io

import numpy as np
from PIL import Image

from edge_app.datasets.pictures import decode_thumbnail
from edge_app.learner.pictures import THUMBNAIL_QUALITY, is_two_coloured, thumbnail_of


def test_events_in_two_colours_keep_them() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, ::4, 0] = image[:, 1::4, 2] = 255
    assert is_two_coloured(image)
    error = np.abs(decode_thumbnail(thumbnail_of(image)).astype(int) - image)
    assert error.mean() < 8


def test_thumbnails_of_photographs_are_as_before() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=THUMBNAIL_QUALITY)
    assert thumbnail_of(image) == stream.getvalue()
    assert not is_two_coloured(image)
    assert not is_two_coloured(np.zeros((8, 8, 3), np.uint8))
