"""Events from one picture, as the data set ES-ImageNet makes them, and the picture that they sum up to.

Lin, Ding, Qiang, Deng and Li 2021, "ES-ImageNet: A Million Event-Stream Classification Dataset for Spiking Neural
Networks", Frontiers in Neuroscience 15: the picture jumps along a path of nine positions, and each of the eight jumps
is a step. With v = max(R, G, B) and the picture moved to (X[k], Y[k]), pixel (r, c) fires in step k where

    d = v[r - Y[k + 1], c - X[k + 1]] - v[r - Y[k], c - X[k]],    ON: d > 0.18 * 255    OFF: d < -0.18 * 255

The edge integral (algorithm 2 there) moves the events of each step back and sums them, ON as 1 and OFF as -1.
"""

import numpy as np
from numpy.typing import NDArray

from edge_app.events.drawing import draw, grey

X = (1, 0, 2, 1, 0, 2, 1, 1, 2)
Y = (0, 2, 1, 0, 1, 2, 0, 1, 1)
"""Positions of the picture along the path, pixels to the right and down."""
STEPS = len(X) - 1
BORDER = max(*X, *Y)
"""Rows at the top and columns at the left that never fire: at some position the picture has left them."""
THRESHOLD = 45
"""Levels that brightness must change by more than: 0.18 * 255 = 45.9, and levels are whole."""
FEWEST = 1000
"""ES-ImageNet leaves out samples with fewer events."""


def brightness(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return max(R, G, B) of each pixel (H, W) of a picture (H, W, 3)."""
    return np.maximum(np.maximum(picture[:, :, 0], picture[:, :, 1]), picture[:, :, 2])


def events_of_picture(picture: NDArray[np.uint8], *, threshold: int = THRESHOLD) -> NDArray[np.bool_]:
    """Return the events (8, 2, H, W) of a picture (H, W, 3) RGB; all False if a side has at most `BORDER` pixels.

    `threshold`: levels, 0 to 255, that brightness must change by more than.
    """
    value = brightness(picture).astype(np.int16)
    height, width = value.shape
    events = np.zeros((STEPS, 2, height, width), np.bool_)
    if min(height, width) <= BORDER:
        return events
    views = [value[BORDER - y : height - y, BORDER - x : width - x] for x, y in zip(X, Y, strict=True)]
    for step, fired in enumerate(events[:, :, BORDER:, BORDER:]):
        change = views[step + 1] - views[step]
        np.greater(change, threshold, out=fired[0])
        np.less(change, -threshold, out=fired[1])
    return events


def edge_integral(events: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Return the events (n, 2, H, W) of the first n of the 8 steps moved back and summed, ON less OFF: (H, W), -n to n.

    Raises ValueError for fewer than one step or more than 8.
    """
    steps, _, height, width = events.shape
    if not 1 <= steps <= STEPS:
        raise ValueError(f"events of {steps} steps, expected 1 to {STEPS}")
    total = np.zeros((height, width), np.int16)
    for (on, off), x, y in zip(events.astype(np.int16), X[1 : steps + 1], Y[1 : steps + 1], strict=True):
        total[: height - y, : width - x] += (on - off)[y:, x:]
    return total


def drawn(events: NDArray[np.bool_], colours: str) -> NDArray[np.uint8]:
    """Return the events (n, 2, H, W) of the first n of the 8 steps as one picture (H, W, 3), drawn in `colours`.

    "grey": the edge integral. "red-blue": the sums of ON and of OFF where they came, as a first layer adds up what it
    is shown step by step.
    """
    if colours == "grey":
        return grey(edge_integral(events))
    return draw(events.sum(axis=0, dtype=np.int16), colours)


def edge_picture(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the edge integral of a picture (H, W, 3) RGB as a grey picture of the same size."""
    return drawn(events_of_picture(picture), "grey")
