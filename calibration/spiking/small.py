"""A small streaming spiking network of leaky integrate-and-fire neurons, and two ways to its gradients.

    V_t = decay * V_{t-1} + I_t        fires where V_t >= 1, then 1 is taken off

A picture is a constant current in every step, events are a current of their own in each step; the classes are read
from the last layer's mean rates.

Backpropagation through time keeps every step's tensors. Rate-based backpropagation (arXiv 2410.11488 as in the paper
2503.16572) runs the T steps without a graph, keeps per neuron the mean rate r and

    e = mean_t(surrogate'(V_t - 1) * f_t)      f_0 = 1, f_{t+1} = 1 + decay * f_t

and builds one graph of rates, r + e * I - stopgrad(e * I) with I the mean current; its loss is divided by T.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS = ((32, 1), (64, 2), (64, 1), (128, 2))
"""(channels out, stride) of the 3 x 3 convolutions."""
DECAY = 0.9
HALF = 0.55
"""Constant current by which a neuron fires in half of 8 steps; from 0.1 to 1 the rate grows about linearly to 1."""
WIDTH = 1.0
"""Half the base of the triangular surrogate."""


class SmallNetwork(nn.Module):
    """Convolutions and a linear readout.

    Inputs are float: constant (n, channels, height, width), or a stream (n, steps, channels, height, width).
    """

    def __init__(self, classes: int, seed: int, channels: int = 3) -> None:
        super().__init__()
        made = torch.Generator().manual_seed(seed)
        self.kernels = nn.ParameterList()
        self.biases = nn.ParameterList()
        for channels_out, _ in LAYERS:
            kernel = torch.randn((channels_out, channels, 3, 3), generator=made) * (2.0 / (9 * channels)) ** 0.5
            self.kernels.append(nn.Parameter(kernel))
            self.biases.append(nn.Parameter(torch.zeros(channels_out)))
            channels = channels_out
        self.head = nn.Parameter(torch.randn((classes, channels), generator=made) * 0.05)

    def current(self, x: Tensor, index: int) -> Tensor:
        """Return the currents into layer `index`, whose input is `x`."""
        return F.conv2d(x, self.kernels[index], self.biases[index], stride=LAYERS[index][1], padding=1)

    def read(self, rates: Tensor) -> Tensor:
        """Return logits from the last layer's mean rates (n, channels, height, width)."""
        return F.linear(rates.mean((2, 3)), 10 * self.head)

    def through_time(self, x: Tensor, steps: int) -> Tensor:
        """Return the logits (n, classes) after `steps`, with a graph of every step."""
        potentials: list[Tensor | None] = [None] * len(LAYERS)
        total: Tensor | float = 0.0
        for first in self._first_currents(x, steps):
            spikes = first
            for index in range(len(LAYERS)):
                drive = first if index == 0 else self.current(spikes, index)
                before = potentials[index]
                potential = drive if before is None else DECAY * before + drive
                spikes = Fire.apply(potential)
                potentials[index] = potential - spikes
            total = total + spikes
        return self.read(total / steps)

    def by_rates(self, x: Tensor, steps: int) -> Tensor:
        """Return the logits (n, classes) after `steps`, with one graph of rates."""
        with torch.no_grad():
            rates, factors = self._observe(x, steps)
        values = x if x.dim() == 4 else x.mean(1)
        for index in range(len(LAYERS)):
            reached = factors[index] * self.current(values, index)
            values = rates[index] + reached - reached.detach()
        return self.read(values)

    def sharpened(self, x: Tensor, slope: float) -> Tensor:
        """Return the logits (n, classes) at T = 1 with a hard tanh around HALF in place of spikes (pipe-S).

        `x`: constant input (n, channels, height, width); `slope`: rate per unit of current.
        """
        for index in range(len(LAYERS)):
            x = (slope * (self.current(x, index) - HALF) + 0.5).clamp(0.0, 1.0)
        return self.read(x)

    def _first_currents(self, x: Tensor, steps: int) -> Iterator[Tensor]:
        """Yield the currents into the first layer, step by step. Raises ValueError for a stream of other steps."""
        if x.dim() == 4:
            yield from [self.current(x, 0)] * steps
            return
        if x.shape[1] != steps:
            raise ValueError(f"a stream of {x.shape[1]} steps, expected {steps}")
        for part in x.unbind(1):
            yield self.current(part, 0)

    def _observe(self, x: Tensor, steps: int) -> tuple[list[Tensor], list[Tensor]]:
        """Run without a graph; return each layer's mean rates and its factors e."""
        count = len(LAYERS)
        potentials: list[Any] = [0.0] * count
        rates: list[Any] = [0.0] * count
        factors: list[Any] = [0.0] * count
        reach = 1.0
        for first in self._first_currents(x, steps):
            spikes = first
            for index in range(count):
                drive = first if index == 0 else self.current(spikes, index)
                potential = DECAY * potentials[index] + drive
                spikes = (potential >= 1.0).float()
                factors[index] = factors[index] + surrogate(potential) * reach / steps
                rates[index] = rates[index] + spikes / steps
                potentials[index] = potential - spikes
            reach = 1.0 + DECAY * reach
        return rates, factors


class Fire(torch.autograd.Function):
    """A spike where the potential has reached 1; its gradient is the surrogate's."""

    @staticmethod
    def forward(ctx: Any, potential: Tensor) -> Tensor:
        """Return 0 or 1."""
        ctx.save_for_backward(potential)
        return (potential >= 1.0).to(potential.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the gradient by the potential."""
        (potential,) = ctx.saved_tensors
        return grad * surrogate(potential)


def surrogate(potential: Tensor) -> Tensor:
    """Return the triangle that stands for the derivative of a spike by the potential."""
    return (1.0 - (potential - 1.0).abs() / WIDTH).clamp(min=0.0)
