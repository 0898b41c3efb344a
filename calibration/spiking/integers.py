"""A trained spiking network as integers: int8 weights, odd thresholds, int32 biases, and the pooling's weights.

With counts n of the layer that is heard, steps x of its channels and y of this layer's, a neuron's count is
round(sum(a * n) + b / y) with a = weight * x / y. The integers are a * threshold and b / y * threshold, rounded; the
threshold is the odd number that keeps the squared error of the weights least, as large as int8 allows or down to half.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibration.spiking.network import SpikingTwin, pooling_weights
from calibration.spiking.pack import EMBEDDING_LEVELS, RANGE
from edge_app.spiking.network import PICTURE, Layer, Node, SpikingNetwork, Sum

PICTURE_OFFSET, PICTURE_STEP = 127, 1 / 128
MAX_BIAS = 1 << 24
"""float32, in which the runtime divides by the threshold, holds all integers up to here; a larger bias saturates."""
ROWS_LEVELS = 127
"""T of the pooling's first layer."""
POOLING = 2
"""Layers of the pooling, behind the network's own."""
CANDIDATES = 48
"""Thresholds that are tried for a channel."""

Floats = NDArray[np.float64]


class HeardNode(NamedTuple):
    """A node that was made: its index, and the value of one spike of each channel."""

    node: int
    step: Floats


def integers(network: SpikingTwin) -> tuple[SpikingNetwork, float]:
    """Return the network's integers, and the real value of one count of the embedding."""
    heard = HeardNode(PICTURE, np.full(3, PICTURE_STEP))
    nodes: list[Node] = []
    for unit in network.units:
        before = heard
        for index in unit.layers:
            nodes.append(_layer(network, index, heard))
            heard = HeardNode(len(nodes) - 1, network.step(index).detach().double().numpy())
        if unit.shortcut:
            nodes.append(Sum(f"sum {len(nodes)}", (before.node, heard.node)))
            heard = HeardNode(len(nodes) - 1, heard.step)
    pools, scale = _pool(network, heard)
    nodes += pools
    return SpikingNetwork(network.architecture.size, PICTURE_OFFSET, tuple(nodes)), scale


def _layer(network: SpikingTwin, index: int, heard: HeardNode) -> Layer:
    spec, top = network.layers[index], network.counts[index]
    kernel = network.kernel(index).detach().double().numpy().transpose(0, 2, 3, 1)
    step = network.step(index).detach().double().numpy()
    wide = heard.step[:, None, None, None] if spec.depthwise else heard.step
    exact = kernel * wide / step[:, None, None, None]
    low = -top if spec.signed else 0
    weights, thresholds = quantised(exact.reshape(spec.channels_out, -1), top - low + 1)
    bias = np.rint(network.bias(index).detach().double().numpy() / step * thresholds)
    shaped = weights.reshape(exact.shape)
    return Layer(
        name=spec.name.lstrip("_").replace("._", "/"),
        kind="depthwise" if spec.depthwise else "conv",
        weights=np.ascontiguousarray(shaped.transpose(3, 1, 2, 0) if spec.depthwise else shaped),
        bias=np.clip(bias, -MAX_BIAS, MAX_BIAS).astype(np.int32),
        thresholds=thresholds,
        low=low,
        high=top,
        stride=spec.stride,
        padding="same",
        source=heard.node,
    )


def _pool(network: SpikingTwin, heard: HeardNode) -> tuple[tuple[Layer, Layer], float]:
    """The pooling: the map's rows are summed first, then its columns; the neurons have room for the greatest sums.

    The weights that a Gaussian or a mean gives to the cells are products of a row's and a column's. One depthwise
    convolution over all cells would take a tenth of the encoder's time.
    """
    side = network.architecture.map_side
    places = pooling_weights(network.architecture, side)
    top = network.counts[-1]
    middle = heard.step * top / ROWS_LEVELS
    # float32, as the TFLite file holds it: the manifest must name the same number
    scale = float(np.float32(middle.max() * ROWS_LEVELS / EMBEDDING_LEVELS))
    rows = np.broadcast_to(places.sum(axis=1) * ROWS_LEVELS / top, (heard.step.size, side))
    columns = middle[:, None] / scale * places.sum(axis=0)
    return (
        _pooling_layer("pooled rows", rows, (side, 1), ROWS_LEVELS, heard.node),
        _pooling_layer("embedding", columns, (1, side), EMBEDDING_LEVELS, heard.node + 1),
    ), scale


def _pooling_layer(name: str, exact: Floats, kernel: tuple[int, int], high: int, source: int) -> Layer:
    weights, thresholds = quantised(exact, high + 1)
    return Layer(
        name=name,
        kind="depthwise",
        weights=np.ascontiguousarray(weights.reshape(-1, *kernel, 1).transpose(3, 1, 2, 0)),
        bias=np.zeros(len(exact), np.int32),
        thresholds=thresholds,
        low=0,
        high=high,
        stride=1,
        padding="valid",
        source=source,
    )


def quantised(exact: Floats, levels: int) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Return weights (channels, n) int8 and odd thresholds (channels,) whose quotients are nearest to `exact`.

    `levels`: how many counts the neurons can have, which bounds the thresholds (pack.RANGE).
    """
    # 127.49 still rounds to 127, the largest weight
    largest = np.minimum(127.49 / np.maximum(np.abs(exact).max(axis=1), 1e-12), RANGE / levels)
    best = np.maximum(_odd(largest), 1)
    least = _error(exact, best)
    for part in np.linspace(1.0, 0.5, CANDIDATES):
        tried = np.maximum(_odd(largest * part), 1)
        error = _error(exact, tried)
        best = np.where(error < least, tried, best)
        least = np.minimum(error, least)
    return np.clip(np.rint(exact * best[:, None]), -127, 127).astype(np.int8), best.astype(np.int32)


def _odd(values: Floats) -> Floats:
    """The greatest odd integers that are no greater."""
    return np.asarray(2 * np.floor((values - 1) / 2) + 1)


def _error(exact: Floats, thresholds: Floats) -> Floats:
    weights = np.clip(np.rint(exact * thresholds[:, None]), -127, 127)
    return np.asarray(np.square(weights / thresholds[:, None] - exact).sum(axis=1))
