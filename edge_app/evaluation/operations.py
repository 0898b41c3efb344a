"""Synaptic operations, counted on the real network while it is shown real inputs (NeuroBench, Yik et al. 2025).

    dense          operations if every activation and every weight were different from 0
    effective_acs  accumulations: both are not 0, and the activation is a spike (0 or 1)
    effective_macs multiply-accumulations: both are not 0, and the activation is a number

A decision: each input spike is accumulated by every L neuron with a weight from it, each spike of an L neuron by its
OUT neuron. `executed` is what the kernels add for the same sums, each weight being read once a presentation.
Learning is counted on top of no decision: under the decorrelated rule nothing but its own vector products, under the
published rule its presentation, the synapses that changed, and the weights that were computed anew.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet import kernels
from edge_app.colanet.columns import Columns
from edge_app.colanet.decorrelated import DecorrelatedColumns
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import INPUT_STEPS
from edge_app.colanet.published import PublishedColumns

Counts = NDArray[np.uint8]


class Operations(NamedTuple):
    """Numbers of operations of one decision or one learnt example."""

    dense: int = 0
    effective_macs: int = 0
    effective_acs: int = 0
    executed: int = 0
    """Additions and multiply-accumulations that the kernels carry out."""

    def plus(self, other: "Operations") -> "Operations":
        """Return the sum."""
        return Operations(*(a + b for a, b in zip(self, other, strict=True)))


def of_decision(columns: Columns, counts: Counts) -> Operations:
    """Count the operations of one presentation without learning."""
    activity = columns.present(counts)
    n, neurons = columns.weights.shape
    spikes = int(activity.spikes.sum())
    accumulated = int(counts.astype(np.int64) @ np.count_nonzero(columns.weights, axis=1))
    active = int(np.count_nonzero(counts))
    sums = sum(kernels.spikes_at(count, step) for count in range(1, INPUT_STEPS + 1) for step in range(INPUT_STEPS))
    return Operations(
        dense=INPUT_STEPS * (n * neurons + neurons),
        effective_acs=accumulated + spikes,
        executed=(active + sums + INPUT_STEPS) * neurons,
    )


def learn_and_count(network: CoLaNET, counts: Counts, label: str) -> Operations:
    """Let a network learn one example, and return the operations that this took."""
    columns = network.columns
    if isinstance(columns, DecorrelatedColumns):
        found = _decorrelated(columns, counts, network.labels.index(label))
        network.learn_one(counts, label)
        return found
    assert isinstance(columns, PublishedColumns)
    before = columns.resource.copy()
    presented = of_decision(columns, counts)
    network.learn_one(counts, label)
    return presented.plus(_published(columns, before))


def _decorrelated(columns: DecorrelatedColumns, counts: Counts, column: int) -> Operations:
    """Count what one call of `DecorrelatedColumns.learn` is about to do; one line a kernel."""
    n, neurons = columns.n_inputs, columns.uses.size
    winner = column * columns.per_column
    total = Operations()
    if columns.per_column > 1:
        total = total.plus(of_decision(columns, counts))
        winner += int(columns.present(counts).winner[column, 0])
    residual, trace, scaled = (np.zeros(n, np.int32) for _ in range(3))
    kernels.residual_of(counts, columns.mean[winner], residual)
    totals = kernels.inhibit_and_decorrelate(columns.decorrelation, scaled, residual, 0, kernels.folded(n))
    kernels.trace_of(totals, trace)
    moved = residual != 0
    traced = int(np.count_nonzero(trace))
    total = total.plus(_macs(n * n, int(np.count_nonzero(columns.decorrelation, axis=0) @ moved)))
    uses = int(columns.uses[winner])
    if uses:
        _, scale = kernels.divide_scale(residual, trace, int(columns.params.to_dict()["regularisation"]), uses)
        kernels.scale_trace(trace, scale, scaled)
        inhibited = int(np.count_nonzero(scaled))
        total = total.plus(_macs(n, int(np.count_nonzero(trace[moved]))))  # residual . trace
        total = total.plus(_macs(n, traced))  # the scaled trace
        total = total.plus(_macs(neurons * n, int(np.count_nonzero(columns.drive[:, moved]))))  # responses
        responding = int(np.count_nonzero(np.any(columns.drive[:, moved] != 0, axis=1)))
        total = total.plus(_macs(neurons * n, responding * traced))  # loss
        # lateral inhibition, of which the kernel computes one of two equal halves
        total = total.plus(_macs(n * n, inhibited * inhibited)._replace(executed=n * (n + 1) // 2))
    total = total.plus(_macs(2 * n, traced + int(moved.sum())))  # reward, and the mean
    used = int(np.count_nonzero(columns.uses)) + (uses == 0)
    # norm, weights and tonic inhibition of every neuron that has learnt; the common means are sums
    return total.plus(Operations(3 * neurons * n, 3 * used * n, 2 * used * n, 5 * used * n))


def _published(columns: PublishedColumns, before: NDArray[np.int32]) -> Operations:
    changed = columns.resource != before
    learnt = int(np.count_nonzero(changed.any(axis=1)))
    n = columns.n_inputs
    return Operations(
        dense=2 * changed.size,
        effective_macs=learnt * n,  # weights from resources
        effective_acs=int(np.count_nonzero(changed)),
        executed=2 * learnt * n,
    )


def _macs(dense: int, effective: int) -> Operations:
    return Operations(dense, effective, 0, dense)
