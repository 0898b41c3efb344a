"""The pictures without labels that the spiking encoder is calibrated and distilled on, and the views drawn of them.

Sources are the training splits of imagenet64.zip and grocery.zip; no other data set is opened. Every 20th picture of a
class of imagenet64 and one contiguous third of each class of grocery (neighbours are near-duplicates) are held out for
validation. A picture whose difference hash is within NEAR bits of a held-out or an earlier one is dropped.

A view is a function of (seed, step, place in the batch): nothing is remembered between steps, so that a run that is
resumed, or spread over processes, sees the same pictures.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.datasets.pictures import decode_image
from edge_app.encoder.preprocess import Preprocessor

VERSION = 1
"""Part of the cache's name: raise it when other pictures would be cached."""
EVERY = 20
THIRD = 2
"""Of each class of grocery, this third (0..2) is held out."""
NEAR = 3
SHARE_OF_GROCERY = 0.35

Pictures = NDArray[np.uint8]


class TrainingSplit(NamedTuple):
    """A training split, and the side in pixels that its pictures are kept at."""

    file: str
    side: int
    held_out: str


SOURCES = (TrainingSplit("imagenet64.zip", 64, "every"), TrainingSplit("grocery.zip", 240, "third"))


class PicturePool(NamedTuple):
    """The pictures of one source, (n, side, side, 3) uint8 RGB, memory-mapped."""

    train: Pictures
    validation: Pictures


def load(folder: Path, cache: Path) -> tuple[PicturePool, ...]:
    """Return the pools in the order of SOURCES; decodes them on the first call, and keeps them under `cache`."""
    return tuple(_pool(folder / source.file, source, cache) for source in SOURCES)


def difference_hash(picture: Pictures) -> int:
    """Return 64 bits: for each of 8 x 8 places, whether the picture grows brighter to the right."""
    grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes(), "big")


def distinct(hashes: NDArray[np.uint64], held_out: NDArray[np.uint64], near: int = NEAR) -> NDArray[np.bool_]:
    """Return which of `hashes` are more than `near` bits from all of `held_out` and from all earlier ones kept."""
    kept = np.ones(hashes.size, np.bool_)
    for index, one in enumerate(hashes):
        close = np.bitwise_count(held_out ^ one) <= near
        earlier = np.bitwise_count(hashes[:index] ^ one) <= near
        # only earlier ones that were kept count: of a chain of near-duplicates every other one may stay
        kept[index] = not close.any() and not (earlier & kept[:index]).any()
    return kept


def views(pools: tuple[PicturePool, ...], size: int, seed: int, step: int, places: range) -> Pictures:
    """Return the pictures of one step at these places of the batch, (len(places), size, size, 3) uint8."""
    return np.stack([_view(pools, size, np.random.default_rng([seed, step, place])) for place in places])


def whole(pictures: Pictures, size: int) -> Pictures:
    """Return pictures scaled to (n, size, size, 3) as the device scales them."""
    scale = Preprocessor(size)
    return np.stack([scale(np.ascontiguousarray(picture)).copy() for picture in pictures])


def _view(pools: tuple[PicturePool, ...], size: int, rng: np.random.Generator) -> Pictures:
    """A random part of a random picture at a random scale, mirrored or not, colours and contrast changed a little."""
    pool = pools[int(rng.random() < SHARE_OF_GROCERY)].train
    picture = np.asarray(pool[rng.integers(len(pool))])
    side = int(rng.integers(size, max(size, 224) + 1))
    method = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_LINEAR
    picture = cv2.resize(picture, (side, side), interpolation=method)
    top, left = rng.integers(side - size + 1, size=2)
    picture = picture[top : top + size, left : left + size]
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    gain = rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, size=3)
    shift = rng.uniform(-20, 20)
    table = np.clip(np.arange(256)[:, None] * gain + shift, 0, 255).astype(np.uint8)
    return np.stack([table[picture[..., c], c] for c in range(3)], axis=-1)


def _pool(path: Path, source: TrainingSplit, cache: Path) -> PicturePool:
    # the zip's size stands for its content, which need not be read then to find the cache
    facts = f"{VERSION} {source} {EVERY} {THIRD} {NEAR} {path.stat().st_size}"
    stem = f"{path.stem}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
    files = [cache / f"{stem}-{part}.npy" for part in ("train", "validation")]
    if not all(file.is_file() for file in files):
        cache.mkdir(parents=True, exist_ok=True)
        for file, pictures in zip(files, _decoded(path, source), strict=True):
            scratch = file.with_suffix(".new.npy")
            np.save(scratch, pictures)
            scratch.replace(file)
    return PicturePool(*(np.load(file, mmap_mode="r") for file in files))


def _decoded(path: Path, source: TrainingSplit) -> PicturePool:
    scale = Preprocessor(source.side)
    with zipfile.ZipFile(path) as archive:
        train, held_out = split(archive.namelist(), source.held_out)

        def read(names: list[str]) -> tuple[Pictures, NDArray[np.uint64]]:
            pictures = np.stack([scale(decode_image(archive.read(name))).copy() for name in names])
            return pictures, np.array([difference_hash(picture) for picture in pictures], np.uint64)

        # the held-out pictures first: a training picture that is too near to one of them is dropped, never the reverse
        validation, apart = read(held_out)
        pictures, hashes = read(train)
    return PicturePool(pictures[distinct(hashes, apart)], validation)


def split(names: list[str], method: str) -> tuple[list[str], list[str]]:
    """Return (train, validation) names out of a zip's: the train split alone, held out by `method`, every or third."""
    classes: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        parts = name.split("/")
        if len(parts) == 3 and parts[0] == "train" and name.lower().endswith(".jpg"):
            classes[parts[1]].append(name)
    train: list[str] = []
    held_out: list[str] = []
    for members in classes.values():
        start, stop = len(members) * THIRD // 3, len(members) * (THIRD + 1) // 3
        for index, name in enumerate(members):
            out = index % EVERY == 0 if method == "every" else start <= index < stop
            (held_out if out else train).append(name)
    return train, held_out
