"""Exact integer convolutions in numpy, and the sums that count synaptic operations.

Products are summed in float32 where every partial sum stays below 2^24, else in float64 (2^53): exactly, in whatever
order BLAS adds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_app.spiking.network import Counts, Layer


def drive(layer: Layer, heard: Counts) -> NDArray[np.int64]:
    """Return sum(weight * heard) of each neuron, (height, width, channels), without the bias.

    heard: (height, width, channels) integers.
    """
    height, width = output_size(layer, heard.shape[0], heard.shape[1])
    fan_in = layer.weights[0].size if layer.kind == "conv" else layer.kernel[0] * layer.kernel[1]
    largest = int(np.abs(heard).max(initial=0)) * 128 * fan_in
    # float: numpy multiplies matrices of integers without BLAS
    dtype = np.float32 if largest < 1 << 24 else np.float64
    total = np.zeros((height * width, layer.channels), dtype)
    values: Any = heard.astype(dtype)
    for row, column, part in patches(layer, values):
        weights: Any = layer.weights[:, row, column, :].astype(dtype)
        flat = part.reshape(-1, part.shape[-1])
        total += flat * weights if layer.kind == "depthwise" else flat @ weights.T
    # exact already: rint only changes the type safely
    return np.rint(total).astype(np.int64).reshape(height, width, layer.channels)


def operations(layer: Layer, heard: Counts) -> int:
    """Return how many additions the spikes `heard` cost: one for each spike and each weight != 0 that it reaches."""
    count = 0
    for row, column, part in patches(layer, np.abs(heard)):
        reached = np.count_nonzero(layer.weights[:, row, column, :], axis=0)
        count += int(part.sum(axis=(0, 1), dtype=np.int64) @ reached)
    return count


def synapses(layer: Layer, height: int, width: int) -> int:
    """Return the number of connections (the multiply-adds of the same convolution), those into the padding left out."""
    places = np.ones((height, width, layer.weights.shape[3]), np.int32)
    whole = 1 if layer.kind == "depthwise" else layer.channels
    return sum(int(part.sum()) * whole for _, _, part in patches(layer, places))


def output_size(layer: Layer, height: int, width: int) -> tuple[int, int]:
    """Return (height, width) of the layer's map for one of that size."""
    if layer.padding == "same":
        return -(-height // layer.stride), -(-width // layer.stride)
    rows, columns = layer.kernel
    return (height - rows) // layer.stride + 1, (width - columns) // layer.stride + 1


def patches(layer: Layer, heard: Counts) -> Iterator[tuple[int, int, Counts]]:
    """Yield (row, column, values) for each place of the kernel: what the weight there meets, for all outputs."""
    height, width = output_size(layer, heard.shape[0], heard.shape[1])
    rows, columns = layer.kernel
    padded = _padded(layer, heard, height, width)
    stride = layer.stride
    for row in range(rows):
        for column in range(columns):
            yield (
                row,
                column,
                padded[
                    row : row + (height - 1) * stride + 1 : stride, column : column + (width - 1) * stride + 1 : stride
                ],
            )


def _padded(layer: Layer, heard: Counts, height: int, width: int) -> Counts:
    """TensorFlow's 'same': the odd row or column of zeros at the end."""
    if layer.padding == "valid":
        return heard
    pads = []
    for size, outputs, kernel in zip(heard.shape, (height, width), layer.kernel, strict=False):
        total = max((outputs - 1) * layer.stride + kernel - size, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(heard, (*pads, (0, 0)))
