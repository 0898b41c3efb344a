"""The shipped model's embedding is the Gaussian-weighted mean of the map that it outputs."""

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.encoder.model import SHORT_NAMES, MapOutput, ModelManifest, load_manifest
from edge_app.encoder.pooling import drive_per_cell, gaussian
from edge_app.encoder.selfcheck import picture
from edge_app.encoder.tflite import TFLiteEncoder
from edge_app.errors import InputError, ModelMismatch

TWO_VIEWS = "lite0x2"


@pytest.mark.parametrize(("side", "sigma"), [(7, 2.0), (8, 2.3), (1, 2.0)])
def test_weights_sum_to_one_and_are_symmetric(side: int, sigma: float) -> None:
    weights = gaussian(side, sigma)
    assert weights.shape == (side, side)
    assert weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(weights, weights.T)
    np.testing.assert_allclose(weights, weights[::-1, ::-1])


def test_weights_fall_as_a_gaussian_does() -> None:
    weights = gaussian(7, 2.0)
    assert weights[3, 4] / weights[3, 3] == pytest.approx(np.exp(-1 / 8))
    assert weights[0, 0] / weights[3, 3] == pytest.approx(np.exp(-18 / 8))


@pytest.mark.parametrize("name", [name for name in SHORT_NAMES if name != TWO_VIEWS])
def test_the_embedding_is_the_weighted_map(name: str) -> None:
    manifest = load_manifest(name)
    shown = picture(manifest.input_size)
    told = manifest.last_map
    assert told is not None
    assert (manifest.pooling, told.zero_point) == ("gaussian", 0)
    assert manifest.sigma is not None
    with TFLiteEncoder(manifest) as encoder:
        embedding, cells = encoder.encode_with_map(shown)
        np.testing.assert_array_equal(encoder.encode(shown), embedding)
    assert cells.shape == (told.side, told.side, manifest.embedding_size)
    assert cells.dtype == np.uint8
    weighted = np.einsum("ij,ijc->c", gaussian(told.side, manifest.sigma), cells * told.scale)
    levels = np.minimum(weighted / manifest.embedding_scale, 255)
    # the weights have 8 bits, and the sum is rounded
    np.testing.assert_allclose(embedding, levels, rtol=0.002, atol=0.6)
    assert np.sum(embedding > 50) > 20


def test_two_views_are_the_mean_of_the_picture_and_its_middle() -> None:
    default, twice = load_manifest(), load_manifest(TWO_VIEWS)
    shown = picture(twice.input_size)
    edge = (twice.input_size - default.input_size) // 2
    middle = np.ascontiguousarray(shown[edge:-edge, edge:-edge])
    with TFLiteEncoder(default) as encoder, TFLiteEncoder(twice) as both:
        whole, cells = encoder.encode_with_map(cv2.resize(shown, (224, 224), interpolation=cv2.INTER_LINEAR_EXACT))
        mean = (whole.astype(float) + encoder.encode(middle)) / 2 * default.embedding_scale
        found, found_cells = both.encode_with_map(shown)
    # each model was quantised on its own
    assert cosine(found * twice.embedding_scale, mean) > 0.99
    assert cosine(found_cells.ravel(), cells.ravel()) > 0.98, "the map is that of the whole picture"


def cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(a.astype(float) @ b / np.linalg.norm(a) / np.linalg.norm(b.astype(float)))


def test_drive_is_divided_among_the_cells_that_caused_it() -> None:
    cells = np.zeros((3, 3, 4), np.uint8)
    cells[0, 0, 0] = 9  # one cell alone
    cells[1, 1, 1] = cells[1, 2, 1] = 100  # two cells, of which the middle one weighs more
    cells[:, :, 2] = 7
    drive = np.array([3.0, -2.0, 4.5, 8.0])  # the last channel is 0 everywhere: nobody caused its drive
    found = drive_per_cell(drive, cells, sigma=1.0, zero_point=0)
    weights = gaussian(3, 1.0)
    expected = 4.5 * weights
    expected[0, 0] += 3.0
    middle, right = weights[1, 1], weights[1, 2]
    expected[1, 1] -= 2.0 * middle / (middle + right)
    expected[1, 2] -= 2.0 * right / (middle + right)
    np.testing.assert_allclose(found, expected)
    assert found.sum() == pytest.approx(5.5)
    raised = np.where(cells > 0, cells + 10, 10).astype(np.uint8)
    np.testing.assert_allclose(drive_per_cell(drive, raised, sigma=1.0, zero_point=10), found)


def test_a_model_without_a_map_says_so(tiny: ModelManifest) -> None:
    with TFLiteEncoder(tiny) as encoder, pytest.raises(InputError, match=r"tiny does not output its last map"):
        encoder.encode_with_map(np.zeros((32, 32, 3), np.uint8))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"side": 8}, r"map.side and embedding.size = \(1, 8, 8, 1280\)"),
        ({"dtype": "uint8"}, "map.dtype = uint8"),
        ({"scale": 0.5}, "map.scale = 0.5"),
        ({"zero_point": 1}, "map.zero_point = 1"),
    ],
)
def test_a_manifest_that_lies_of_the_map_is_refused(change: dict[str, Any], named: str) -> None:
    manifest = load_manifest()
    assert manifest.last_map is not None
    wrong = dataclasses.replace(manifest, last_map=dataclasses.replace(manifest.last_map, **change))
    with pytest.raises(ModelMismatch, match=named):
        TFLiteEncoder(wrong)


def test_a_map_that_the_model_does_not_give_is_refused(tiny: ModelManifest) -> None:
    wrong = dataclasses.replace(tiny, last_map=MapOutput(side=8, dtype="uint8", scale=0.1, zero_point=0))
    with pytest.raises(ModelMismatch, match="map = a second output"):
        TFLiteEncoder(wrong)
