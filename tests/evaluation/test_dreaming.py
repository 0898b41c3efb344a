"""Dreams in an evaluation are made from the same pictures as on a device."""

import io

import numpy as np
from PIL import Image

from edge_app.datasets.pictures import decode_image
from edge_app.encoder.preprocess import Preprocessor
from edge_app.evaluation.dreaming import DreamEmbedder
from edge_app.learner.dreams import dream_picture
from edge_app.learner.pictures import thumbnail_of


class FlatEncoder:
    """Embeds a picture as its first pixels."""

    fingerprint = "flat"

    def __init__(self) -> None:
        self._preprocess = Preprocessor(32)

    def prepare(self, data: bytes) -> np.ndarray:
        return self._preprocess(decode_image(data))

    def encode(self, picture: np.ndarray) -> np.ndarray:
        return picture.ravel()[:64].copy()


def test_a_dream_is_made_of_the_thumbnail_that_a_device_would_keep() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 40, 3)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    encoder = FlatEncoder()
    thumbnail = thumbnail_of(encoder.prepare(stream.getvalue()).copy())
    for number in (0, 1):
        dreaming = DreamEmbedder(encoder, number)
        expected = encoder.encode(dream_picture(thumbnail, number, 32))
        assert np.array_equal(dreaming.embed(stream.getvalue()), expected)
    assert len({encoder.fingerprint, *(DreamEmbedder(encoder, i).fingerprint for i in range(3))}) == 4
