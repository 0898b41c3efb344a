"""Dreams of a picture: which part of it, mirrored or not; the same bytes on every machine."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.errors import InputError
from edge_app.learner.dreams import LARGEST, SMALLEST, Alteration, alteration, altered, dream_picture
from edge_app.learner.pictures import thumbnail_of

RAMP = np.arange(224, dtype=np.uint32)
WAVES = ((RAMP[:, None, None] * RAMP[None, :, None] // np.array([7, 61, 503], np.uint32)) & 255).astype(np.uint8)


@settings(deadline=None)
@given(st.binary(max_size=50), st.integers(0, 20), st.integers(1, 512))
def test_an_alteration_lies_in_the_picture(jpeg: bytes, number: int, size: int) -> None:
    how = alteration(jpeg, number, size)
    assert 0 <= how.left <= size - how.side
    assert 0 <= how.top <= size - how.side
    assert round(SMALLEST * size) <= how.side <= round(LARGEST * size) or how.side == 1
    assert how.mirror == (number % 2 == 1)
    assert how == alteration(jpeg, number, size)


def test_alterations_differ_from_picture_to_picture_and_from_dream_to_dream() -> None:
    drawn = {alteration(b"%d" % picture, number, 224) for picture in range(50) for number in range(4)}
    assert len(drawn) > 190
    assert min(how.side for how in drawn) < 172
    assert max(how.side for how in drawn) > 208


def test_the_whole_picture_comes_back_as_it_is_and_mirrored() -> None:
    assert np.array_equal(altered(WAVES, Alteration(0, 0, 224, mirror=False)), WAVES)
    assert np.array_equal(altered(WAVES, Alteration(0, 0, 224, mirror=True)), WAVES[:, ::-1])


def test_a_part_is_enlarged_in_place() -> None:
    image = np.zeros((224, 224, 3), np.uint8)
    image[40:60, 100:130] = 200
    seen = altered(image, Alteration(left=80, top=20, side=112, mirror=False))
    rows, columns = np.nonzero(seen[..., 0] > 100)
    assert (rows.min(), rows.max() + 1) == (40, 80)
    assert (columns.min(), columns.max() + 1) == (40, 100)
    mirrored = altered(image, Alteration(left=80, top=20, side=112, mirror=True))
    assert np.array_equal(mirrored, seen[:, ::-1])


def test_the_bytes_are_the_same_on_every_machine() -> None:
    digest = hashlib.sha256()
    for number in range(6):
        picture = altered(WAVES, alteration(b"waves", number, 224))
        assert picture.shape == (224, 224, 3)
        assert picture.flags.c_contiguous
        digest.update(picture.tobytes())
    assert digest.hexdigest() == "e073b9b2bf462832be376907993ee2acf9d48410ed4af72701687d065344aaf9"


def test_a_thumbnail_of_any_size_becomes_the_encoders_input() -> None:
    assert dream_picture(thumbnail_of(WAVES[:100, :80].copy()), 1, 64).shape == (64, 64, 3)


def test_a_damaged_thumbnail_is_refused() -> None:
    with pytest.raises(InputError, match="a thumbnail is not a picture"):
        dream_picture(b"no JPEG", 0, 64)
