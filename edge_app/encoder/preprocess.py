"""Frame to model input: centre square, exact downscale.

The same frame gives the same bytes on x86-64 and aarch64, so only integer resampling is used. With n the model's side
and s the side of the centre square:

1. s is halved as often as that leaves at least n; before the first of k halvings it is lowered to a multiple of 2^k.
   A halving is the mean of 2 x 2 pixels, (a + b + c + d + 2) >> 2;
2. what is left is below 2n. Up to 5/4 n (enlargements too) takes one bit-exact bilinear step to n; more takes a
   bilinear step up to 2n and one more halving, because a bilinear step down by more than that aliases.

The bilinear step is OpenCV's INTER_LINEAR_EXACT: fixed-point, specified to the bit. INTER_LINEAR and INTER_AREA differ
between machines. tests/encoder/test_preprocess.py holds both steps against a reference in plain integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_app.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_SIDE = 16_384
"""Longest side of a frame that `Preprocessor` takes, in pixels."""


METHOD = "square-1"
"""Names what this file does to a frame; another name when the same frame would give other bytes."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """The steps for frames of one shape: the square to cut, then the sides to scale to."""

    top: int
    left: int
    side: int
    buffers: tuple[NDArray[np.uint8], ...]


class Preprocessor:
    """Turns frames of any size into the encoder's input; keeps its buffers, so one object serves one thread.

    `size` is the side of the model's square input in pixels; `crop` x the frame's shorter side is kept around its
    centre. Raises InputError for an option out of its range.
    """

    def __init__(self, size: int, *, crop: float = 1.0) -> None:
        if not 1 <= size <= MAX_SIDE // 4:
            raise InputError(f"size = {size} is not a model's side in pixels (1..{MAX_SIDE // 4})")
        if not 0.1 <= crop <= 1.0:
            raise InputError(f"crop = {crop} is not a fraction of the shorter side (0.1..1.0)")
        self.size = size
        self.crop = crop
        self._output = np.empty((size, size, 3), np.uint8)
        self._plans: dict[tuple[int, int], _Plan] = {}

    def __call__(self, frame: NDArray[np.uint8], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Return `frame` as (size, size, 3) uint8 RGB, C-contiguous.

        `frame` is (height, width, 3) uint8 RGB, at least 1 x 1, rows at any stride. Without `out` the result lies in
        a buffer that the next call overwrites. Raises InputError for another shape or dtype.
        """
        shape = _check_frame(frame)
        if out is None:
            out = self._output
        elif out.shape != self._output.shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise InputError(
                f"out is {out.dtype} {out.shape}, expected a C-contiguous uint8 array of {self._output.shape}"
            )
        plan = self._plans.get(shape)
        if plan is None:
            if len(self._plans) >= 8:  # files of a thousand sizes must not fill the memory
                self._plans.clear()
            plan = self._plans[shape] = self._make_plan(*shape)
        self._scale(frame, plan, out)
        return out

    def _make_plan(self, height: int, width: int) -> _Plan:
        side = max(1, round(min(height, width) * self.crop))
        sides, side = _steps(side, self.size)
        top, left = (height - side) // 2, (width - side) // 2
        return _Plan(top, left, side, tuple(np.empty((s, s, 3), np.uint8) for s in sides))

    def _scale(self, frame: NDArray[np.uint8], plan: _Plan, out: NDArray[np.uint8]) -> None:
        import cv2

        picture = frame[plan.top : plan.top + plan.side, plan.left : plan.left + plan.side]
        # nothing to scale: a copy, because the frame may be read-only and shared
        if plan.side == self.size:
            np.copyto(out, picture)
            return
        if picture.strides[1:] != (3, 1):
            # cv2.resize takes rows at any stride, but not reversed or spaced pixels
            picture = np.ascontiguousarray(picture)
        for buffer in (*plan.buffers, out):
            side = buffer.shape[0]
            cv2.resize(picture, (side, side), dst=buffer, interpolation=cv2.INTER_LINEAR_EXACT)
            picture = buffer


def _steps(side: int, size: int) -> tuple[list[int], int]:
    """Return the sides to pass through on the way from a square of `side` to `size`, and the side to cut for it."""
    halvings = 0
    while side >> (halvings + 1) >= size:
        halvings += 1
    rest = side >> halvings
    sides = [rest << k for k in range(halvings - 1, -1, -1)]
    if rest == size:
        sides = sides[:-1]
    elif rest > size * 5 // 4:
        sides.append(2 * size)
    return sides, rest << halvings


def _check_frame(frame: NDArray[np.uint8]) -> tuple[int, int]:
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        found = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise InputError(f"frame is {found}, expected a uint8 array of (height, width, 3), RGB")
    height, width = frame.shape[:2]
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise InputError(f"frame is {height} x {width} pixels, expected 1..{MAX_SIDE} on each side")
    return height, width
