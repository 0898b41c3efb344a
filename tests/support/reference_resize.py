"""Slow integer twin of the resampling in edge_app/encoder/preprocess.py: numpy integers and Python's float64 only."""

import math

import numpy as np
from numpy.typing import NDArray


def halve(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the mean of each 2 x 2 pixels, rounded half up."""
    x = image.astype(np.uint32)
    return ((x[0::2, 0::2] + x[0::2, 1::2] + x[1::2, 0::2] + x[1::2, 1::2] + 2) >> 2).astype(np.uint8)


def _coefficients(source: int, target: int) -> list[tuple[int, int]]:
    """Return (left sample, weight of its right neighbour in 1/256) of every output sample along one axis."""
    scale = 1.0 / (target / source)
    found = []
    for index in range(target):
        position = scale * (index + 0.5) - 0.5
        left = math.floor(position)
        if left < 0 or source == 1:
            found.append((0, 0))
        elif left >= source - 1:
            found.append((source - 1, 0))
        else:
            found.append((left, round((position - left) * 256)))  # round: half to even
    return found


def bilinear(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return the square image at another side: weights of 8 fractional bits, rounded once, at the end."""
    x = image.astype(np.int64)
    for axis in (1, 0):
        table = _coefficients(image.shape[axis], side)
        left = np.array([first for first, _ in table])
        right = np.minimum(left + 1, image.shape[axis] - 1)
        shape = [1, 1, 1]
        shape[axis] = side
        weight = np.array([second for _, second in table]).reshape(shape)
        x = x.take(left, axis) * (256 - weight) + x.take(right, axis) * weight
    return ((x + (1 << 15)) >> 16).astype(np.uint8)


def square(image: NDArray[np.uint8], size: int, crop: float = 1.0) -> NDArray[np.uint8]:
    """Return the centre square of `image` at side `size`, by the steps that preprocess.py's docstring lists."""
    height, width = image.shape[:2]
    side = max(1, round(min(height, width) * crop))
    halvings = 0
    while side // 2 ** (halvings + 1) >= size:
        halvings += 1
    side -= side % 2**halvings
    top, left = (height - side) // 2, (width - side) // 2
    image = image[top : top + side, left : left + side]
    for _ in range(halvings):
        image = halve(image)
    if image.shape[0] == size:
        return image
    if image.shape[0] <= size * 5 // 4:
        return bilinear(image, size)
    return halve(bilinear(image, 2 * size))
