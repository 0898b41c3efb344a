"""Streaming simulation: all layers tick together, and an answer can be read at every tick.

In each tick every neuron takes in the spikes that arrive in this tick, then fires once or not at all. A layer of T
steps that hears one of S steps receives at each tick

    V += S * sum(weight * spikes) + bias        threshold of T * threshold

so that its rate, spikes a tick, tends to the phased count / T. The picture's current counts as S = 1, and a residual
sum as the layers that it adds. Neurons of the plain kind keep what they fired; with `take_back` a neuron of a positive
layer may also fire a negative spike and so take back one that it has fired before its later inputs were known. Its
count never falls below 0.

The embedding after t ticks is what the last layer's integrated input stands for: round(V / (t * threshold)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_app.spiking import convolution
from edge_app.spiking.network import PICTURE, Layer, SpikingNetwork, Sum
from edge_app.spiking.phased import current_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Stream:
    """A network to which one picture is shown, tick by tick. Raises InputError for another shape or dtype.

    `counts` holds each node's spikes so far (negative ones subtracted), `fired` all spikes of each layer, `operations`
    the additions that they cost.
    """

    def __init__(self, network: SpikingNetwork, picture: NDArray[np.uint8], *, take_back: bool = True) -> None:
        self.network = network
        self.take_back = take_back
        self.ticks = 0
        self.operations = 0
        self.fired = np.zeros(len(network.nodes), np.int64)
        current = current_of(network, picture)
        self._current = [
            convolution.drive(node, current) if isinstance(node, Layer) and node.source == PICTURE else None
            for node in network.nodes
        ]
        self._potential: list[NDArray[np.int64] | None] = [None] * len(network.nodes)
        self.counts: list[NDArray[np.int64]] = [np.zeros((), np.int64)] * len(network.nodes)

    def tick(self) -> list[NDArray[np.int8]]:
        """Advance all layers by one tick; return each node's spikes of it. The last layer only integrates: zeros."""
        spikes: list[NDArray[np.int8]] = []
        last = len(self.network.nodes) - 1
        for index, node in enumerate(self.network.nodes):
            if isinstance(node, Sum):
                first, second = node.sources
                spikes.append(spikes[first] + spikes[second])
            else:
                potential = self._integrate(index, node, spikes)
                spikes.append(
                    # the last layer's integrated input is the answer
                    np.zeros(potential.shape, np.int8) if index == last else self._fire(index, node, potential)
                )
                self.fired[index] += int(np.count_nonzero(spikes[index]))
            self.counts[index] = self.counts[index] + spikes[index]
        self.ticks += 1
        return spikes

    def embedding(self) -> NDArray[np.uint8]:
        """Return the embedding (n,) uint8 as it stands after the ticks so far; all 0 before the first."""
        layer, potential = self.network.layers[-1], self._potential[-1]
        if potential is None:
            return np.zeros(layer.channels, np.uint8)
        scale = self.ticks * layer.thresholds.astype(np.int64)
        # to nearest, in integers
        rounded = (2 * potential.reshape(-1) + scale) // (2 * scale)
        found: NDArray[np.uint8] = np.clip(rounded, layer.low, layer.high).astype(np.uint8)
        return found

    def _integrate(self, index: int, layer: Layer, spikes: list[NDArray[np.int8]]) -> NDArray[np.int64]:
        if layer.source == PICTURE:
            drive = self._current[index]
            assert drive is not None
        else:
            heard = spikes[layer.source].astype(np.int32)
            drive = steps_of(self.network, layer.source) * convolution.drive(layer, heard)
            self.operations += convolution.operations(layer, heard)
        before = self._potential[index]
        total: NDArray[np.int64] = drive + layer.bias + (0 if before is None else before)
        self._potential[index] = total
        return total

    def _fire(self, index: int, layer: Layer, potential: NDArray[np.int64]) -> NDArray[np.int8]:
        """V starts at half a threshold; kept doubled it is 2 * potential + threshold."""
        cost = 2 * layer.high * layer.thresholds.astype(np.int64)
        doubled = 2 * potential + cost // 2
        spikes = (doubled >= cost).astype(np.int8)
        if layer.signed:
            spikes -= doubled < 0
        elif self.take_back:
            spikes -= (doubled < 0) & (self.counts[index] > 0)
        potential -= layer.high * layer.thresholds.astype(np.int64) * spikes
        return spikes


def steps_of(network: SpikingNetwork, index: int) -> int:
    """Return T of the layer whose spikes a node hands on; those of a residual sum have the same."""
    node = network.nodes[index]
    return node.high if isinstance(node, Layer) else steps_of(network, node.sources[0])
