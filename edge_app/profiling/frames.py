"""Frames to measure on: windows of photographs if some are available, else drawn shapes; and the parts they pass."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.datasets.listing import PICTURE_SUFFIXES
from edge_app.datasets.pictures import decode_image
from edge_app.errors import InputError

if TYPE_CHECKING:
    from edge_app.colanet.network import CoLaNET
    from edge_app.encoder.preprocess import Preprocessor
    from edge_app.encoder.ratecode import RateCode
    from edge_app.encoder.tflite import TFLiteEncoder

HEIGHT, WIDTH = 480, 640
SMALLEST = 200
"""Shorter side, pixels, that a picture must have to cut windows from it."""
MOST_PICTURES = 64


class Frames(NamedTuple):
    """Frames of several classes: a class is one spot of one picture, its frames are windows around it."""

    images: NDArray[np.uint8]
    """(classes, examples, 480, 640, 3), RGB."""
    source: str
    """Where the pictures came from, for the report."""


class FrameParts(NamedTuple):
    """The parts that a frame passes through."""

    preprocess: "Preprocessor"
    encoder: "TFLiteEncoder"
    rate_code: "RateCode"
    network: "CoLaNET"

    def decide(self, frame: NDArray[np.uint8]) -> Any:
        """Return the decision on a frame (height, width, 3)."""
        return self.network.predict_one(self.rate_code(self.encoder.encode(self.preprocess(frame))))


def make_frames(classes: int, examples: int, folder: Path | None = None) -> Frames:
    """Cut `classes` x `examples` frames from the pictures in `folder`, or in scikit-image's wheel, or drawn ones.

    The same arguments give the same frames. Raises InputError when `folder` holds no picture of 200 pixels or more.
    """
    pictures, source = _pictures(folder)
    # a fixed seed: figures of two runs are about the same frames
    random = np.random.default_rng(2)
    images = np.empty((classes, examples, HEIGHT, WIDTH, 3), np.uint8)
    for number in range(classes):
        picture = pictures[number % len(pictures)]
        spot, zoom = random.uniform(0.25, 0.75, 2), random.uniform(0.4, 0.9)
        for example in range(examples):
            where = spot + random.normal(0, 0.03, 2)
            images[number, example] = _window(
                picture, where, zoom * random.uniform(0.85, 1.1), random.uniform(0.8, 1.2)
            )
    return Frames(images, source)


def _pictures(folder: Path | None) -> tuple[Sequence[NDArray[np.uint8]], str]:
    if folder is not None:
        found = _read_folder(folder)
        if not found:
            raise InputError(f"--images {folder}: no picture there with sides of {SMALLEST} pixels or more")
        return found, f"{len(found)} pictures of --images"
    from edge_app.errors import RuntimeMissing
    from edge_app.simulation.photographs import picture_folder

    try:
        found = _read_folder(picture_folder())
    except RuntimeMissing:
        found = []
    if found:
        return found, f"{len(found)} photographs of scikit-image"
    return [_drawn(seed) for seed in range(16)], "16 drawn pictures (no photographs: pip install 'edge-app[demo]')"


def _read_folder(folder: Path) -> list[NDArray[np.uint8]]:
    found: list[NDArray[np.uint8]] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and len(found) < MOST_PICTURES:
            try:
                picture = decode_image(path)
            except InputError:
                continue
            if min(picture.shape[:2]) >= SMALLEST:
                found.append(picture)
    return found


def _window(picture: NDArray[np.uint8], spot: NDArray[np.float64], zoom: float, light: float) -> NDArray[np.uint8]:
    import cv2

    height, width = picture.shape[:2]
    # the largest window of 4:3 that fits, then made smaller
    tall = min(height, width * HEIGHT / WIDTH) * min(zoom, 1.0)
    wide = tall * WIDTH / HEIGHT
    top = int(np.clip(spot[0] * height - tall / 2, 0, height - tall))
    left = int(np.clip(spot[1] * width - wide / 2, 0, width - wide))
    cut = np.ascontiguousarray(picture[top : top + int(tall), left : left + int(wide)])
    frame: NDArray[np.uint8] = cv2.convertScaleAbs(cv2.resize(cut, (WIDTH, HEIGHT)), alpha=light)
    return frame


def _drawn(seed: int) -> NDArray[np.uint8]:
    """Return a (600, 800, 3) picture of shapes before a soft texture: edges, colours and shades, as in a photograph."""
    import cv2

    random = np.random.default_rng(seed)
    coarse = [random.integers(40, 200, (side, side, 3), dtype=np.uint8) for side in (4, 16, 64)]
    layers = [cv2.resize(layer, (800, 600), interpolation=cv2.INTER_CUBIC) for layer in coarse]
    canvas = np.mean(layers, axis=0).astype(np.uint8)
    for _ in range(12):
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        corners = random.integers(0, (800, 600), (random.integers(3, 9), 2)).astype(np.int32)
        cv2.fillPoly(canvas, [cv2.convexHull(corners)], colour)
        for start, end in pairwise(corners.tolist()):
            cv2.line(canvas, start, end, colour[::-1], int(random.integers(1, 6)), cv2.LINE_AA)
    noisy: NDArray[np.uint8] = cv2.GaussianBlur(canvas, (0, 0), 0.8)
    return noisy
