"""Dreams in an evaluation come in the order in which a device would make them, and from the same pictures."""

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_app.encoder.preprocess import Preprocessor, decode_image
from edge_app.evaluation.dreaming import DreamEmbedder
from edge_app.evaluation.dreams import dream_steps
from edge_app.learner.consolidation import ReplayPolicy, choose
from edge_app.learner.dreams import dream_picture
from edge_app.learner.pictures import thumbnail_of
from edge_app.storage.records import ReplayCandidate


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), max_size=12), st.integers(0, 4), st.integers(0, 9), st.integers(0, 4))
def test_the_order_is_that_of_a_device(labels: list[int], per_example: int, per_class: int, rehearsals: int) -> None:
    bounds = ReplayPolicy(per_example, per_class, rehearsals)
    dreamers = [ReplayCandidate(i + 1, str(label), 0) for i, label in enumerate(labels)]
    taught = {str(label): labels.count(label) for label in labels}
    expected = []
    while (found := choose(dreamers, taught, bounds)) is not None:
        expected.append((found.example - 1, found.number, found.altered))
        dreamers[found.example - 1] = dreamers[found.example - 1]._replace(dreams=found.number + 1)
    assert dream_steps(labels, bounds) == expected


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
