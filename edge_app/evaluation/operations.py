"""Synaptic operations, counted on the real network while it is shown real inputs (NeuroBench, Yik et al. 2025).

    dense          operations if every activation and every weight were different from 0
    effective_acs  accumulations: both are not 0, and the activation is a spike (0 or 1)
    effective_macs multiply-accumulations: both are not 0, and the activation is a number

A decision: each input spike is accumulated by every L neuron with a weight from it, each spike of an L neuron by its
OUT neuron. `executed` is the number of additions in the kernels, which read each weight once per presentation. Learning
is counted without a decision: with the decorrelated rule the presentation for the correction and its vector products,
with the published rule its presentation, the changed synapses, and the weights computed from them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet import kernels
from edge_app.colanet.columns import Columns
from edge_app.colanet.decorrelated import DecorrelatedColumns
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import INPUT_STEPS, Decorrelated
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
    # int64: the sum of uint8 counts would wrap
    accumulated = int(counts.astype(np.int64) @ np.count_nonzero(columns.weights, axis=1))
    active = int(np.count_nonzero(counts))
    sums = sum(kernels.spikes_at(count, step) for count in range(1, INPUT_STEPS + 1) for step in range(INPUT_STEPS))
    return Operations(
        dense=INPUT_STEPS * (n * neurons + neurons),
        effective_acs=accumulated + spikes,
        executed=(active + sums + INPUT_STEPS) * neurons,
    )


def learn_and_count(network: CoLaNET, counts: Counts, label: str) -> Operations:
    """Let a network learn one example, and return the number of operations."""
    columns = network.columns
    if isinstance(columns, DecorrelatedColumns):
        found = _decorrelated(columns, counts, network.labels.index(label))
        network.learn_one(counts, label)
        return found
    assert isinstance(columns, PublishedColumns)
    # learn_one changes it in place
    before = columns.resource.copy()
    presented = of_decision(columns, counts)
    network.learn_one(counts, label)
    return presented.plus(_published(columns, before))


def _decorrelated(columns: DecorrelatedColumns, counts: Counts, column: int) -> Operations:
    """Count the operations of one call of `DecorrelatedColumns.learn`, with the zeros as they are before it."""
    n, neurons = columns.n_inputs, columns.uses.size
    winner = column * columns.per_column
    total = Operations()
    if columns.per_column > 1:
        total = total.plus(of_decision(columns, counts))
        winner += int(columns.present(counts).winner[column, 0])
    uses = int(columns.uses[winner])
    used = int(np.count_nonzero(columns.uses))
    rule = columns.params.plasticity
    assert isinstance(rule, Decorrelated)
    if uses and rule.correction and columns.keys.size > 1:
        total = total.plus(_correction(columns, counts, column))
    elif not uses and rule.novelty and used:
        total = total.plus(_loss(columns, columns.deviation(counts), rule.regularisation / rule.novelty, used))
    residual = np.zeros(n, np.int32)
    kernels.residual_of(counts, columns.mean[winner], residual)
    trace = _trace(columns, residual)
    if uses:
        total = total.plus(_loss(columns, residual, rule.regularisation, uses))
    else:
        total = total.plus(_tracing(columns, residual))
    total = total.plus(_macs(2 * n, int(np.count_nonzero(trace)) + int(np.count_nonzero(residual))))  # reward, the mean
    used += uses == 0
    # norm, weights and tonic inhibition of every neuron that has learnt; the common means and corrections are sums
    return total.plus(Operations(3 * neurons * n, 3 * used * n, 3 * used * n, 6 * used * n))


def _correction(columns: DecorrelatedColumns, counts: Counts, column: int) -> Operations:
    """A presentation, and a step for each column that expected the example wrongly."""
    deviation = columns.deviation(counts)
    wrong = int(np.count_nonzero(np.abs(columns.errors(columns.present(counts), column)) >= kernels.LEAST_ERROR))
    moved = int(np.count_nonzero(deviation))
    steps = _macs((columns.keys.size + 1) * columns.n_inputs, (wrong + 1) * moved)  # one more for the energy
    return of_decision(columns, counts).plus(steps._replace(executed=(wrong + 1) * columns.n_inputs))


def _trace(columns: DecorrelatedColumns, residual: NDArray[np.int32]) -> NDArray[np.int32]:
    trace = np.zeros_like(residual)
    totals = kernels.inhibit_and_decorrelate(
        columns.decorrelation, np.zeros_like(residual), residual, 0, kernels.folded(residual.size)
    )
    kernels.trace_of(totals, trace)
    return trace


def _tracing(columns: DecorrelatedColumns, residual: NDArray[np.int32]) -> Operations:
    """P residual."""
    n = columns.n_inputs
    return _macs(n * n, int(np.count_nonzero(columns.decorrelation, axis=0) @ (residual != 0)))


def _loss(columns: DecorrelatedColumns, residual: NDArray[np.int32], regularisation: float, uses: int) -> Operations:
    """The trace of a residual, the loss of all neurons, and lateral inhibition."""
    n, neurons = columns.n_inputs, columns.uses.size
    trace, scaled = _trace(columns, residual), np.zeros(n, np.int32)
    _, scale = kernels.divide_scale(residual, trace, round(regularisation), uses)
    kernels.scale_trace(trace, scale, scaled)
    moved = residual != 0
    traced, inhibited = int(np.count_nonzero(trace)), int(np.count_nonzero(scaled))
    responding = int(np.count_nonzero(np.any(columns.drive[:, moved] != 0, axis=1)))
    parts = (
        _tracing(columns, residual),
        _macs(n, int(np.count_nonzero(trace[moved]))),  # residual . trace
        _macs(n, traced),  # the scaled trace
        _macs(neurons * n, int(np.count_nonzero(columns.drive[:, moved]))),  # responses
        _macs(neurons * n, responding * traced),  # loss
        # lateral inhibition, of which the kernel computes one of two equal halves
        _macs(n * n, inhibited * inhibited)._replace(executed=n * (n + 1) // 2),
    )
    total = Operations()
    for part in parts:
        total = total.plus(part)
    return total


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
