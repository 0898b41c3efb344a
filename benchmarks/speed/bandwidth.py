"""Memory bandwidth of one core by the size of the working set: it sets the floor of a decision's time."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.speed.turns import low, take_turns

SIZES = tuple(1 << power for power in range(14, 29))
"""16 KB to 256 MB."""


@numba.njit(nogil=True)  # type: ignore[misc]
def read(values):  # type: ignore[no-untyped-def]
    """Return the sum of (n,) int64: only loads and vector additions, so that memory is the limit."""
    total = np.int64(0)
    for i in range(values.shape[0]):
        total += values[i]
    return total


def reader(n_bytes: int) -> Callable[[], Any]:
    """Return a job that reads about n_bytes, the same each time, so that they stay in the caches if they fit."""
    values: NDArray[np.int64] = np.ones(max(n_bytes // 8, 8), np.int64)
    return lambda: read(values)


def bytes_read(n_bytes: int) -> int:
    """Return how much the `reader` of that size reads."""
    return max(n_bytes // 8, 8) * 8


def measure(seconds: float = 0.2) -> list[dict[str, float]]:
    """Return [{"bytes", "gb_per_s"}] by working set."""
    found = []
    for size in SIZES:
        times = take_turns({"read": reader(size)}, seconds=seconds)["read"]
        found.append({"bytes": size, "gb_per_s": size / low(times) / 1e9})
    return found
