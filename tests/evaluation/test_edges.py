"""Pictures evaluated as events."""

import io

import numpy as np
import pytest
from PIL import Image

from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import load_manifest
from edge_app.errors import InputError
from edge_app.evaluation.edges import EdgeEncoder
from edge_app.events.gradient import edge_picture


def file(picture: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG")
    return data.getvalue()


CHECKS = (np.indices((224, 224)).sum(axis=0) // 16 % 2 * 255).astype(np.uint8)[:, :, None].repeat(3, axis=2)


def test_the_edge_picture_of_the_models_input_is_encoded() -> None:
    manifest = load_manifest(None)
    with ImageEncoder(manifest) as plain, EdgeEncoder(manifest) as edges:
        picture = plain.prepare(file(CHECKS)).copy()
        found = edges.prepare(file(CHECKS))
        assert np.array_equal(found, edge_picture(picture))
        assert np.array_equal(edges.embed(file(CHECKS)), plain.encode(edge_picture(picture)))
        assert len(edges.times_ms["events"]) == 2
        assert edges.fingerprint != plain.fingerprint
        assert len(edges.fingerprint) == len(plain.fingerprint)


def test_a_picture_with_few_events_is_left_out_with_the_reason() -> None:
    with (
        EdgeEncoder(load_manifest(None)) as edges,
        pytest.raises(InputError, match="gives 0 events, expected at least 1000"),
    ):
        edges.prepare(file(np.full((64, 64, 3), 90, np.uint8)))
