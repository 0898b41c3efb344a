"""Memory that a frame allocates in steady state: Python objects and numpy arrays, counted by tracemalloc."""

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPETITIONS, ROUNDS = 4, 40
"""So many rounds that the few objects an interpreter keeps for reuse do not look like a leak."""


def allocated(decide: Callable[[NDArray[np.uint8]], Any], frames: NDArray[np.uint8]) -> dict[str, float]:
    """Return the bytes allocated by `decide` on frames (m, height, width, 3), called many times, each result dropped.

    `peak`: the most allocated at a time during one frame, above the level before it.
    `kept`: what remains per frame afterwards; the least of some repetitions, as Python keeps a few freed objects.
    """
    for frame in frames:
        decide(frame)
    peaks, kept = [], []
    for _ in range(REPETITIONS):
        gc.collect()
        # only here: it makes every allocation slower
        tracemalloc.start()
        try:
            for _ in range(ROUNDS):  # fills the lists of freed objects that Python and numba keep
                for frame in frames:
                    decide(frame)
            before = tracemalloc.get_traced_memory()[0]
            peaks.append(max(_peak(decide, frame) for _ in range(ROUNDS) for frame in frames))
            # cycles that nobody has collected yet are no leak
            gc.collect()
            kept.append((tracemalloc.get_traced_memory()[0] - before) / (ROUNDS * len(frames)))
        finally:
            tracemalloc.stop()
    return {"peak": float(max(peaks)), "kept": max(min(kept), 0.0)}


def _peak(decide: Callable[[NDArray[np.uint8]], Any], frame: NDArray[np.uint8]) -> int:
    start = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    decide(frame)
    return tracemalloc.get_traced_memory()[1] - start
