"""Small data sets for the calibration's tests."""

from pathlib import Path

import numpy as np

from calibration.validation import Curve, CurveStage, TrainingSet, ValidationData, load, sources
from edge_app.datasets.contents import Item
from support.pictures import ColourEmbedder, fill, zipped

INPUTS = 24


def items(split: str, sizes: dict[str, int]) -> list[Item]:
    """Items as a data set lists them, sorted."""
    return sorted(
        Item(split, label, f"{split}/{label}/{number:03}.jpg")
        for label, size in sizes.items()
        for number in range(size)
    )


def coloured(folder: Path, count: int = 20) -> Path:
    """Write sign_digits.zip of coloured pictures, all/COLOUR/NUMBER.png; returns the folder."""
    fill(folder / "pictures" / "all", count=count)
    zipped(folder / "pictures", folder / "sign_digits.zip")
    return folder


def loaded(folder: Path, seeds: tuple[int, ...] = (0, 1)) -> ValidationData:
    """The coloured pictures as material, embedded without a model."""
    return load(sources(["sign_digits"])[0], coloured(folder), ColourEmbedder(), seeds)


def separable(seed: int = 0, classes: int = 4, each: int = 12) -> ValidationData:
    """Embeddings around one direction a class: 1 and 5 shots, the rest, and a third of each class to test."""
    random = np.random.default_rng(seed)
    centres = random.integers(20, 120, (classes, INPUTS))
    labels = np.repeat(np.arange(classes), each)
    values = np.clip(centres[labels] + random.normal(0, 25, (labels.size, INPUTS)), 0, 255).astype(np.uint8)
    number = np.tile(np.arange(each), classes)
    stages = [
        CurveStage(row, tuple(np.flatnonzero((number >= start) & (number < stop)).tolist()))
        for row, start, stop in (("1", 0, 1), ("5", 1, 5), ("all", 5, 8))
    ]
    curve = Curve(tuple(stages), tuple(np.flatnonzero(number >= 8).tolist()))
    source = TrainingSet("made", "made.zip", "train", False, "random", (1, 5))
    return ValidationData(source, values, labels, tuple("abcdefgh"[:classes]), 0, {0: curve, 1: curve})
