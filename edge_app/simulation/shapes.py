"""Scenes without photographs: one coloured shape per second, moving over a gradient; or one that stands still."""

import math

import numpy as np
from numpy.typing import NDArray

from edge_app.devices.ports import NS_PER_S

NOISY = 8
"""Pictures that `StillScene` alternates between."""

NAMES = ("disc", "square", "ring", "cross")
COLOURS = ((220, 60, 50), (50, 130, 220), (240, 190, 40), (60, 170, 90))


class ShapesScene:
    """Shows disc, square, ring and cross in turn, a second each; position and size follow from the seed."""

    def __init__(self, *, seed: int = 0, size: tuple[int, int] = (640, 480)) -> None:
        width, height = size
        self._seed = seed
        self._y, self._x = np.mgrid[0:height, 0:width].astype(np.int32)
        shade = 60 + 120 * self._x // width
        self._ground = np.repeat(shade[:, :, None], 3, axis=2).astype(np.uint8)

    def truth(self, time_ns: int) -> str:
        """Return the name of the shape shown `time_ns` after the scene began."""
        return NAMES[time_ns // NS_PER_S % len(NAMES)]

    def image(self, time_ns: int) -> NDArray[np.uint8]:
        """Return the view, uint8 (height, width, 3) RGB."""
        height, width = self._x.shape
        index = time_ns // NS_PER_S
        start = np.random.default_rng((self._seed, index)).random(3)
        phase = 2 * math.pi * (start[2] + (time_ns % NS_PER_S) / NS_PER_S)
        radius = round((0.15 + 0.1 * start[0]) * height)
        x = np.abs(self._x - round(width * (0.5 + 0.15 * math.cos(phase))))
        y = np.abs(self._y - round(height * (0.5 + 0.15 * math.sin(phase))))
        inside = {
            "disc": x * x + y * y <= radius * radius,
            "square": np.maximum(x, y) <= radius,
            "ring": (x * x + y * y <= radius * radius) & (4 * (x * x + y * y) >= radius * radius),
            "cross": (np.minimum(x, y) <= radius // 3) & (np.maximum(x, y) <= radius),
        }[self.truth(time_ns)]
        image = self._ground.copy()
        image[inside] = COLOURS[index % len(COLOURS)]
        return image


class StillScene:
    """Shows one shape that does not move; frames differ only in sensor noise."""

    def __init__(self, *, seed: int = 0, size: tuple[int, int] = (640, 480)) -> None:
        picture = ShapesScene(seed=seed, size=size).image(0).astype(np.int16)
        random = np.random.default_rng(seed)
        # drawn once: the noise of a real camera costs no processor time
        self._pictures: list[NDArray[np.uint8]] = [
            np.clip(picture + random.integers(-3, 4, picture.shape, np.int16), 0, 255).astype(np.uint8)
            for _ in range(NOISY)
        ]

    def image(self, time_ns: int) -> NDArray[np.uint8]:
        """Return the view, uint8 (height, width, 3) RGB."""
        return self._pictures[(time_ns * 2654435761 >> 20) % NOISY].copy()
