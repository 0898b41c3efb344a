"""A taught network as plain arrays, from which other programs decide as it does, to the bit (docs/npz.md)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.colanet.decorrelated import DecorrelatedColumns
from edge_app.colanet.kernels import ALL_STEPS, T, spikes_at, spread_evenly
from edge_app.colanet.network import CoLaNET
from edge_app.errors import InputError


def decision_arrays(network: CoLaNET) -> dict[str, NDArray[Any]]:
    """Return the arrays that decisions on spike counts depend on: docs/npz.md lists names, shapes and formats.

    Raises InputError for a network without classes, and for one with other parameters than a single L neuron a column
    and the decorrelated rule.
    """
    columns = network.columns
    if not isinstance(columns, DecorrelatedColumns) or columns.per_column > 1:
        raise InputError(
            f"the network has the {network.params.rule} rule and {columns.per_column} L neurons a column: only the "
            "default rule with one can be written as arrays. `edge-app rebuild --params default` learns the examples "
            "again with it"
        )
    if not network.labels:
        raise InputError("nothing to export: no class was taught")
    # written out step by step, so that a reader needs none of the rounding rules
    steady = np.zeros((ALL_STEPS, len(network.labels)), np.int32)
    spread_evenly(columns.tonic, steady[:T])
    spike_times = np.zeros((T + 1, ALL_STEPS), np.int64)
    spike_times[:, :T] = [[spikes_at(count, step) for step in range(T)] for count in range(T + 1)]
    return {
        "labels": np.array(network.labels),
        "spike_times": spike_times,
        "weights": columns.weights,
        "steady": steady.astype(np.int64),
        "threshold": columns.threshold.astype(np.int64),
        **columns.decision_arrays(),
    }
