"""Turn the float network into a spiking one without training: steps by least squared error, then bias correction.

Steps: of each channel (of each residual chain for linear bottlenecks), the value of one spike that keeps the squared
error of clip(round(x / step)) * step least over the calibration pictures.

Biases: layer by layer, each hearing the spikes of those before it, each channel's mean drive is made equal to the
source's, then its mean value after firing (Nagel et al. 2019). A bottleneck with a shortcut is corrected to the
source's sum, so that it makes up for what the shortcut carries.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from calibration.spiking.network import LEVELS, SourceNetwork, SpikingTwin

SAMPLES = 8192
"""Values of a channel that its step is chosen on."""
CANDIDATES = 32
AFTER_FIRING = 3
"""Corrections of a channel's mean value after firing."""
CHUNK = 8
"""Pictures that are computed at a time."""


@torch.no_grad()
def convert(source: SourceNetwork, target: SpikingTwin, pictures: Tensor) -> None:
    """Set the steps and biases of `target`, which holds the source's kernels, on normalised pictures (n, 3, s, s)."""
    choose_steps(source, target, pictures)
    correct(source, target, pictures)


@torch.no_grad()
def choose_steps(source: SourceNetwork, target: SpikingTwin, pictures: Tensor) -> None:
    """Set each step to the candidate of least squared error."""
    seen: dict[int, list[Tensor]] = {}
    maps = list(pictures.split(CHUNK))
    picked = torch.Generator().manual_seed(0)
    for unit in source.units:
        incoming = maps
        for index in unit.layers:
            drives = [source.drive(x, index) for x in maps]
            seen.setdefault(target.chains[index], []).append(_sample(drives, picked))
            maps = [source.fire(drive, index) for drive in drives]
        if unit.shortcut:
            maps = [x + y for x, y in zip(incoming, maps, strict=True)]
    for chain, samples in seen.items():
        layer = source.layers[chain]
        step = least_error_step(torch.cat(samples, dim=1), target.counts[chain], signed=layer.signed)
        target.log_steps[chain].copy_(step.log())


def least_error_step(samples: Tensor, top: int, *, signed: bool) -> Tensor:
    """Return the step of each channel for drives (channels, samples)."""
    values = samples if signed else samples.clamp(0.0, LEVELS)
    # a channel that is silent on these pictures would get a step of 0
    reach = values.abs().amax(1).clamp(min=0.05)
    low = -top if signed else 0
    best = reach / top
    least = torch.full_like(best, torch.inf)
    for part in torch.linspace(1.0 / CANDIDATES, 1.0, CANDIDATES):
        step = reach * part / top
        coded = (values / step[:, None]).round().clamp(low, top) * step[:, None]
        error = (coded - values).square().sum(1)
        best = torch.where(error < least, step, best)
        least = torch.minimum(error, least)
    return best


@torch.no_grad()
def correct(source: SourceNetwork, target: SpikingTwin, pictures: Tensor) -> None:
    """Correct the biases of `target` on normalised pictures (n, 3, s, s); its kernels and steps stay."""
    wanted, given = list(pictures.split(CHUNK)), list(pictures.split(CHUNK))
    for unit in source.units:
        before, heard = wanted, given
        for index in unit.layers:
            aims = [source.drive(x, index) for x in wanted]
            wanted = values = [source.fire(aim, index) for aim in aims]
            # the last layer of a residual block also makes up for the error that the shortcut brings along
            if unit.shortcut and index == unit.layers[-1]:
                aims = values = [aim + was - has for aim, was, has in zip(aims, before, heard, strict=True)]
            given = _balanced(target, index, given, aims, values)
        if unit.shortcut:
            wanted = [x + y for x, y in zip(before, wanted, strict=True)]
            given = [x + y for x, y in zip(heard, given, strict=True)]


def _balanced(
    target: SpikingTwin, index: int, given: list[Tensor], aims: list[Tensor], values: list[Tensor]
) -> list[Tensor]:
    """Shift the biases so that the mean drive is that of `aims`, then the mean value that of `values`; return them."""
    drives = [target.drive(x, index) for x in given]
    shift = _mean(aims) - _mean(drives)
    for _ in range(AFTER_FIRING):
        fired = [target.fire(drive + shift[:, None, None], index) for drive in drives]
        shift += _mean(values) - _mean(fired)
    target.biases[index].add_(shift / target.bias_units[index])
    return [target.fire(drive + shift[:, None, None], index) for drive in drives]


def _sample(drives: list[Tensor], picked: torch.Generator) -> Tensor:
    """(channels, samples): the same places of all channels, drawn from each chunk."""
    parts = []
    for drive in drives:
        flat = drive.permute(1, 0, 2, 3).flatten(1)
        count = min(SAMPLES // len(drives) + 1, flat.shape[1])
        parts.append(flat[:, torch.randperm(flat.shape[1], generator=picked)[:count]])
    return torch.cat(parts, dim=1)


def _mean(maps: list[Tensor]) -> Tensor:
    # sums of millions of float32 values would lose the small shifts that are corrected here
    total = torch.stack([part.sum((0, 2, 3), dtype=torch.float64) for part in maps]).sum(0)
    count = sum(part.shape[0] * part.shape[2] * part.shape[3] for part in maps)
    return cast(Tensor, total / count).float()
