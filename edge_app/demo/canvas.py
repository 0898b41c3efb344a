"""A drawing surface with smooth edges: drawn at twice its size and scaled down."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

SCALE = 2

Box = tuple[float, float, float, float]


class Canvas:
    """A picture to draw on, in logical pixels; colours are #rrggbb. Text is in Pillow's built-in font."""

    def __init__(self, width: int, height: int, ground: str) -> None:
        from PIL import Image, ImageDraw

        self._width = width
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), ground)
        self._draw = ImageDraw.Draw(self._image)

    def box(self, box: Box, colour: str, *, radius: float = 0) -> None:
        """Fill a rectangle (left, top, right, bottom)."""
        left, top, right, bottom = (round(value * SCALE) for value in box)
        self._draw.rounded_rectangle((left, top, right - 1, max(top, bottom - 1)), radius * SCALE, fill=colour)

    def dot(self, centre: tuple[float, float], radius: float, colour: str) -> None:
        """Fill a disc."""
        x, y = (value * SCALE for value in centre)
        r = radius * SCALE
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def photo(self, box: Box, image: NDArray[np.uint8]) -> None:
        """Draw a picture, uint8 (H, W, 3) RGB, scaled to the rectangle."""
        import cv2
        from PIL import Image

        left, top, right, bottom = (round(value * SCALE) for value in box)
        scaled = cv2.resize(image, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        self._image.paste(Image.fromarray(scaled), (left, top))

    def text(self, at: tuple[float, float], text: str, size: float, colour: str, *, anchor: str = "la") -> None:
        """Write one line; `anchor` as in Pillow: "la" left and top, "ma" middle and top, "ra" right and top."""
        x, y = (value * SCALE for value in at)
        self._draw.text((x, y), text, fill=colour, font=_font(size), anchor=anchor)

    def width_of(self, text: str, size: float) -> float:
        """Return the width of a line of text, pixels."""
        return _font(size).getlength(text) / SCALE

    def save(self, path: Path, height: int) -> None:
        """Write the upper `height` rows as a PNG file; raises OSError."""
        from PIL import Image

        cut = self._image.crop((0, 0, self._width * SCALE, height * SCALE))
        # BOX: the mean of 2 x 2 pixels, which smooths the edges
        cut.resize((self._width, height), Image.Resampling.BOX).save(path, "PNG", optimize=True)


@cache
def _font(size: float) -> "FreeTypeFont | Any":
    from PIL import ImageFont

    return ImageFont.load_default(size * SCALE)
