"""Spikes, synaptic operations and energy of a spiking encoder, counted on pictures.

    macs        multiply-accumulations of the same convolutions in an ordinary network
    dense       additions if every neuron fired in every step: macs * steps of the layer that is heard
    effective   additions carried out: one for each spike and each weight != 0 that it reaches

The first layer hears the picture as a current: its macs are multiplications with pixels in both networks, counted once.
Energy: 8-bit multiplication 0.2 pJ, 32-bit integer addition 0.1 pJ, 45 nm, 0.9 V (M. Horowitz, "Computing's energy
problem", ISSCC 2014, figure 1.1.9); arithmetic alone, no memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_app.spiking import convolution
from edge_app.spiking.network import PICTURE, Layer, SpikingNetwork, Sum
from edge_app.spiking.phased import Presentation, present

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MAC_PJ = 0.3
ADD_PJ = 0.1
SOURCE = "Horowitz, ISSCC 2014, 45 nm: 8-bit multiplication 0.2 pJ, 32-bit addition 0.1 pJ; arithmetic alone"


class LayerActivity(NamedTuple):
    """One layer, mean over the pictures."""

    name: str
    neurons: int
    steps: int
    spikes: float
    """Fired for a picture, negative ones counted as spikes."""
    macs: int
    dense: int
    effective: float

    @property
    def rate(self) -> float:
        """Spikes of a neuron in a step."""
        return self.spikes / (self.neurons * self.steps)


class Activity(NamedTuple):
    """A network, mean over the pictures."""

    layers: tuple[LayerActivity, ...]
    current_macs: int
    """Of the layers that hear the picture as a current."""

    @property
    def macs(self) -> int:
        """Multiply-accumulations of the same convolutions in an ordinary network."""
        return sum(layer.macs for layer in self.layers)

    @property
    def spikes(self) -> float:
        """Spikes of all layers but the pooling, whose counts are the embedding."""
        return sum(layer.spikes for layer in self.layers[:-1])

    @property
    def dense(self) -> int:
        """Additions if every neuron fired in every step."""
        return sum(layer.dense for layer in self.layers)

    @property
    def effective(self) -> float:
        """Additions carried out."""
        return sum(layer.effective for layer in self.layers)

    @property
    def energy_uj(self) -> float:
        """Microjoules of arithmetic for a picture."""
        return (self.current_macs * MAC_PJ + self.effective * ADD_PJ) / 1e6

    @property
    def ann_energy_uj(self) -> float:
        """The same convolutions as int8 multiply-accumulations."""
        return self.macs * MAC_PJ / 1e6

    def to_dict(self) -> dict[str, Any]:
        """Return the totals by name, for reports."""
        return {
            "macs": self.macs,
            "current_macs": self.current_macs,
            "spikes": round(self.spikes),
            "dense": self.dense,
            "effective": round(self.effective),
            "operations_a_mac": round(self.effective / (self.macs - self.current_macs), 3),
            "energy_uj": round(self.energy_uj, 1),
            "ann_energy_uj": round(self.ann_energy_uj, 1),
            "energy_source": SOURCE,
        }


def measure(network: SpikingNetwork, pictures: Iterable[NDArray[np.uint8]]) -> Activity:
    """Show pictures, (size, size, 3) uint8 each, at least one, and return what they cost on average."""
    rows = [activity(network, present(network, picture)) for picture in pictures]
    mean = []
    for same in zip(*(row.layers for row in rows), strict=True):
        spikes = float(np.mean([layer.spikes for layer in same]))
        effective = float(np.mean([layer.effective for layer in same]))
        mean.append(same[0]._replace(spikes=spikes, effective=effective))
    return Activity(tuple(mean), rows[0].current_macs)


def activity(network: SpikingNetwork, shown: Presentation) -> Activity:
    """Return what one presentation cost."""
    layers = []
    current = 0
    for node, counts in zip(network.nodes, shown.counts, strict=True):
        # a sum only hands spikes on
        if isinstance(node, Sum):
            continue
        pictured = node.source == PICTURE
        height, width = (network.size,) * 2 if pictured else shown.counts[node.source].shape[:2]
        macs = convolution.synapses(node, height, width)
        current += macs * pictured
        layers.append(
            LayerActivity(
                name=node.name,
                neurons=int(counts.size),
                steps=node.high,
                spikes=float(np.abs(counts).sum()),
                macs=macs,
                # the picture is a current: its macs are counted apart
                dense=0 if pictured else macs * most_spikes(network, node.source),
                effective=0.0 if pictured else float(convolution.operations(node, shown.counts[node.source])),
            )
        )
    return Activity(tuple(layers), current)


def most_spikes(network: SpikingNetwork, index: int) -> int:
    """Return how many spikes a neuron of a node can hand on for one picture."""
    node = network.nodes[index]
    if isinstance(node, Layer):
        return node.high
    return sum(most_spikes(network, source) for source in node.sources)
