"""The pairs that the encoder of events is trained on: a picture for the source, its events for the network.

The pictures are those of `calibration.spiking.pictures`. A view's events are drawn in two colours, as the camera draws
them (`edge_app.events.drawing`), and are made in one of these ways, drawn at random:

integral   the events of the picture's jumps, moved back and summed, ON less OFF (`edge_app.events.gradient`)
stream     the same events as they come: the sums of ON and of OFF over the first 1 to 8 steps
motion     the changes of log brightness between the picture and itself, moved (`edge_app.events.differences`)

At first there are integrals alone, then streams and motion. A view is a function of (seed, step, place).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibration.spiking import pictures
from edge_app.events.differences import FrameDifferences
from edge_app.events.drawing import draw
from edge_app.events.gradient import STEPS, drawn, edge_integral, events_of_picture

INTEGRALS = 0.3
"""Part of the training that sees integrals alone."""
SHARE_OF_MOTION = 0.3
SHARE_OF_ALL_STEPS = 0.6
"""Of the streams: how many have all 8 steps."""
LATER_SHARE_OF_ALL_STEPS = 0.3
"""The same in the second cycle of the ordinary network's training."""
THRESHOLDS = (15, 60)
"""Levels of brightness: pictures enlarged to the encoder's input have soft edges, and cameras differ."""
LOG_THRESHOLDS = (0.1, 0.3)
FARTHEST = 4
"""Pixels that a picture moves in a view of motion."""

Pictures = NDArray[np.uint8]


def views(
    pools: tuple[pictures.PicturePool, ...],
    size: int,
    seed: int,
    step: int,
    places: range,
    *,
    integrals: bool = False,
    all_steps: float = SHARE_OF_ALL_STEPS,
) -> tuple[Pictures, Pictures]:
    """Return the pictures of one step at these places of the batch and their events, both (n, size, size, 3) uint8.

    integrals: edge integrals alone. all_steps: of the streams, how many have all 8 steps.
    """
    shown = pictures.views(pools, size, seed, step, places)
    drawings = [_rng(seed, step, place) for place in places]
    if integrals:
        return shown, np.stack([integral(one, rng) for one, rng in zip(shown, drawings, strict=True)])
    return shown, np.stack([stream(one, rng, all_steps)[1] for one, rng in zip(shown, drawings, strict=True)])


def first_steps(
    pools: tuple[pictures.PicturePool, ...], size: int, seed: int, step: int, places: range
) -> tuple[Pictures, Pictures]:
    """Return the events of all steps and those of the first ones, of the pictures of one step at these places."""
    shown = pictures.views(pools, size, seed, step, places)
    both = [stream(one, _rng(seed, step, place)) for one, place in zip(shown, places, strict=True)]
    return np.stack([whole for whole, _ in both]), np.stack([first for _, first in both])


def integral(picture: Pictures, rng: np.random.Generator) -> Pictures:
    """Return the edge integral of a picture (side, side, 3) in two colours, for a threshold drawn at random."""
    change = edge_integral(events_of_picture(picture, threshold=_threshold(rng)))
    return draw(np.stack([np.maximum(change, 0), np.maximum(-change, 0)]), "red-blue")


def stream(
    picture: Pictures, rng: np.random.Generator, all_steps: float = SHARE_OF_ALL_STEPS
) -> tuple[Pictures, Pictures]:
    """Return the events of a picture (side, side, 3) in two colours: of all steps, and of the first ones.

    Drawn at random: how many these are, the threshold, and whether the picture moves instead, which has no steps.
    """
    if rng.random() < SHARE_OF_MOTION:
        moved = _motion(picture, rng)
        return moved, moved
    events = events_of_picture(picture, threshold=_threshold(rng))
    steps = STEPS if rng.random() < all_steps else int(rng.integers(1, STEPS))
    return drawn(events, "red-blue"), drawn(events[:steps], "red-blue")


def streams(shown: Pictures) -> Pictures:
    """Return the events of pictures (n, side, side, 3) in two colours, as `edge-app evaluate --events` makes them."""
    return np.stack([drawn(events_of_picture(one), "red-blue") for one in shown])


def _rng(seed: int, step: int, place: int) -> np.random.Generator:
    # 1: another stream of numbers than that of the picture's view
    return np.random.default_rng([seed, step, place, 1])


def _threshold(rng: np.random.Generator) -> int:
    return int(rng.integers(*THRESHOLDS, endpoint=True))


def _motion(picture: Pictures, rng: np.random.Generator) -> Pictures:
    """The events of a picture that moves by a few pixels in one direction."""
    differences = FrameDifferences(float(rng.uniform(*LOG_THRESHOLDS)))
    differences.events(picture)
    x, y = (int(part) for part in rng.integers(-FARTHEST, FARTHEST, size=2, endpoint=True))
    # a picture that stands still has no events
    x = x if x or y else 1
    return draw(differences.events(np.roll(picture, (y, x), axis=(0, 1))), "red-blue")
