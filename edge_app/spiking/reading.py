"""Read a spiking encoder out of its TFLite file: the int8 graph whose tensors are spike counts.

Of each convolution with weight scales w[c], between tensors of scales x and y, the runtime computes

    count = clip(round(accumulator * x * w[c] / y))        so that   threshold[c] = y / (x * w[c])

The bounds come from the fused activation: RELU6 over a scale of 6 / T clips at 0 and T, RELU_N1_TO_1 over a scale of
1 / T at -T and T; without one the tensor's own range does. Zero points are 0, except of the picture and the embedding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edge_app.encoder.graph import Graph
from edge_app.errors import InputError
from edge_app.spiking.network import PICTURE, Layer, Node, SpikingNetwork, Sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHOLE = 0.05
"""Largest distance from an integer of a threshold, which is computed from three float32 scales."""


def read_network(content: bytes, name: str = "model") -> SpikingNetwork:
    """Return the network in a TFLite file's bytes.

    Raises InputError when the file is no graph of spike counts, or a threshold is even, RuntimeMissing without
    ai-edge-litert, whose schema reads the file.
    """
    try:
        return _Reader(content, name).network()
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # a damaged file leaves holes anywhere
        raise InputError(f"{name} is no spiking encoder: {error}") from error


class _Reader:
    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        self.graph = Graph(content, name)
        self.nodes: list[Node] = []
        self.made: dict[int, int] = {}
        """Tensor -> index of the node that makes it."""

    def network(self) -> SpikingNetwork:
        graph = self.graph
        picture = int(graph.inputs[0])
        shape = graph.shape(picture)
        if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3:
            raise self.no(f"its input is {graph.label(picture)}, expected [1, size, size, 3]")
        self.made[picture] = PICTURE
        for operator in graph.operators:
            kind = graph.kind(operator)
            if kind == "ADD":
                self.add(operator)
            elif kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                self.convolution(operator, kind)
            else:
                raise self.no(f"it has an operator {kind}, expected CONV_2D, DEPTHWISE_CONV_2D and ADD")
        if self.made.get(int(graph.outputs[0])) != len(self.nodes) - 1:
            raise self.no("its output is not what its last operator makes")
        # pixels are uint8 here, whatever the tensor's type
        offset = self.zero_point(picture) + (128 if graph.dtype(picture) == "int8" else 0)
        return SpikingNetwork(shape[1], offset, tuple(self.nodes))

    def add(self, operator: Any) -> None:
        tensors = [*map(int, operator.inputs), int(operator.outputs[0])]
        if len({self.scale(tensor) for tensor in tensors}) != 1 or any(map(self.zero_point, tensors)):
            raise self.no(f"{self.graph.label(tensors[-1])} adds counts of different steps, expected one scale for all")
        if operator.builtinOptions.fusedActivationFunction:
            raise self.no(f"{self.graph.label(tensors[-1])} is clipped, expected a plain sum")
        self.put(tensors[-1], Sum(self.graph.name(tensors[-1]), (self.made[tensors[0]], self.made[tensors[1]])))

    def convolution(self, operator: Any, kind: str) -> None:
        source, kernel, bias = (int(tensor) for tensor in operator.inputs)
        output, options = int(operator.outputs[0]), operator.builtinOptions
        depthwise = kind == "DEPTHWISE_CONV_2D"
        if options.strideH != options.strideW or max(options.dilationHFactor, options.dilationWFactor) != 1:
            raise self.no(f"{self.graph.label(output)} has uneven strides or dilation, which spiking encoders lack")
        if depthwise and options.depthMultiplier != 1:
            raise self.no(f"{self.graph.label(output)} has a depth multiplier of {options.depthMultiplier}, expected 1")
        low, high = self.bounds(output, options.fusedActivationFunction)
        padding: Literal["same", "valid"] = "valid" if options.padding else "same"
        layer = Layer(
            name=self.graph.name(output),
            kind="depthwise" if depthwise else "conv",
            weights=self.graph.values(kernel, np.int8),
            bias=self.graph.values(bias, np.int32),
            thresholds=self.thresholds(source, kernel, output),
            low=low,
            high=high,
            stride=int(options.strideH),
            padding=padding,
            source=self.made[source],
        )
        self.put(output, layer)

    def thresholds(self, source: int, kernel: int, output: int) -> NDArray[np.int32]:
        # float64: three float32 scales lose enough already
        scales = np.asarray(self.graph.quantisation(kernel).scale, np.float64)
        exact = self.scale(output) / (self.scale(source) * scales)
        whole = np.rint(exact)
        if np.any(np.abs(exact - whole) > WHOLE):
            wrong = float(exact[np.abs(exact - whole) > WHOLE][0])
            raise self.no(f"{self.graph.label(output)} has a threshold of {wrong:.4f}, expected odd integers")
        return whole.astype(np.int32)

    def bounds(self, tensor: int, activation: int) -> tuple[int, int]:
        scale, zero = self.scale(tensor), self.zero_point(tensor)
        if activation == 3 and zero == 0:  # RELU6
            return 0, round(6 / scale)
        if activation == 2 and zero == 0:  # RELU_N1_TO_1
            return -round(1 / scale), round(1 / scale)
        # the pooling at the end is not clipped
        if activation == 0 and tensor == int(self.graph.outputs[0]):
            return -128 - zero, 127 - zero
        raise self.no(f"{self.graph.label(tensor)}: activation {activation} and zero point {zero} give no spike counts")

    def put(self, tensor: int, node: Node) -> None:
        self.made[tensor] = len(self.nodes)
        self.nodes.append(node)

    def scale(self, tensor: int) -> float:
        return float(self.graph.quantisation(tensor).scale[0])

    def zero_point(self, tensor: int) -> int:
        return int(self.graph.quantisation(tensor).zeroPoint[0])

    def no(self, reason: str) -> InputError:
        return InputError(f"{self.name} is no spiking encoder: {reason}")
