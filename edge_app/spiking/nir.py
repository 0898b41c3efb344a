"""A spiking encoder as a graph of the Neuromorphic Intermediate Representation (NIR, Pedersen et al. 2024).

Each layer becomes a Conv2d and a population of IF neurons. What NIR has no field for:

signed neurons      two rails: the positive neurons hear W, the negative ones -W; who hears them has W and -W side by
                    side. Without ties, clip(round(d), -T, T) = clip(round(d), 0, T) - clip(round(-d), 0, T)
residual sums       both populations have an edge to the next Conv2d. An int8 sum is clipped at -128..127, this is not
'same' padding      at stride 2 it is lopsided, NIR's is not: the kernel stands in a larger one, zeros before it
starting potential  half a threshold, added to the bias: a phase's input comes in one step
soft reset, phases  in the metadata: {"reset": "subtract", "schedule": "phased", "steps": T}

Needs the extra `nir`: pip install 'edge-app[nir]'. Read the file with nir.read(path, type_check=False).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_app.errors import InputError, RuntimeMissing
from edge_app.spiking.convolution import output_size
from edge_app.spiking.network import PICTURE, Layer, SpikingNetwork, Sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUT, OUTPUT = "picture", "output"
TIE_BREAK = np.float32(1 / 32)
"""Of an integer's unit: 31 steps of it stay below 1."""


def graph_of(network: SpikingNetwork) -> Any:
    """Return the network as a nir.NIRGraph; its input is pixel - offset, (3, size, size). Raises RuntimeMissing."""
    nir = _nir()
    shapes = _shapes(network)
    size = network.size
    nodes: dict[str, Any] = {INPUT: nir.Input({"input": np.array([3, size, size])})}
    edges: list[tuple[str, str]] = []
    for index, node in enumerate(network.nodes):
        # NIR adds what arrives by several edges
        if isinstance(node, Sum):
            continue
        heard = (size, size) if node.source == PICTURE else shapes[node.source][:2]
        population = name_of(node)
        synapses = f"{population}.synapses"
        nodes[synapses] = _convolution(nir, network, node, heard)
        channels = node.channels * (2 if node.signed else 1)
        # one threshold for each rail
        thresholds = np.tile(node.thresholds, channels // node.channels).astype(np.float32)
        spread = np.broadcast_to(thresholds[:, None, None], (channels, *shapes[index][:2])).copy()
        facts = {"reset": "subtract", "schedule": "phased", "steps": node.high, "rails": channels // node.channels}
        nodes[population] = nir.IF(r=np.ones_like(spread), v_threshold=spread, metadata=facts)
        edges += [(source, synapses) for source in _populations(network, node.source)]
        edges.append((synapses, population))
    last = network.layers[-1]
    nodes[OUTPUT] = nir.Output({"output": np.array([last.channels, *shapes[-1][:2]])})
    edges.append((name_of(last), OUTPUT))
    # nir 1.0.8 takes a grouped convolution's input to have one channel; its check would refuse a right graph
    return nir.NIRGraph(nodes, edges, metadata={"offset": network.offset, "schedule": "phased"}, type_check=False)


def classifier_graph(
    weights: NDArray[np.int16], thresholds: NDArray[np.int32], steady: NDArray[np.int32], steps: int
) -> Any:
    """Return a taught classifier's inference network as a nir.NIRGraph. Raises RuntimeMissing.

    weights (inputs, columns), thresholds (columns,): of columns of one neuron each that neither leak nor have a floor,
    CoLaNET's default. steady (input steps, columns): the drive of each step that does not depend on the inputs. It
    enters by clock inputs behind the others, one a step, the k-th of which fires in step k. After the input steps there
    is silence up to `steps`. The column with the most spikes wins, at a tie the one with the greatest potential left.

    A neuron fires where u >= threshold, and u is an integer: TIE_BREAK a step makes u > threshold the same.
    """
    nir = _nir()
    neurons = thresholds.astype(np.float32)
    facts = {"reset": "subtract", "input_steps": len(steady), "steps": steps}
    wide = np.concatenate([weights, steady]).T.astype(np.float32)
    nodes = {
        "spikes": nir.Input({"input": np.array([wide.shape[1]])}),
        "columns.synapses": nir.Affine(weight=wide, bias=np.full(len(wide), TIE_BREAK)),
        "columns": nir.IF(r=np.ones_like(neurons), v_threshold=neurons, metadata=facts),
        OUTPUT: nir.Output({"output": np.array([len(wide)])}),
    }
    return nir.NIRGraph(nodes, list(pairwise(nodes)), metadata=facts)


def name_of(layer: Layer) -> str:
    """Return the name of a layer's population in the graph; in HDF5 a slash would open a group."""
    return layer.name.replace("/", ".")


def write(network: SpikingNetwork, path: Path) -> None:
    """Write the graph to a .nir file (HDF5). Raises RuntimeMissing, and InputError when it cannot be written."""
    graph = graph_of(network)
    try:
        _nir().write(str(path), graph)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


def _nir() -> Any:
    try:
        import nir
    except ImportError as error:
        raise RuntimeMissing(
            f"NIR export needs nir, which cannot be loaded: {error}; pip install 'edge-app[nir]'"
        ) from error
    return nir


def _shapes(network: SpikingNetwork) -> list[tuple[int, int, int]]:
    shapes: list[tuple[int, int, int]] = []
    for node in network.nodes:
        if isinstance(node, Sum):
            shapes.append(shapes[node.sources[0]])
        else:
            heard = (network.size, network.size) if node.source == PICTURE else shapes[node.source][:2]
            shapes.append((*output_size(node, *heard), node.channels))
    return shapes


def _populations(network: SpikingNetwork, index: int) -> list[str]:
    """Return the names of the populations whose spikes a node hands on."""
    if index == PICTURE:
        return [INPUT]
    node = network.nodes[index]
    if isinstance(node, Sum):
        return [name for source in node.sources for name in _populations(network, source)]
    return [name_of(node)]


def _rails(network: SpikingNetwork, index: int) -> int:
    if index == PICTURE:
        return 1
    node = network.nodes[index]
    return _rails(network, node.sources[0]) if isinstance(node, Sum) else 2 if node.signed else 1


def _convolution(nir: Any, network: SpikingNetwork, layer: Layer, heard: tuple[int, int]) -> Any:
    weights = layer.weights.astype(np.float32)
    weights = weights.transpose(3, 0, 1, 2) if layer.kind == "depthwise" else weights.transpose(0, 3, 1, 2)
    groups = layer.channels if layer.kind == "depthwise" else 1
    rails = _rails(network, layer.source)
    if rails == 2 and groups > 1:  # a channel's two rails lie apart: a full convolution, mostly zeros
        full = np.zeros((layer.channels, layer.channels, *weights.shape[2:]), np.float32)
        full[np.arange(layer.channels), np.arange(layer.channels)] = weights[:, 0]
        weights, groups = full, 1
    if rails == 2:
        weights = np.concatenate([weights, -weights], axis=1)
    bias = layer.bias.astype(np.float32)
    half = layer.thresholds.astype(np.float32) / 2
    if layer.signed:
        weights = np.concatenate([weights, -weights], axis=0)
        bias, half = np.concatenate([bias, -bias]), np.tile(half, 2)
    weights, padding = _symmetric(layer, weights, heard[0])
    return nir.Conv2d(
        input_shape=heard,
        weight=weights,
        stride=layer.stride,
        padding=padding,
        dilation=1,
        groups=groups,
        bias=bias + half,
    )


def _symmetric(layer: Layer, weights: NDArray[np.float32], side: int) -> tuple[NDArray[np.float32], int]:
    """Return the kernel and the padding on all sides that do what TensorFlow's 'same' does on a square map."""
    kernel = layer.kernel[0]
    if layer.padding == "valid":
        return weights, 0
    total = max((-(-side // layer.stride) - 1) * layer.stride + kernel - side, 0)
    before = total // 2
    after = kernel - 1 - before
    if before == after:
        return weights, before
    return np.pad(weights, ((0, 0), (0, 0), (after - before, 0), (after - before, 0))), after
