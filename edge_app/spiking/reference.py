"""The phased simulation in plain Python, one neuron, one synapse and one step at a time, for the tests.

Here nothing is summed up beforehand: spikes arrive in the step in which they were fired, and operations are counted as
they are carried out.
"""

from __future__ import annotations

from typing import TypeAlias

from edge_app.spiking.network import PICTURE, SUM_HIGH, SUM_LOW, Layer, SpikingNetwork, Sum

Place: TypeAlias = tuple[int, int, int]
Train: TypeAlias = list[dict[Place, int]]
"""Step -> {(row, column, channel): spikes fired there}, zeros left out."""


class Reference:
    """Shows one picture to a network; `counts` holds each node's counts, `operations` each layer's additions."""

    def __init__(self, network: SpikingNetwork, picture: list[list[list[int]]]) -> None:
        self.trains: list[Train] = []
        self.shapes: list[Place] = []
        self.counts: list[dict[Place, int]] = []
        self.operations: dict[str, int] = {}
        side = range(network.size)
        current = {(y, x, c): picture[y][x][c] - network.offset for y in side for x in side for c in range(3)}
        for node in network.nodes:
            if isinstance(node, Sum):
                self._sum(node)
            elif node.source == PICTURE:
                self._layer(node, [current], (network.size, network.size, 3))
            else:
                self._layer(node, self.trains[node.source], self.shapes[node.source])

    def _sum(self, node: Sum) -> None:
        first, second = node.sources
        shape = self.shapes[first]
        counts = {}
        for place in _places(shape):
            total = self.counts[first].get(place, 0) + self.counts[second].get(place, 0)
            counts[place] = min(max(total, SUM_LOW), SUM_HIGH)
        self.counts.append(counts)
        self.shapes.append(shape)
        self.trains.append([counts])  # the spikes of both, handed on together

    def _layer(self, layer: Layer, train: Train, heard: Place) -> None:
        shape, before = _geometry(layer, heard)
        # all doubled: the start at half of an odd threshold is then a whole number
        potential = {place: 2 * int(layer.bias[place[2]]) + int(layer.thresholds[place[2]]) for place in _places(shape)}
        self.operations[layer.name] = 0
        for spikes in train:
            for place in _places(shape):
                potential[place] += 2 * self._arriving(layer, spikes, place, before)
        fired: Train = []
        for _ in range(max(layer.high, -layer.low)):
            step: dict[Place, int] = {}
            for place, value in potential.items():
                cost = 2 * int(layer.thresholds[place[2]])
                spike = 1 if value >= cost else -1 if layer.signed and value < 0 else 0
                if spike:
                    step[place] = spike
                    potential[place] = value - spike * cost
            fired.append(step)
        self.trains.append(fired)
        self.shapes.append(shape)
        self.counts.append({place: sum(step.get(place, 0) for step in fired) for place in _places(shape)})

    def _arriving(self, layer: Layer, spikes: dict[Place, int], place: Place, before: tuple[int, int]) -> int:
        """The weights of the spikes of one step that reach a neuron."""
        row, column, channel = place
        total = 0
        for y in range(layer.weights.shape[1]):
            for x in range(layer.weights.shape[2]):
                at = (row * layer.stride + y - before[0], column * layer.stride + x - before[1])
                for c in [channel] if layer.kind == "depthwise" else range(layer.weights.shape[3]):
                    count = spikes.get((*at, c), 0)
                    weight = int(layer.weights[0 if layer.kind == "depthwise" else channel, y, x, c])
                    total += weight * count
                    self.operations[layer.name] += abs(count) * (weight != 0)
        return total


def _geometry(layer: Layer, heard: Place) -> tuple[Place, tuple[int, int]]:
    """The layer's (height, width, channels), and the rows and columns of padding before the map that it hears."""
    sides, before = [], []
    for size, kernel in zip(heard[:2], layer.weights.shape[1:3], strict=True):
        if layer.padding == "same":
            side = -(-size // layer.stride)
            before.append(max((side - 1) * layer.stride + kernel - size, 0) // 2)
        else:
            side = (size - kernel) // layer.stride + 1
            before.append(0)
        sides.append(side)
    return (sides[0], sides[1], layer.channels), (before[0], before[1])


def _places(shape: Place) -> list[Place]:
    height, width, channels = shape
    return [(y, x, c) for y in range(height) for x in range(width) for c in range(channels)]
