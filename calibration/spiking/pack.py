"""Write a spiking network as an int8 TFLite graph whose tensors are spike counts.

Scales are nominal: 6 / T where counts run from 0 to T (so that RELU6 clips there), 1 / T where they run from -T to T
(RELU_N1_TO_1). A weight's scale is chosen so that the runtime's multiplier is 1 / threshold:

    w[c] = y / (x * threshold[c])

with the scales x and y of the tensors before and behind the convolution. The picture is int8 (pixel - 128), the
embedding int8 with zero point -128. The same network gives the same bytes.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_app.errors import InputError
from edge_app.spiking.convolution import output_size
from edge_app.spiking.network import PICTURE, Layer, SpikingNetwork, Sum

PICTURE_SCALE = 1 / 128
EMBEDDING_LEVELS = 255
RANGE = 1 << 21
"""Largest threshold * (high - low + 1): beyond it float32 cannot tell a count from its neighbour."""


def pack(network: SpikingNetwork, embedding_scale: float) -> bytes:
    """Return the TFLite file. `embedding_scale` is the real value of one count of the output. Raises InputError."""
    return _Writer(network, embedding_scale).content()


class _Writer:
    def __init__(self, network: SpikingNetwork, embedding_scale: float) -> None:
        self.network = network
        self.model: Any = schema.ModelT()
        self.graph: Any = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.version = 3
        self.model.description = "spiking encoder: tensors are spike counts"
        self.model.subgraphs = [self.graph]
        # Buffer 0 must be empty: it stands for "no constant data"
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.kinds: dict[int, int] = {}
        self.scales: list[float] = []
        """Of each node's tensor."""
        size = network.size
        self.picture = self.tensor("picture", (1, size, size, 3), "INT8", [PICTURE_SCALE], [network.offset - 128])
        self.shapes: list[tuple[int, int, int]] = []
        self.tensors: list[int] = []
        for index, node in enumerate(network.nodes):
            last = index == len(network.nodes) - 1
            self.add(node) if isinstance(node, Sum) else self.layer(node, embedding_scale if last else None)
        self.graph.inputs, self.graph.outputs = [self.picture], [self.tensors[-1]]

    def content(self) -> bytes:
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def layer(self, layer: Layer, embedding_scale: float | None) -> None:
        if layer.source == PICTURE:
            source, shape, heard_scale = self.picture, (self.network.size, self.network.size, 3), PICTURE_SCALE
        else:
            source, shape = self.tensors[layer.source], self.shapes[layer.source]
            heard_scale = self.scales[layer.source]
        height, width = output_size(layer, shape[0], shape[1])
        activation, scale, zero = _levels(layer, embedding_scale)
        if int(layer.thresholds.max()) * (layer.high - layer.low + 1) > RANGE:
            raise InputError(
                f"layer {layer.name}: threshold {layer.thresholds.max()} is too large for {layer.high} steps"
            )
        weight_scales = np.float64(scale) / (np.float64(heard_scale) * layer.thresholds)
        axis = 3 if layer.kind == "depthwise" else 0
        weights = self.constant(f"{layer.name}/weights", layer.weights, "INT8", weight_scales, axis)
        # the file holds the weights' scales as float32; the runtime checks that the bias's scale is their product
        bias_scales = weight_scales.astype(np.float32).astype(np.float64) * heard_scale
        bias = self.constant(f"{layer.name}/bias", layer.bias.astype("<i4"), "INT32", bias_scales, 0)
        output = self.tensor(layer.name, (1, height, width, layer.channels), "INT8", [scale], [zero])
        self.put(output, (height, width, layer.channels), scale)
        options: Any = schema.DepthwiseConv2DOptionsT() if layer.kind == "depthwise" else schema.Conv2DOptionsT()
        options.strideH = options.strideW = layer.stride
        options.dilationHFactor = options.dilationWFactor = 1
        options.padding = schema.Padding.SAME if layer.padding == "same" else schema.Padding.VALID
        options.fusedActivationFunction = activation
        kind = "CONV_2D"
        if layer.kind == "depthwise":
            kind, options.depthMultiplier = "DEPTHWISE_CONV_2D", 1
        self.operator(kind, [source, weights, bias], output, options)

    def add(self, node: Sum) -> None:
        first, second = node.sources
        if self.scales[first] != self.scales[second]:
            raise InputError(f"sum {node.name} adds counts of different scales: give the chain's layers the same T")
        shape, scale = self.shapes[first], self.scales[first]
        output = self.tensor(node.name, (1, *shape), "INT8", [scale], [0])
        self.put(output, shape, scale)
        self.operator("ADD", [self.tensors[first], self.tensors[second]], output, schema.AddOptionsT())

    def put(self, tensor: int, shape: tuple[int, int, int], scale: float) -> None:
        self.tensors.append(tensor)
        self.shapes.append(shape)
        self.scales.append(scale)

    def tensor(
        self, name: str, shape: tuple[int, ...], kind: str, scales: Any, zeros: Any, axis: int = 0, buffer: int = 0
    ) -> int:
        made: Any = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, list(shape), getattr(schema.TensorType, kind), buffer
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [float(s) for s in scales], [int(z) for z in zeros]
        made.quantization.quantizedDimension = axis
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def constant(self, name: str, values: NDArray[Any], kind: str, scales: NDArray[np.float64], axis: int) -> int:
        buffer: Any = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        number = len(self.model.buffers) - 1
        return self.tensor(name, values.shape, kind, scales, np.zeros(scales.size), axis, number)

    def operator(self, kind: str, inputs: list[int], output: int, options: Any) -> None:
        made: Any = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self.opcode(kind), inputs, [output]
        made.builtinOptions = options
        names = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "ADD": "AddOptions"}
        made.builtinOptionsType = getattr(schema.BuiltinOptions, names[kind])
        self.graph.operators.append(made)

    def opcode(self, kind: str) -> int:
        builtin = getattr(schema.BuiltinOperator, kind)
        if builtin not in self.kinds:
            code: Any = schema.OperatorCodeT()
            # both fields: readers older than schema version 3a know only the deprecated one
            code.builtinCode = code.deprecatedBuiltinCode = builtin
            # the first versions of these operators that take int8
            code.version = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "ADD": 2}[kind]
            self.kinds[builtin] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self.kinds[builtin]


def _levels(layer: Layer, embedding_scale: float | None) -> tuple[int, float, int]:
    """Return (activation, scale, zero point) of a layer's tensor, by which the runtime clips at its bounds."""
    if embedding_scale is not None:
        if (layer.low, layer.high) != (0, EMBEDDING_LEVELS):
            raise InputError(f"layer {layer.name}: the embedding counts from 0 to {EMBEDDING_LEVELS}")
        return schema.ActivationFunctionType.NONE, float(np.float32(embedding_scale)), -128
    if layer.low == 0:
        return schema.ActivationFunctionType.RELU6, float(np.float32(6 / layer.high)), 0
    if layer.low == -layer.high:
        return schema.ActivationFunctionType.RELU_N1_TO_1, float(np.float32(1 / layer.high)), 0
    raise InputError(f"layer {layer.name}: counts from {layer.low} to {layer.high} have no activation in TFLite")
