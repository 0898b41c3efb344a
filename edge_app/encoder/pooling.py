"""Gaussian pooling: how the cells of an encoder's last map are weighted when they are summed to an embedding.

A thing that is shown to a camera is held near the middle of the frame. The model does the sum itself; these weights are
what it was built with, and what is needed to tell which cells an activation came from.
"""

import numpy as np
from numpy.typing import NDArray


def gaussian(side: int, sigma: float) -> NDArray[np.float64]:
    """Return weights (side, side) that sum to 1: a Gaussian of `sigma` cells around the centre of the map."""
    distance = np.arange(side) - (side - 1) / 2
    line = np.exp(-(distance**2) / (2 * sigma**2))
    weights: NDArray[np.float64] = np.outer(line, line) / line.sum() ** 2
    return weights
