"""Distil the spiking encoder from the float one, without labels: block by block, or through hybrids.

With `apart` each unit (the stem, a block, the head) is trained by its own map alone, on the spikes of the units before;
the embedding and the 1,000-class head train the last one. Otherwise each step trains the whole network and one hybrid,
drawn by (seed, step): after some units a branch leaves the spiking network, a learnable 1 x 1 map, the identity at
first, and then the frozen source's remaining units (hybrid M_k, arXiv 2503.16572). The loss of both is

    loss = |e - e*|^2 / |e*|^2 + kl * KL(head(e*) || head(e)) + rate * operations / MACs

where e is the pooled embedding and e* the source's, and maps * the mean relative squared error of the maps after each
unit. The learning rate rises for a few steps, is constant, and falls linearly to 0 in the last part of the steps.

A step is MICRO batches whose gradients are added in their order, whichever process computed them: two processes
(torchrun) and one give the same bytes. All that a step draws depends on (seed, step), so a run that is resumed gives
the bytes of one that was not stopped.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from calibration.spiking.network import SourceNetwork, SpikingTwin, pooled

MICRO = 2
"""Parts that a batch is computed in, at most as many processes can share a step."""
RISE = 30
"""Steps in which the learning rate rises."""
FALL = 0.65
"""Part of the steps in which it falls: at a constant rate the noise of the gradients outweighs what is learnt."""
MAIN = (0, 2, 4, 7, 10, 14, 15)
"""Blocks of EfficientNet-Lite0 that branches leave after: the ends of its stages."""


@dataclass(frozen=True)
class Recipe:
    """All that a run depends on besides the network it starts from and the pictures."""

    steps: int
    """Of a cycle: the learning rate rises and falls once."""
    cycles: int = 1
    """The learning rate begins anew so often (Loshchilov and Hutter 2017, "SGDR", warm restarts)."""
    batch: int = 16
    seed: int = 0
    rate: float = 5e-4
    """Learning rate of kernels and biases, in their units (`SpikingTwin.normalise`)."""
    step_rate: float = 5e-4
    """Learning rate of the logarithms of the steps."""
    kl: float = 0.2
    hybrid: float = 0.5
    """Weight of the hybrid's loss; 0: the whole network's alone."""
    maps: float = 1.0
    """Weight of the relative squared error of the maps after each unit, their mean."""
    apart: bool = False
    """Whether each unit is trained by its own map alone: no gradient leaves it."""
    operations: float = 0.0
    """Weight of the synaptic operations a MAC."""
    branches: tuple[int, ...] = MAIN

    @property
    def total_steps(self) -> int:
        """Steps of all cycles."""
        return self.steps * self.cycles

    def digest(self, network: SpikingTwin) -> str:
        """Name the run by recipe, architecture and start; more steps and cycles go on with the same checkpoint."""
        recipe = asdict(self) | {"steps": None}
        del recipe["cycles"]
        hashed = hashlib.sha256(repr((recipe, network.architecture, network.counts)).encode())
        for parameter in network.parameters():
            hashed.update(parameter.detach().contiguous().numpy().tobytes())
        return hashed.hexdigest()


@dataclass
class DistillationState:
    """The content of a checkpoint."""

    step: int = 0
    losses: list[float] = field(default_factory=list)


class Distillation:
    """One run. `views(step, places)` returns the normalised pictures at these places of a step's batch.

    It returns two tensors: what the source is shown and what the network is; they may be the same.
    """

    def __init__(
        self,
        source: SourceNetwork,
        head: tuple[Tensor, Tensor],
        network: SpikingTwin,
        recipe: Recipe,
        views: Callable[[int, range], tuple[Tensor, Tensor]],
        folder: Path,
    ) -> None:
        self.source, self.head, self.network, self.recipe, self.views = source, head, network, recipe, views
        blocks = [1 + block for block in recipe.branches if recipe.hybrid]
        self.stops = tuple(block + 1 for block in blocks if block + 1 < len(source.units))
        channels = [source.layers[source.units[stop - 1].layers[-1]].channels_out for stop in self.stops]
        self.maps = nn.ParameterList([torch.eye(n)[:, :, None, None].clone() for n in channels])
        network.normalise()
        self.path = folder / f"{recipe.digest(network)[:16]}.checkpoint"
        steps = list(network.log_steps)
        others = [*network.kernels, *network.biases, *self.maps]
        groups = [{"params": others, "lr": recipe.rate}, {"params": steps, "lr": recipe.step_rate}]
        self.optimiser = torch.optim.Adam(groups)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: factor(step % recipe.steps, recipe.steps)
        )
        self.parameters: list[nn.Parameter] = [p for group in self.optimiser.param_groups for p in group["params"]]
        self.state = DistillationState()

    def resume(self) -> None:
        """Continue from the checkpoint of this run, if there is one."""
        if self.path.is_file():
            # weights_only: a checkpoint is data, and must not run pickled code
            found = torch.load(self.path, weights_only=True)
            for parameter, value in zip(self.parameters, found["parameters"], strict=True):
                parameter.data.copy_(value)
            self.optimiser.load_state_dict(found["optimiser"])
            self.scheduler.load_state_dict(found["scheduler"])
            # the rate that was saved is that of a recipe which may have had fewer steps
            rate = factor(found["step"] % self.recipe.steps, self.recipe.steps)
            for group, most in zip(self.optimiser.param_groups, self.scheduler.base_lrs, strict=True):
                group["lr"] = most * rate
            self.state = DistillationState(found["step"], found["losses"])

    def save(self) -> None:
        """Write the checkpoint, whole or not at all; one process does."""
        if rank() == 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # renamed when it is complete: a run killed while it saves keeps its earlier checkpoint
            scratch = self.path.with_suffix(".new")
            found = {
                "parameters": [parameter.data for parameter in self.parameters],
                "optimiser": self.optimiser.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                **asdict(self.state),
            }
            torch.save(found, scratch)
            scratch.replace(self.path)

    def run(self, *, minutes: float | None = None, save_every: float = 120.0) -> Iterator[float]:
        """Yield each step's loss until the recipe's steps are done or `minutes` are over; saves as it goes."""
        start = saved = time.monotonic()
        while self.state.step < self.recipe.total_steps:
            yield self.step()
            now = time.monotonic()
            # the processes' clocks differ by a little; one that stopped a step early would leave the others waiting
            over = minutes is not None and agreed(now - start > 60 * minutes)
            if over or now - saved > save_every or self.state.step == self.recipe.total_steps:
                self.save()
                saved = now
            if over:
                return

    def step(self) -> float:
        """Train on one batch; return its loss."""
        part = self.recipe.batch // MICRO
        mine = range(rank(), MICRO, processes())
        found = [self._gradient(range(i * part, (i + 1) * part)) for i in mine]
        total = added(found)
        offset = 0
        for parameter in self.parameters:
            grad = total[offset : offset + parameter.numel()].view(parameter.shape) / MICRO
            # a copy in the parameter's memory layout (channels last), which a view of the flat vector does not have
            parameter.grad = torch.empty_like(parameter).copy_(grad)
            offset += parameter.numel()
        self.optimiser.step()
        self.scheduler.step()
        self.state.step += 1
        self.state.losses.append(float(total[-1]) / MICRO)
        return self.state.losses[-1]

    def _gradient(self, places: range) -> Tensor:
        """Return the gradients of all parameters for a part of the batch, and its loss, as one vector."""
        loss = self.loss(*self.views(self.state.step, places))
        grads = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        flat = [
            torch.zeros(p.numel()) if g is None else g.reshape(-1) for p, g in zip(self.parameters, grads, strict=True)
        ]
        return torch.cat([*flat, loss.detach()[None]])

    def loss(self, shown: Tensor, x: Tensor) -> Tensor:
        """Return the loss of the network and of one hybrid.

        shown, x: pictures (n, 3, side, side) for the source and for the network.
        """
        recipe, architecture = self.recipe, self.network.architecture
        with torch.no_grad():
            aims = maps(self.source, shown)
            wanted = pooled(aims[-1], architecture)
        operations = SynapticCost(self.network) if recipe.operations else None
        given = maps(self.network, x, apart=recipe.apart)
        loss = self.difference(pooled(given[-1], architecture), wanted)
        if self.stops:
            # not a generator that goes on from step to step: a resumed run could not continue it
            chosen = int(np.random.default_rng([recipe.seed, self.state.step]).integers(len(self.stops)))
            middle = F.conv2d(given[self.stops[chosen] - 1], self.maps[chosen])
            end = self.source.run(middle, self.stops[chosen])
            loss = loss + recipe.hybrid * self.difference(pooled(end, architecture), wanted)
        if recipe.maps:
            errors = [(one - aim).square().mean() / aim.square().mean() for one, aim in zip(given, aims, strict=True)]
            loss = loss + recipe.maps * torch.stack(errors).mean()
        if operations is not None:
            loss = loss + recipe.operations * operations.close() / x.shape[0]
        return loss

    def difference(self, given: Tensor, wanted: Tensor) -> Tensor:
        """Return the loss of embeddings (n, size) against the source's."""
        embedding = ((given - wanted).square().sum(1) / wanted.square().sum(1)).mean()
        if not self.recipe.kl:
            return embedding
        aims = F.log_softmax(F.linear(wanted, *self.head), dim=1)
        logits = F.log_softmax(F.linear(given, *self.head), dim=1)
        return embedding + self.recipe.kl * F.kl_div(logits, aims, reduction="batchmean", log_target=True)


class SynapticCost:
    """Hears a network's layers, and adds up what their spikes cost, in operations a MAC, differentiably."""

    def __init__(self, network: SpikingTwin) -> None:
        self.network = network
        self.total = torch.zeros(())
        self.macs = 0
        self.fan_out = fan_outs(network.layers)
        network.heard = self.hear

    def hear(self, index: int, values: Tensor) -> None:
        """Count the spikes of one layer, each as many times as it is accumulated."""
        spikes = (values.abs().sum((0, 2, 3)) / self.network.step(index)).sum()
        self.total = self.total + spikes * self.fan_out[index]
        self.macs += round(self.fan_out[index] * values[0].numel())

    def close(self) -> Tensor:
        """Return the operations a MAC, summed over the pictures heard."""
        self.network.heard = None
        return self.total / self.macs


def fan_outs(layers: Sequence[Any]) -> list[float]:
    """Return how many synapses a spike of each layer reaches, padding neglected; of the last, the pooling's one."""
    found = []
    for after in layers[1:]:
        wide = 1 if after.depthwise else after.channels_out
        found.append(wide * after.kernel**2 / after.stride**2)
    return [*found, 1.0]


def factor(step: int, steps: int) -> float:
    """Return the part of the learning rate at a step."""
    return min((step + 1) / RISE, 1.0, max(steps - step, 0) / max(FALL * steps, 1.0))


def maps(network: SourceNetwork | SpikingTwin, x: Tensor, *, apart: bool = False) -> list[Tensor]:
    """Return the maps after each unit; with `apart` no gradient passes from one unit to the one before."""
    found = []
    for unit in range(len(network.units)):
        x = network.run(x.detach() if apart else x, unit, unit + 1)
        found.append(x)
    return found


def rank() -> int:
    """Return this process's number."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    """Return how many processes share a step."""
    return dist.get_world_size() if dist.is_initialized() else 1


def agreed(value: bool) -> bool:
    """Return the value of the first process, so that all stop at the same step."""
    if processes() == 1:
        return value
    said = torch.tensor([int(value)])
    dist.broadcast(said, 0)
    return bool(said.item())


def added(found: list[Tensor]) -> Tensor:
    """Return the sum of all micro batches' vectors, added in the micro batches' order on every process."""
    if processes() > 1:
        mine = torch.stack(found)
        parts = [torch.empty_like(mine) for _ in range(processes())]
        # all_reduce would add in an order that depends on the number of processes
        dist.all_gather(parts, mine)
        found = [parts[i % processes()][i // processes()] for i in range(MICRO)]
    total = found[0]
    # one after the other, not torch.sum: the order of float additions decides the last bits
    for one in found[1:]:
        total = total + one
    return total
