"""Small pictures and data sets that tests make for themselves, and an embedder that needs no model."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_app.datasets.pictures import decode_image

COLOURS = {"red": (210, 30, 20), "green": (20, 190, 40), "blue": (30, 40, 220), "grey": (120, 120, 120)}


def picture(label: str, number: int, *, kind: str = "png", side: int = 24) -> bytes:
    """Return an image file of the colour `label` with noise that depends on `number`."""
    noise = np.random.default_rng([number, len(label)]).integers(-25, 26, (side, side, 3))
    pixels = np.clip(np.array(COLOURS[label]) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format={"jpg": "jpeg"}.get(kind, kind))
    return file.getvalue()


def fill(folder: Path, labels: Iterable[str] = ("red", "green", "blue"), count: int = 6) -> Path:
    """Write `count` pictures of each label as folder/label/number.png; returns the folder."""
    for label in labels:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (folder / label / f"{number}.png").write_bytes(picture(label, number))
    return folder


def zipped(folder: Path, target: Path, method: int = zipfile.ZIP_STORED) -> Path:
    """Pack a folder's files into a zip; returns its path."""
    with zipfile.ZipFile(target, "w", method) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder).as_posix())
    return target


class ColourEmbedder:
    """Embeds a picture as its brightness in a 4 x 4 grid, per channel: 48 values; counts what it was asked."""

    zero_point = 0

    def __init__(self, fingerprint: str = "colours-0123456789") -> None:
        self.fingerprint = fingerprint
        self.times_ms: dict[str, list[float]] = {"decode": [], "preprocess": [], "encode": []}

    @property
    def asked(self) -> int:
        return len(self.times_ms["encode"])

    def embed(self, data: bytes) -> NDArray[np.uint8]:
        image = decode_image(data)
        height, width = (side - side % 4 for side in image.shape[:2])
        cells = image[:height, :width].reshape(4, height // 4, 4, width // 4, 3)
        for times in self.times_ms.values():
            times.append(0.5)
        return cells.mean(axis=(1, 3)).astype(np.uint8).ravel()
