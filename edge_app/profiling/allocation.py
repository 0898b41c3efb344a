"""What a frame allocates in steady state, counted by tracemalloc, which sees Python's objects and numpy's arrays."""

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPETITIONS, ROUNDS = 4, 40
"""Rounds enough that some dozen objects that an interpreter keeps for later do not look like a leak."""


def allocated(decide: Callable[[NDArray[np.uint8]], Any], frames: NDArray[np.uint8]) -> dict[str, float]:
    """Return bytes, of showing frames (m, height, width, 3) to `decide` many times over, each answer being dropped.

    `peak`: the most that was allocated at a time while a frame was decided on, above what there was before it.
    `kept`: what is left for each frame afterwards, the least of some repetitions, as Python keeps a few freed objects.
    """
    for frame in frames:
        decide(frame)
    peaks, kept = [], []
    for _ in range(REPETITIONS):
        gc.collect()
        tracemalloc.start()
        try:
            decide(frames[0])
            before = tracemalloc.get_traced_memory()[0]
            peaks.append(max(_peak(decide, frame) for _ in range(ROUNDS) for frame in frames))
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
