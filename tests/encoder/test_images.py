import numpy as np
import pytest

from edge_app.datasets.pictures import decode_image
from edge_app.encoder import images as image_encoder
from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import load_manifest
from edge_app.encoder.preprocess import Preprocessor
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.errors import InputError
from support.pictures import picture


def test_embeds_as_the_parts_do_and_keeps_the_times() -> None:
    manifest = load_manifest()
    data = picture("red", 1, side=300)
    with ImageEncoder(manifest) as encoder:
        found, other = encoder.embed(data), encoder.embed(picture("blue", 1, side=300))
        assert {stage: len(times) for stage, times in encoder.times_ms.items()} == {
            "decode": 2,
            "preprocess": 2,
            "encode": 2,
        }
    with TFLiteEncoder(manifest) as parts:
        expected = parts.encode(Preprocessor(manifest.input_size, crop=manifest.crop)(decode_image(data)))
        np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(found, other)


def test_corrupt_image_is_refused() -> None:
    with ImageEncoder(load_manifest()) as encoder, pytest.raises(InputError):
        encoder.embed(b"no picture")


def test_fingerprint_changes_with_the_preprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = load_manifest()
    with ImageEncoder(manifest) as one, ImageEncoder(manifest) as two:
        assert one.fingerprint == two.fingerprint

    class Nearer(Preprocessor):
        def __init__(self, size: int, **options: float) -> None:
            super().__init__(size, crop=0.5)

    monkeypatch.setattr(image_encoder, "Preprocessor", Nearer)
    with ImageEncoder(manifest) as nearer:
        assert nearer.fingerprint != one.fingerprint
