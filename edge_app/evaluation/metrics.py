"""NeuroBench's metrics of complexity, beside a conventional linear head and beside three nearest neighbours.

Footprint, connection sparsity, activation sparsity and synaptic operations as defined by Yik et al., "The neurobench
framework for benchmarking neuromorphic computing algorithms and systems", Nature Communications 16, 1545 (2025).
Counting starts at the embedding: the encoder, the same for all, is left out.

The energy is an estimate, not a measurement: operations times the energy of one at 45 nm and 0.9 V (Horowitz,
"Computing's energy problem", ISSCC 2014, figure 1.1.9), of arithmetic alone. Memory comes on top of it in each column,
and may well cost more: 10 pJ for 64 bits from a cache of 8 KB, 100 pJ from 1 MB, 1.3 to 2.6 nJ from DRAM.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet.decorrelated import DecorrelatedColumns
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import INPUT_STEPS, SILENT_STEPS
from edge_app.evaluation.operations import Operations, learn_and_count, of_decision

COUNTED = 50
"""Decisions and learnt examples that are counted."""
SPIKING_COUNTED = 10
"""Images that a spiking encoder's spikes are counted on: each takes a second or two to simulate."""
PICOJOULES = {"int_add": 0.1, "int_mac": 3.1 + 0.1, "float_mac": 3.7 + 0.9}
"""Of 32-bit operations (Horowitz 2014)."""


def network_metrics(
    network: CoLaNET, tested: NDArray[np.uint8], learnt: NDArray[np.uint8], labels: Sequence[str]
) -> dict[str, Any]:
    """Count on a taught network, which is left as it was: decisions on `tested`, then examples `learnt` as `labels`.

    tested (k, n_inputs) and learnt (m, n_inputs) uint8 spike counts, at least one row each.
    """
    # a copy: counting teaches it
    network = CoLaNET.from_snapshot(network.snapshot())
    columns = network.columns
    decisions = [of_decision(columns, counts) for counts in tested]
    spikes = [columns.present(counts).spikes.sum() for counts in tested]
    steps = INPUT_STEPS + SILENT_STEPS
    deciding = columns.weights.nbytes + columns.threshold.nbytes + columns.tonic.nbytes
    plastic = columns.keys.nbytes + sum(getattr(columns, name).nbytes for name in columns.neuron_arrays)
    if isinstance(columns, DecorrelatedColumns):
        plastic += columns.decorrelation.nbytes
    values = {
        "footprint_bytes": {"deciding": deciding, "learning": deciding + plastic},
        "connection_sparsity": 1 - np.count_nonzero(columns.weights) / columns.weights.size,
        "activation_sparsity": {
            "inputs": 1 - float(tested.mean()) / INPUT_STEPS,
            "neurons": 1 - float(np.mean(spikes)) / (columns.threshold.size * steps),
        },
        "neuron_updates": columns.threshold.size * steps,
        "decision": _mean(decisions),
    }
    learning = [learn_and_count(network, counts, label) for counts, label in zip(learnt, labels, strict=True)]
    return values | {"learnt_example": _mean(learning)}


def linear_head_metrics(embeddings: NDArray[np.uint8], n_classes: int, zero_point: int) -> dict[str, Any]:
    """The same of a float32 linear layer with bias, learning by one step of stochastic gradient an example.

    A zero of the embedding needs no multiplication, as in a zero-skipping accelerator.
    """
    n = embeddings.shape[1]
    active = float(np.count_nonzero(embeddings != zero_point, axis=1).mean())
    forward = _conventional(n * n_classes, active * n_classes, "float_mac")
    size = 4 * (n + 1) * n_classes
    return {
        "footprint_bytes": {"deciding": size, "learning": size},
        "connection_sparsity": 0.0,
        "activation_sparsity": {"inputs": 1 - active / n},
        "decision": forward,
        # forward, and a gradient of the same size
        "learnt_example": {key: 2 * value for key, value in forward.items()},
    }


def neighbour_metrics(stored: NDArray[np.uint8], embeddings: NDArray[np.uint8], zero_point: int) -> dict[str, Any]:
    """The same of three nearest neighbours on `stored` uint8 embeddings (m, n): a dot product with each.

    Learning stores the example; nothing is computed.
    """
    n = embeddings.shape[1]
    there = np.count_nonzero(stored != zero_point, axis=0)
    effective = float(((embeddings != zero_point) @ there).mean())
    return {
        "footprint_bytes": {"deciding": stored.nbytes, "learning": stored.nbytes},
        "connection_sparsity": 1 - float(there.sum()) / stored.size,
        "activation_sparsity": {"inputs": 1 - float(np.mean(embeddings != zero_point))},
        "decision": _conventional(n * len(stored), effective, "int_mac"),
        "learnt_example": _conventional(0, 0, "int_mac"),
    }


def complexity(
    make_network: Callable[[], CoLaNET],
    values: NDArray[np.uint8],
    counts: NDArray[np.uint8],
    labels: Sequence[str],
    learnt: NDArray[np.intp],
    tested: NDArray[np.intp],
    zero_point: int,
) -> dict[str, Any]:
    """Teach a network, and measure all three.

    values (m, n) embeddings, counts (m, n_inputs) uint8, labels (m,); `learnt`, in this order, and `tested` are row
    numbers, at least one each. Of the learnt rows the last ones are counted.
    """
    # the last ones: zeros become rarer while a network learns
    last = learnt[-min(COUNTED, max(len(learnt) // 2, 1)) :]
    network = make_network()
    for label in sorted({labels[row] for row in learnt}):
        network.add_class(label)
    for row in learnt[: len(learnt) - len(last)]:
        network.learn_one(counts[row], labels[row])
    shown = tested[:: max(len(tested) // COUNTED, 1)][:COUNTED]
    return {
        "colanet": network_metrics(network, counts[shown], counts[last], [labels[row] for row in last]),
        "linear_head": linear_head_metrics(values[shown], len(network.labels), zero_point),
        "knn3": neighbour_metrics(values[learnt], values[shown], zero_point),
        "picojoules": PICOJOULES,
    }


def _mean(found: Sequence[Operations]) -> dict[str, float]:
    dense, macs, acs, executed = np.mean(found, axis=0).tolist()
    energy = (macs * PICOJOULES["int_mac"] + acs * PICOJOULES["int_add"]) / 1e6
    return {
        "dense": dense,
        "effective_macs": macs,
        "effective_acs": acs,
        "executed": executed,
        "energy_estimate_uj": energy,
    }


def _conventional(dense: float, effective: float, operation: str) -> dict[str, float]:
    energy = effective * PICOJOULES[operation] / 1e6
    return {
        "dense": float(dense),
        "effective_macs": float(effective),
        "effective_acs": 0.0,
        "executed": float(dense),
        "energy_estimate_uj": energy,
    }
