"""Gaussian pooling: how the cells of an encoder's last map are weighted in its embedding, and what each one drove.

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


def drive_per_cell(
    drive: NDArray[np.float64], cells: NDArray[np.uint8], *, sigma: float, zero_point: int
) -> NDArray[np.float64]:
    """Return how much each cell of a map drove a column: (side, side), in the unit of `drive`.

    `drive` (n,) is what each input added to the column's potential, `cells` (side, side, n) the map, `zero_point` its
    value that stands for 0. An input is the weighted mean of one channel, so its drive is divided among the cells in
    proportion to what each adds to that mean (layer-wise relevance propagation, Bach et al. 2015). The cells add up to
    the sum of `drive`, without the channels that are 0 everywhere.
    """
    # floats: for people only, no decision depends on it
    weighted = gaussian(cells.shape[0], sigma)[:, :, None] * np.maximum(cells.astype(np.float64) - zero_point, 0)
    total = weighted.sum(axis=(0, 1))
    share: NDArray[np.float64] = np.divide(drive, total, out=np.zeros(drive.size), where=total > 0)
    shared: NDArray[np.float64] = (weighted * share).sum(axis=2)
    return shared
