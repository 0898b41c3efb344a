"""The pictures that the spiking encoder is distilled on: held-out ones apart, near-duplicates dropped, seeded views."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calibration.spiking.pictures import EVERY, difference_hash, distinct, load, split, views


def jpeg(seed: int, side: int) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((side, side)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, side, count in (("imagenet64", 64, 40), ("grocery", 240, 12)):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for part in ("train", "test"):
                for label in ("a", "b"):
                    for index in range(count):
                        seed = (
                            hash((name, part, label, index)) % 1_000_000
                            if part == "test"
                            else index + 100 * (label == "b")
                        )
                        archive.writestr(f"{part}/{label}/{index:03}.jpg", jpeg(seed, side))
    return tmp_path


def test_the_test_split_is_never_read(data: Path) -> None:
    with zipfile.ZipFile(data / "imagenet64.zip") as archive:
        train, held_out = split(archive.namelist(), "every")
    assert all(name.startswith("train/") for name in [*train, *held_out])
    assert not set(train) & set(held_out)
    assert len(held_out) == 2 * -(-40 // EVERY)


def test_a_contiguous_third_is_held_out() -> None:
    names = [f"train/a/{index:02}.jpg" for index in range(9)]
    train, held_out = split(names, "third")
    assert held_out == names[6:]
    assert train == names[:6]


def test_pictures_are_decoded_once_and_kept(data: Path, tmp_path: Path) -> None:
    first = load(data, tmp_path / "cache")
    assert [pool.train.shape[1:] for pool in first] == [(64, 64, 3), (240, 240, 3)]
    times = [path.stat().st_mtime_ns for path in sorted((tmp_path / "cache").iterdir())]
    load(data, tmp_path / "cache")
    assert [path.stat().st_mtime_ns for path in sorted((tmp_path / "cache").iterdir())] == times


def test_views_depend_on_seed_step_and_place_alone(data: Path, tmp_path: Path) -> None:
    pools = load(data, tmp_path / "cache")
    together = views(pools, 32, 0, 5, range(4))
    assert together.shape == (4, 32, 32, 3)
    np.testing.assert_array_equal(together[2:], views(pools, 32, 0, 5, range(2, 4)))
    assert not np.array_equal(together, views(pools, 32, 0, 6, range(4)))
    assert not np.array_equal(together, views(pools, 32, 1, 5, range(4)))


def test_near_duplicates_are_dropped() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    brighter = np.clip(picture.astype(int) + 3, 0, 255).astype(np.uint8)
    assert (difference_hash(picture) ^ difference_hash(brighter)).bit_count() <= 3
    hashes = np.array([0, 1, 0xFFFF, 7 << 60, 0xFFFE], np.uint64)
    assert distinct(hashes, np.array([15 << 60], np.uint64), near=3).tolist() == [True, False, True, False, False]
