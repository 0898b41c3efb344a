"""Pairs of pictures and their events: seeded, in two colours, integrals first."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the environment of `make events-encoder`")

from calibration.events.views import first_steps, integral, stream, streams, views
from calibration.spiking.pictures import PicturePool
from edge_app.events.drawing import draw
from edge_app.events.gradient import drawn, edge_integral, events_of_picture


def blocks(seed: int, side: int = 64) -> np.ndarray:
    """Squares of 8 pixels, so that there are edges."""
    colours = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    return colours.repeat(8, axis=0).repeat(8, axis=1)


@pytest.fixture
def pools() -> tuple[PicturePool, ...]:
    pictures = np.stack([blocks(seed) for seed in range(6)])
    return PicturePool(pictures, pictures), PicturePool(pictures, pictures)


@pytest.mark.parametrize("integrals", [True, False])
def test_views_depend_on_seed_step_and_place_alone(pools: tuple[PicturePool, ...], integrals: bool) -> None:
    shown, seen = views(pools, 48, 3, 5, range(12), integrals=integrals)
    assert shown.shape == seen.shape == (12, 48, 48, 3)
    again = views(pools, 48, 3, 5, range(4, 9), integrals=integrals)
    assert np.array_equal(again[0], shown[4:9])
    assert np.array_equal(again[1], seen[4:9])
    assert not np.array_equal(views(pools, 48, 4, 5, range(12), integrals=integrals)[1], seen)


def test_off_is_red_and_on_is_blue(pools: tuple[PicturePool, ...]) -> None:
    seen = views(pools, 48, 0, 0, range(40), integrals=False)[1]
    assert not seen[..., 1].any()
    assert all(one[..., 0].any() or one[..., 2].any() for one in seen)


def test_an_integral_has_one_polarity_a_pixel() -> None:
    seen = integral(blocks(1), np.random.default_rng(0))
    assert seen.any()
    assert not (seen[..., 0].astype(bool) & seen[..., 2].astype(bool)).any()
    change = edge_integral(events_of_picture(blocks(1), threshold=30))
    drawings = (integral(blocks(1), np.random.default_rng(seed)) for seed in range(200))
    wanted = draw(np.stack([np.maximum(change, 0), np.maximum(-change, 0)]), "red-blue")
    assert any(np.array_equal(one, wanted) for one in drawings)


def test_streams_are_what_evaluate_encodes() -> None:
    pictures = np.stack([blocks(2), blocks(4)])
    wanted = np.stack([drawn(events_of_picture(one), "red-blue") for one in pictures])
    assert np.array_equal(streams(pictures), wanted)


def test_training_sees_streams_of_all_lengths_and_motion() -> None:
    seen = {stream(blocks(3), np.random.default_rng(seed))[1].tobytes() for seed in range(400)}
    counted = {drawn(events_of_picture(blocks(3))[:steps], "red-blue").tobytes() for steps in range(1, 9)}
    assert len(seen & counted) >= 4
    either = {
        drawn(events_of_picture(blocks(3), threshold=levels)[:steps], "red-blue").tobytes()
        for levels in range(15, 61)
        for steps in range(1, 9)
    }
    assert len(seen - either) > 0.1 * len(seen)


def test_the_network_sees_the_first_steps_of_what_the_source_is_shown(pools: tuple[PicturePool, ...]) -> None:
    whole, first = first_steps(pools, 48, 0, 7, range(40))
    assert np.array_equal(first, views(pools, 48, 0, 7, range(40), integrals=False)[1])
    # a step only adds events
    assert (first <= whole).all()
    assert 0.1 < np.mean([not np.array_equal(*pair) for pair in zip(whole, first, strict=True)]) < 0.5
