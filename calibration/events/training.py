"""The ordinary network of events: made from the encoder's weights, before and while it is trained.

It is a `SpikingTwin` whose neurons do not spike: ReLU6, linear in the bottlenecks. So the training of the spiking
encoder trains it, and its arrays are the source of a conversion.
"""

from __future__ import annotations

import torch
from torch import Tensor

from calibration.spiking.network import LEVELS, SourceNetwork, SpikingTwin

CONTRAST = 0.5
"""Of the first layer's kernels for ON and OFF to those for grey, which `adapt` corrects."""
MOST_GAIN = 4.0
"""`adapt` scales a channel at most so much: one that hardly changes has no statistics worth matching."""
CHUNK = 8
"""Pictures that are computed at a time."""


def unspiked(drive: Tensor, step: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return the values of an ordinary layer, in the place of `calibration.spiking.network.spike`."""
    return drive if float(low) < 0 else drive.clamp(0.0, LEVELS)


@torch.no_grad()
def hear_two_colours(network: SpikingTwin) -> None:
    """Make the first layer hear ON (blue) and OFF (red) as it heard lighter and darker grey; green is always black."""
    kernel = network.kernels[0]
    grey = CONTRAST * kernel.sum(1)
    kernel.copy_(torch.stack([-grey, torch.zeros_like(grey), grey], dim=1))


@torch.no_grad()
def adapt(source: SourceNetwork, network: SpikingTwin, shown: Tensor, seen: Tensor) -> None:
    """Give each channel of the network the mean and the standard deviation of the source's, layer by layer.

    shown, seen: normalised pictures (n, 3, side, side) and their events. What batch norms do whose statistics are taken
    anew in another domain (Li et al. 2016, "Revisiting Batch Normalization for Practical Domain Adaptation").
    """
    wanted, given = list(shown.split(CHUNK)), list(seen.split(CHUNK))
    for unit in source.units:
        before, heard = wanted, given
        for index in unit.layers:
            aims = [source.drive(x, index) for x in wanted]
            drives = [network.drive(x, index) for x in given]
            (aim, spread), (mean, deviation) = _statistics(aims), _statistics(drives)
            gain = (spread / deviation.clamp(min=1e-6)).clamp(1 / MOST_GAIN, MOST_GAIN)
            network.kernels[index].mul_(gain[:, None, None, None])
            network.biases[index].mul_(gain).add_(aim - gain * mean)
            wanted = [source.fire(drive, index) for drive in aims]
            given = [network.fire(network.drive(x, index), index) for x in given]
        if unit.shortcut:
            wanted = [x + y for x, y in zip(before, wanted, strict=True)]
            given = [x + y for x, y in zip(heard, given, strict=True)]


def arrays_of(network: SpikingTwin) -> list[tuple[Tensor, Tensor]]:
    """Return (kernel, bias) of each layer, as `source_arrays` does of the encoder."""
    return [(network.kernel(i).detach(), network.bias(i).detach()) for i in range(len(network.layers))]


def _statistics(maps: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of maps (n, channels, height, width)."""
    whole = torch.cat([part.permute(1, 0, 2, 3).flatten(1) for part in maps], dim=1)
    return whole.mean(1), whole.std(1)
