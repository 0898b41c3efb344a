"""Phased simulation: a layer takes in all spikes of the one before, then its neurons fire step by step.

Potentials are kept doubled, so that half a threshold is an integer: V starts at 2 * drive + threshold, and a spike
costs 2 * threshold. How the spikes of a layer are spread over the steps does not matter to the next, which integrates
first: its drive is summed from the counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_app.errors import InputError
from edge_app.spiking import convolution
from edge_app.spiking.network import PICTURE, SUM_HIGH, SUM_LOW, Counts, Layer, SpikingNetwork, Sum

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Presentation(NamedTuple):
    """One picture shown to a network: the counts of each node, in the nodes' order."""

    counts: tuple[Counts, ...]

    @property
    def embedding(self) -> NDArray[np.uint8]:
        """(n,) uint8."""
        return self.counts[-1].reshape(-1).astype(np.uint8)


def present(network: SpikingNetwork, picture: NDArray[np.uint8]) -> Presentation:
    """Simulate all phases for a picture (size, size, 3) uint8. Raises InputError for another shape or dtype."""
    counts: list[Counts] = []
    current = current_of(network, picture)
    for node in network.nodes:
        if isinstance(node, Sum):
            first, second = (counts[source] for source in node.sources)
            counts.append(np.clip(first + second, SUM_LOW, SUM_HIGH))
        else:
            heard = current if node.source == PICTURE else counts[node.source]
            counts.append(fire(node, convolution.drive(node, heard) + node.bias))
    return Presentation(tuple(counts))


def current_of(network: SpikingNetwork, picture: NDArray[np.uint8]) -> Counts:
    """Return a picture as the current that the first layer hears, pixel - offset."""
    if picture.dtype != np.uint8 or picture.shape != (network.size, network.size, 3):
        raise InputError(
            f"picture is {picture.dtype} {picture.shape}, expected uint8 ({network.size}, {network.size}, 3)"
        )
    return picture.astype(np.int32) - network.offset


def fire(layer: Layer, drive: NDArray[np.int64]) -> Counts:
    """Return the counts of a phase, (height, width, channels), from drive of that shape, bias included."""
    counts = np.zeros(drive.shape, np.int32)
    for spikes in steps(layer, drive):
        counts += spikes
    return counts


def steps(layer: Layer, drive: NDArray[np.int64]) -> list[NDArray[np.int8]]:
    """Return each step's spikes (-1, 0, 1), as many steps as a neuron may fire in."""
    thresholds = layer.thresholds.astype(np.int64)
    # doubled, see above
    potential = 2 * drive + thresholds
    found = []
    # further steps could fire nothing
    for _ in range(max(layer.high, -layer.low)):
        spikes = (potential >= 2 * thresholds).astype(np.int8)
        if layer.signed:
            spikes -= potential < 0
        potential -= 2 * thresholds * spikes
        found.append(spikes)
    return found
