"""Counts of events as RGB pictures, which every encoder takes."""

import numpy as np
from numpy.typing import NDArray

COLOURS = ("grey", "red-blue")
MOST = 8
"""Events of a pixel that are told apart; more look the same. A picture made into events has at most one a step."""
GREY, EACH = 128, 15
"""Grey of a pixel without events, and levels more or less for each event: 8 events are 248 or 8."""
_LEVELS = (255 - (255 >> np.arange(MOST + 1))).astype(np.uint8)
"""Level of 0 to 8 events: 0, 128, 192, ...: the first makes the largest difference."""


def grey(change: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3): middle grey where `change` (H, W) is 0, lighter above, darker below."""
    value = (GREY + EACH * np.clip(change, -MOST, MOST)).astype(np.uint8)
    picture = np.empty((*change.shape, 3), np.uint8)
    # channel by channel: eight times as fast as broadcasting
    for channel in range(3):
        picture[:, :, channel] = value
    return picture


def draw(counts: NDArray[np.int16], colours: str) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) of the numbers of events (2, H, W).

    `colours` "grey": the difference, as in `grey`. "red-blue": black, OFF in red and ON in blue.
    """
    if colours == "grey":
        return grey(counts[0] - counts[1])
    picture = np.zeros((*counts.shape[1:], 3), np.uint8)
    picture[:, :, 0] = _LEVELS[np.minimum(counts[1], MOST)]
    picture[:, :, 2] = _LEVELS[np.minimum(counts[0], MOST)]
    return picture
