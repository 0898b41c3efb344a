"""Pictures evaluated as events."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import ModelManifest, load_manifest
from edge_app.errors import InputError
from edge_app.evaluation.edges import EventEncoder, open_encoder
from edge_app.events.gradient import drawn, edge_picture, events_of_picture
from support.models import write_tiny


def file(picture: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG")
    return data.getvalue()


def checks(side: int, square: int) -> np.ndarray:
    return (np.indices((side, side)).sum(axis=0) // square % 2 * 255).astype(np.uint8)[:, :, None].repeat(3, axis=2)


CHECKS, SMALL = checks(224, 16), checks(32, 3)


@pytest.fixture
def of_events(tmp_path: Path) -> ModelManifest:
    """A model that takes events in two colours, 32 pixels a side."""
    return load_manifest(write_tiny(tmp_path / "events", colour="red-blue"))


def test_the_edge_picture_of_the_models_input_is_encoded() -> None:
    manifest = load_manifest(None)
    with ImageEncoder(manifest) as plain, EventEncoder(manifest) as edges:
        picture = plain.prepare(file(CHECKS)).copy()
        found = edges.prepare(file(CHECKS))
        assert np.array_equal(found, edge_picture(picture))
        assert np.array_equal(edges.embed(file(CHECKS)), plain.encode(edge_picture(picture)))
        assert len(edges.times_ms["events"]) == 2
        # as since the first version with events: embeddings in caches stay valid
        assert edges.fingerprint == hashlib.sha256(b"edge pictures 1" + plain.fingerprint.encode()).hexdigest()


def test_a_model_of_events_is_shown_two_colours(of_events: ModelManifest, tmp_path: Path) -> None:
    with EventEncoder(of_events) as encoder:
        assert np.array_equal(encoder.prepare(file(SMALL)), drawn(events_of_picture(SMALL), "red-blue"))
        path = tmp_path / "checks.png"
        path.write_bytes(file(SMALL))
        assert np.array_equal(encoder.prepare(path), drawn(events_of_picture(SMALL), "red-blue"))


@pytest.mark.parametrize("colour", ["RGB", "red-blue"])
def test_the_first_steps_alone_are_shown(colour: str, tmp_path: Path) -> None:
    manifest = load_manifest(write_tiny(tmp_path, colour=colour))
    events = events_of_picture(SMALL)
    for steps in (1, 3, 8):
        with EventEncoder(manifest, steps=steps) as encoder:
            assert np.array_equal(encoder.prepare(file(SMALL)), drawn(events[:steps], manifest.event_colours))


def test_a_cache_keeps_ways_to_show_events_apart(of_events: ModelManifest, tmp_path: Path) -> None:
    """Both manifests are of one file."""
    found = set()
    for manifest in (of_events, load_manifest(write_tiny(tmp_path / "pictures"))):
        for steps in (1, 7, 8):
            with EventEncoder(manifest, steps=steps) as encoder:
                found.add(encoder.fingerprint)
        with ImageEncoder(manifest) as plain:
            found.add(plain.fingerprint)
    assert len(found) == 7


@pytest.mark.parametrize("steps", [1, 8])
def test_a_picture_with_few_events_in_all_steps_is_left_out_with_the_reason(steps: int, tmp_path: Path) -> None:
    with EventEncoder(load_manifest(None), steps=steps) as edges:
        with pytest.raises(InputError, match="gives 0 events, expected at least 1000"):
            edges.prepare(file(np.full((64, 64, 3), 90, np.uint8)))
        (tmp_path / "grey.png").write_bytes(file(np.full((64, 64, 3), 90, np.uint8)))
        with pytest.raises(InputError, match=r"grey\.png gives 0 events"):
            edges.prepare(tmp_path / "grey.png")
        some = np.full((224, 224, 3), 90, np.uint8)
        some[60:160, 60:160] = 200
        events = events_of_picture(some)
        assert np.count_nonzero(events[0]) < 1000 < np.count_nonzero(events)
        assert (edges.prepare(file(some)) != 128).any()


def test_pictures_are_not_shown_to_a_model_of_events(of_events: ModelManifest) -> None:
    with pytest.raises(InputError, match="add --events"):
        open_encoder(of_events, events=False)
    with open_encoder(of_events, events=True) as encoder:
        assert isinstance(encoder, EventEncoder)
    with open_encoder(load_manifest(None), events=False) as encoder:
        assert not isinstance(encoder, EventEncoder)
