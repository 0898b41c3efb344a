"""EfficientNet-Lite as a source graph with batch norms folded, and its spiking twin, in PyTorch.

A layer's neurons integrate all T steps of their input, then fire (phased). With soft reset and a start at half the
threshold, the count of spikes is

    n = clip(round(drive / step), 0, T)      after a ReLU6
    n = clip(round(drive / step), -T, T)     of a linear bottleneck, whose neurons are signed

and stands for the value step * n. `step` is learnt, one a channel, shared by all layers of a residual chain, so that
residual sums add spikes. Gradients: straight through the rounding, LSQ's for the steps (Esser et al. 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from calibration import efficientnet
from edge_app.encoder.pooling import gaussian

LEVELS = 6.0
"""ReLU6's upper end."""


class LayerSpec(NamedTuple):
    """One convolution with 'same' padding, and the kind of neuron behind it."""

    name: str
    depthwise: bool
    kernel: int
    stride: int
    channels_in: int
    channels_out: int
    signed: bool


class UnitSpec(NamedTuple):
    """The stem, a block or the head: layers in a row, whose input is added to their output where `shortcut` is set."""

    layers: tuple[int, ...]
    """Indices into Architecture.layers."""
    shortcut: bool


@dataclass(frozen=True)
class Architecture:
    """A network of the EfficientNet-Lite family.

    stages: (repeats, kernel, stride, expansion, channels out), as in calibration/efficientnet.py.
    sigma: of the Gaussian that weights the cells of the last map in the embedding, in cells of a picture of `size`;
    None for their mean.
    """

    stem: int = 32
    stages: tuple[tuple[int, int, int, int, int], ...] = efficientnet.STAGES
    head: int = efficientnet.EMBEDDING
    size: int = efficientnet.VARIANTS["lite0"].size
    sigma: float | None = 2.0

    def graph(self) -> tuple[tuple[LayerSpec, ...], tuple[UnitSpec, ...]]:
        """Return the layers in order of computation, and the units that they form."""
        layers = [LayerSpec("_conv_stem", False, 3, 2, 3, self.stem, False)]
        units = [UnitSpec((0,), False)]
        channels = self.stem
        for repeats, kernel, first_stride, expansion, out in self.stages:
            for repeat in range(repeats):
                prefix, stride = f"_blocks.{len(units) - 1}", first_stride if repeat == 0 else 1
                start, wide = len(layers), channels * expansion
                if expansion != 1:
                    layers.append(LayerSpec(f"{prefix}._expand_conv", False, 1, 1, channels, wide, False))
                layers.append(LayerSpec(f"{prefix}._depthwise_conv", True, kernel, stride, wide, wide, False))
                layers.append(LayerSpec(f"{prefix}._project_conv", False, 1, 1, wide, out, True))
                units.append(UnitSpec(tuple(range(start, len(layers))), stride == 1 and channels == out))
                channels = out
        layers.append(LayerSpec("_conv_head", False, 1, 1, channels, self.head, False))
        units.append(UnitSpec((len(layers) - 1,), False))
        return tuple(layers), tuple(units)

    @property
    def map_side(self) -> int:
        """Cells along an edge of the last map."""
        side = self.size
        for layer in self.graph()[0]:
            side = -(-side // layer.stride)
        return side

    def chains(self) -> tuple[int, ...]:
        """Return for each layer the number of the step vector that it uses: one for all layers of a residual chain."""
        layers, units = self.graph()
        owner = list(range(len(layers)))
        for earlier, unit in pairwise(units):
            if unit.shortcut:
                owner[unit.layers[-1]] = owner[earlier.layers[-1]]
        return tuple(owner)


def source_arrays(weights: efficientnet.Weights, architecture: Architecture) -> list[tuple[Tensor, Tensor]]:
    """Return (kernel, bias) of each layer in PyTorch's layout, float32, batch norms folded in."""
    found = []
    for layer in architecture.graph()[0]:
        kernel, bias = efficientnet.folded(weights, layer.name, _norm_of(layer, architecture), layer.depthwise)
        order = (2, 3, 0, 1) if layer.depthwise else (3, 2, 0, 1)
        found.append((torch.from_numpy(np.ascontiguousarray(kernel.transpose(order))), torch.from_numpy(bias)))
    return found


def _norm_of(layer: LayerSpec, architecture: Architecture) -> str:
    if layer.name == "_conv_stem":
        return "_bn0"
    if layer.name == "_conv_head":
        return "_bn1"
    prefix, part = layer.name.rsplit(".", 1)
    return f"{prefix}.{ {'_expand_conv': '_bn0', '_depthwise_conv': '_bn1', '_project_conv': '_bn2'}[part] }"


def seeded_arrays(architecture: Architecture, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Return random kernels and biases for a network that was never trained: tests and small experiments."""
    made = torch.Generator().manual_seed(seed)
    found = []
    for layer in architecture.graph()[0]:
        fan_in = layer.kernel**2 * (1 if layer.depthwise else layer.channels_in)
        shape = (layer.channels_out, 1 if layer.depthwise else layer.channels_in, layer.kernel, layer.kernel)
        kernel = torch.randn(shape, generator=made) * (2.0 / fan_in) ** 0.5
        found.append((kernel, 0.2 * torch.rand(layer.channels_out, generator=made)))
    return found


def normalised(pictures: NDArray[np.uint8]) -> Tensor:
    """Return pictures (n, side, side, 3) uint8 as the network's float input (n, 3, side, side), -1 to 1."""
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    # channels_last: PyTorch's convolutions on a CPU are faster in this layout
    return ((x.float() - 127.0) / 128.0).contiguous(memory_format=torch.channels_last)


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None, layer: LayerSpec) -> Tensor:
    """Return the layer's convolution with TensorFlow's 'same' padding, which at stride 2 is lopsided."""
    groups = layer.channels_out if layer.depthwise else 1
    if layer.stride == 1:
        return F.conv2d(x, kernel, bias, padding=layer.kernel // 2, groups=groups)
    side = x.shape[-1]
    # TensorFlow pads the odd cell behind; PyTorch's own padding is the same on both sides
    total = max((-(-side // layer.stride) - 1) * layer.stride + layer.kernel - side, 0)
    before = total // 2
    x = F.pad(x, (before, total - before, before, total - before))
    return F.conv2d(x, kernel, bias, stride=layer.stride, groups=groups)


def pooled(x: Tensor, architecture: Architecture) -> Tensor:
    """Return the pooled map (n, channels), by the weights of `pooling_weights`."""
    weights = torch.from_numpy(pooling_weights(architecture, x.shape[-1])).to(x.dtype)
    return (x * weights).sum((2, 3))


def pooling_weights(architecture: Architecture, side: int) -> NDArray[np.float64]:
    """Return the weights (side, side) of the cells of a last map; they sum to 1. A smaller picture has fewer cells."""
    if architecture.sigma is None:
        return np.full((side, side), side**-2.0)
    return gaussian(side, architecture.sigma * side / architecture.map_side)


class SourceNetwork(nn.Module):
    """The float network, frozen. `units(x, start, stop)` runs a part of it."""

    def __init__(self, arrays: Sequence[tuple[Tensor, Tensor]], architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.layers, self.units = architecture.graph()
        self.kernels = nn.ParameterList([_laid(kernel) for kernel, _ in arrays]).requires_grad_(False)
        self.biases = nn.ParameterList([bias.clone() for _, bias in arrays]).requires_grad_(False)

    def drive(self, x: Tensor, index: int) -> Tensor:
        """Return what layer `index` computes before its ReLU6."""
        return convolve(x, self.kernels[index], self.biases[index], self.layers[index])

    def fire(self, drive: Tensor, index: int) -> Tensor:
        """Return the layer's values: ReLU6, or the drive itself in a linear bottleneck."""
        return drive if self.layers[index].signed else F.relu6(drive)

    def run(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Return the map that units start..stop-1 make of `x`."""
        for unit in self.units[start:stop]:
            x = _through(self, unit, x)
        return x


class SpikingTwin(nn.Module):
    """The spiking twin: the same graph with learnt kernels, biases and steps, its values multiples of the steps."""

    def __init__(
        self, arrays: Sequence[tuple[Tensor, Tensor]], architecture: Architecture, counts: Sequence[int]
    ) -> None:
        """`counts` is T of each layer: the most spikes a neuron of it fires for one picture."""
        super().__init__()
        self.architecture = architecture
        self.layers, self.units = architecture.graph()
        self.counts = tuple(counts)
        self.chains = architecture.chains()
        self.kernels = nn.ParameterList([_laid(kernel) for kernel, _ in arrays])
        self.biases = nn.ParameterList([bias.clone() for _, bias in arrays])
        self.kernel_units = [torch.ones(()) for _ in arrays]
        self.bias_units = [torch.ones(()) for _ in arrays]
        # logarithms, because a step must stay positive, whatever the optimiser does
        self.log_steps = nn.ParameterList([torch.full((layer.channels_out,), LEVELS).log() for layer in self.layers])
        self.spike: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = spike
        self.heard: Callable[[int, Tensor], None] | None = None
        """Called with each layer's index and values, where set."""

    def kernel(self, index: int) -> Tensor:
        """Return the kernel of layer `index`, (channels, channels in, height, width)."""
        return self.kernels[index] * self.kernel_units[index]

    def bias(self, index: int) -> Tensor:
        """Return the biases of layer `index`, (channels,)."""
        return self.biases[index] * self.bias_units[index]

    @torch.no_grad()
    def normalise(self) -> None:
        """Keep kernels in units of each channel's root mean square, and biases in steps, from now on.

        The folded batch norms spread channels over orders of magnitude, and a step of Adam is as long for all.
        """
        for index in range(len(self.layers)):
            kernel, bias = self.kernel(index), self.bias(index)
            self.kernel_units[index] = kernel.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-6)
            self.bias_units[index] = self.step(index).clone()
            self.kernels[index].copy_(kernel / self.kernel_units[index])
            self.biases[index].copy_(bias / self.bias_units[index])

    def step(self, index: int) -> Tensor:
        """Return the value of one spike of layer `index`, (channels,)."""
        return self.log_steps[self.chains[index]].exp()

    def drive(self, x: Tensor, index: int) -> Tensor:
        """Return what layer `index` integrates, in the source's units."""
        return convolve(x, self.kernel(index), self.bias(index), self.layers[index])

    def fire(self, drive: Tensor, index: int) -> Tensor:
        """Return step x count of each neuron."""
        top = torch.tensor(float(self.counts[index]))
        low = -top if self.layers[index].signed else torch.zeros(())
        values = self.spike(drive, self.step(index), low, top)
        if self.heard is not None:
            self.heard(index, values)
        return values

    def run(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Return the map that units start..stop-1 make of `x`."""
        for unit in self.units[start:stop]:
            x = _through(self, unit, x)
        return x


def spike(drive: Tensor, step: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return step x clip(round(drive / step), low, high); gradients straight through, and LSQ's for `step`.

    The bounds are tensors: PyTorch 2.13 compiles this with the bounds of an earlier call where they are numbers.
    """
    scale = step[:, None, None]
    level = torch.clamp(drive / scale, low, high)
    return (level + (level.round() - level).detach()) * scale


def compiled() -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return `spike` as one compiled loop, five times as fast; needs a C++ compiler."""
    return cast(Callable[[Tensor, Tensor, Tensor, Tensor], Tensor], torch.compile(spike, dynamic=True))


def _through(network: SourceNetwork | SpikingTwin, unit: UnitSpec, x: Tensor) -> Tensor:
    y = x
    for index in unit.layers:
        y = network.fire(network.drive(y, index), index)
    return x + y if unit.shortcut else y


def _laid(kernel: Tensor) -> nn.Parameter:
    return nn.Parameter(kernel.clone().contiguous(memory_format=torch.channels_last))
