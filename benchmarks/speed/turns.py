"""Timing in turns: jobs alternate in short slices of one run, so that other load affects all of them alike.

Times of two runs on a shared machine cannot be compared; the ratio of two jobs in the same turns can. Other programs
can only add to a time, so a time is the lower decile of the turns. The spread of a ratio is half its range over fifths
of the run, divided by the ratio; `regression` allows for it.
"""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

PARTS = 5
FEWEST_TURNS = 5 * PARTS
LOW = 10

Times = NDArray[np.float64]
"""(turns,) seconds of one call."""


def take_turns(
    jobs: Mapping[str, Callable[[], Any]], *, seconds: float = 1.0, slice_s: float = 0.001, fewest: int = FEWEST_TURNS
) -> dict[str, Times]:
    """Run the jobs in turns for about `seconds`, and return the time of one call of each in each turn.

    A slice calls its job as often as fits `slice_s`, at least once. One turn before the first is not counted.
    """
    repeats = {name: _repeats(job, slice_s) for name, job in jobs.items()}
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    end = perf_counter() + seconds
    while perf_counter() < end or len(taken[next(iter(jobs))]) < fewest:
        for name, job in jobs.items():
            start = perf_counter()
            for _ in range(repeats[name]):
                job()
            taken[name].append((perf_counter() - start) / repeats[name])
    return {name: np.array(values) for name, values in taken.items()}


def low(times: Times) -> float:
    """Return the lower decile, in seconds."""
    return float(np.percentile(times, LOW))


def microseconds(times: Times) -> dict[str, float]:
    """Return lower decile, median and upper quartile as {"p10", "p50", "p75"}, in microseconds."""
    return {f"p{share}": float(np.percentile(times, share)) * 1e6 for share in (LOW, 50, 75)}


def ratio(above: Times, below: Times) -> dict[str, float]:
    """Return {"value", "spread"} of the ratio of two jobs that took the same turns."""
    parts = [low(a) / low(b) for a, b in zip(np.array_split(above, PARTS), np.array_split(below, PARTS), strict=True)]
    value = low(above) / low(below)
    return {"value": value, "spread": (max(parts) - min(parts)) / 2 / value}


def _repeats(job: Callable[[], Any], slice_s: float) -> int:
    job()
    times = []
    for _ in range(3):
        start = perf_counter()
        job()
        times.append(perf_counter() - start)
    return max(1, int(slice_s / max(min(times), 1e-7)))
