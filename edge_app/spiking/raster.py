"""A picture of who fired when: one band a layer, a row a neuron, a column a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_app.spiking import convolution, phased
from edge_app.spiking.network import PICTURE, Layer, SpikingNetwork, Sum
from edge_app.spiking.streaming import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEURONS = 12
"""Of each layer that are drawn, evenly spread over its map."""


def phased_raster(network: SpikingNetwork, picture: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return (rows, steps) of -1, 0, 1 over all phases: each layer's neurons fire in the columns of its own phase."""
    heard: list[NDArray[np.int32]] = []
    current = phased.current_of(network, picture)
    trains = []
    for node in network.nodes[:-1]:
        if isinstance(node, Sum):
            heard.append(heard[node.sources[0]] + heard[node.sources[1]])
            continue
        drive = convolution.drive(node, current if node.source == PICTURE else heard[node.source]) + node.bias
        steps = phased.steps(node, drive)
        heard.append(np.sum(steps, axis=0, dtype=np.int32))
        trains.append(np.stack([_drawn(step) for step in steps], axis=1))
    columns = np.cumsum([0, *(train.shape[1] for train in trains)])
    rows = np.zeros((NEURONS * len(trains), columns[-1]), np.int8)
    for number, (train, start) in enumerate(zip(trains, columns, strict=False)):
        rows[number * NEURONS : number * NEURONS + len(train), start : start + train.shape[1]] = train
    return rows


def streamed_raster(network: SpikingNetwork, stream: Stream, ticks: int) -> NDArray[np.int8]:
    """Advance a stream, and return (rows, ticks) of -1, 0, 1, all layers in the same columns."""
    columns = []
    for _ in range(ticks):
        fired = stream.tick()
        layers = [fired[index] for index, node in enumerate(network.nodes[:-1]) if isinstance(node, Layer)]
        column = np.zeros((len(layers), NEURONS), np.int8)
        for number, spikes in enumerate(layers):
            drawn = _drawn(spikes)
            column[number, : len(drawn)] = drawn
        columns.append(column.reshape(-1))
    return np.stack(columns, axis=1)


def draw(axes: Any, raster: NDArray[np.int8], names: list[str]) -> None:
    """Draw a raster (rows, steps), NEURONS rows a layer, into matplotlib's axes; negative spikes in red."""
    for sign, colour in ((1, "black"), (-1, "tab:red")):
        rows, columns = np.nonzero(raster == sign)
        axes.scatter(columns, rows, s=1.5, c=colour, marker="|", linewidths=0.8)
    axes.set_yticks(np.arange(len(names)) * NEURONS + NEURONS / 2, names, fontsize=6)
    axes.set_ylim(len(names) * NEURONS, -1)
    axes.set_xlabel("step")


def _drawn(spikes: NDArray[np.int8]) -> NDArray[np.int8]:
    flat = spikes.reshape(-1)
    # evenly spread: neighbours of a map fire alike
    found: NDArray[np.int8] = flat[np.linspace(0, flat.size - 1, min(NEURONS, flat.size)).astype(int)]
    return found
