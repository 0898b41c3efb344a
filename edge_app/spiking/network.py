"""A spiking encoder as integers: weights, thresholds, and who hears whom.

A neuron integrates drive = sum(weight * spikes) + bias over all steps of its input (phased), then fires for T steps
with soft reset: V starts at drive + threshold / 2; a step in which V >= threshold fires a spike and takes the threshold
off. A signed neuron also fires a negative spike where V < 0, and gives the threshold back. After T steps its count is

    n = clip(round(drive / threshold), low, high)      low = 0, or -T of a signed neuron; high = T

Thresholds are odd, so drive / threshold never lies half way between two integers and every way to round gives the same
count. The same integers stand in an int8 TFLite graph whose tensors are spike counts (docs/spiking.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from edge_app.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURE = -1
"""Index of the picture among a node's inputs."""
SUM_LOW, SUM_HIGH = -128, 127
"""Bounds of a residual sum: what an int8 tensor holds."""

Counts: TypeAlias = "NDArray[np.int32]"
"""(height, width, channels)."""


@dataclass(frozen=True)
class Layer:
    """A convolution and the neurons behind it.

    kind: "conv", or "depthwise" where channel c hears channel c alone. weights: int8, (channels, kh, kw, channels in),
    of a depthwise layer (1, kh, kw, channels). bias, thresholds: int32 (channels,). low, high: bounds of the counts.
    padding: "same" as TensorFlow has it, or "valid". source: index of the node that is heard, PICTURE for the picture.
    """

    name: str
    kind: Literal["conv", "depthwise"]
    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    thresholds: NDArray[np.int32]
    low: int
    high: int
    stride: int
    padding: Literal["same", "valid"]
    source: int

    def __post_init__(self) -> None:
        if np.any(self.thresholds < 1) or np.any(self.thresholds % 2 == 0):
            wrong = int(self.thresholds[(self.thresholds < 1) | (self.thresholds % 2 == 0)][0])
            raise InputError(
                f"layer {self.name}: threshold {wrong}, expected odd numbers above 0: an even one ties, and runtimes "
                "round ties differently. Pack the network again"
            )
        if not self.low <= 0 < self.high:
            raise InputError(f"layer {self.name}: counts from {self.low} to {self.high}, expected low <= 0 < high")

    @property
    def channels(self) -> int:
        """Number of its neurons at one place."""
        return int(self.bias.size)

    @property
    def kernel(self) -> tuple[int, int]:
        """(height, width) of the convolution."""
        return int(self.weights.shape[1]), int(self.weights.shape[2])

    @property
    def signed(self) -> bool:
        """Whether its neurons fire negative spikes too."""
        return self.low < 0


@dataclass(frozen=True)
class Sum:
    """A residual sum: the spikes of two nodes, added, at most SUM_LOW..SUM_HIGH."""

    name: str
    sources: tuple[int, int]


Node: TypeAlias = Layer | Sum


@dataclass(frozen=True)
class SpikingNetwork:
    """Nodes in the order of computation; the last one's counts are the embedding.

    size: side of the square picture in pixels. offset: pixel value that stands for 0; a picture's drive is
    weight * (pixel - offset), injected as a current, not as spikes.
    """

    size: int
    offset: int
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.layers or isinstance(self.nodes[-1], Sum):
            raise InputError("a spiking network ends in a layer; this one has none at its end")
        for index, node in enumerate(self.nodes):
            sources = node.sources if isinstance(node, Sum) else (node.source,)
            lowest = 0 if isinstance(node, Sum) else PICTURE
            # simulated in this order, without a search for what is ready
            if not all(lowest <= source < index for source in sources):
                raise InputError(f"node {node.name} hears {sources}, expected nodes computed before it")

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The nodes that are layers, in order."""
        return tuple(node for node in self.nodes if isinstance(node, Layer))

    @property
    def n_outputs(self) -> int:
        """Values of the embedding."""
        last = self.nodes[-1]
        assert isinstance(last, Layer)
        return last.channels
