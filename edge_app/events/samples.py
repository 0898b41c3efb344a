"""Samples of ES-ImageNet: the events of one picture in a .npz file, two arrays `pos` and `neg` of (y, x, step)."""

import io
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import InputError
from edge_app.events.gradient import STEPS, edge_integral
from edge_app.files import open_to_read
from edge_app.unzip import check_count, unzip

MOST_BYTES = 32 << 20
"""Of one array: 8 steps of 254 x 254 pixels, three values of 8 bytes each, are 12 MB."""
MOST_VALUES = MOST_BYTES // 8
"""Of one array; each takes 8 bytes once it is read, however small it was in the file."""
MOST_ENTRIES = 100
"""Of the file, which has two."""
MOST_SIDE = 1024
"""ES-ImageNet's pictures have at most 254 pixels a side."""


def read_sample(path: Path) -> NDArray[np.bool_]:
    """Return the events (8, 2, H, W) of a sample, H and W just large enough. Raises InputError."""
    try:
        with open_to_read(path) as file:
            # before ZipFile reads the directory: a million entries take hundreds of megabytes
            _check_entries(path, file)
            with zipfile.ZipFile(file) as archive:
                # a zip may have the same name twice
                entries = {info.filename: info for info in archive.infolist()}
                arrays = [_read(path, archive, entries.get(f"{name}.npy")) for name in ("pos", "neg")]
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not a readable .npz file ({error}); copy it again") from error
    both = np.concatenate(arrays)
    if not len(both):
        raise InputError(f"{path}: holds no events")
    low, high = both.min(axis=0), both.max(axis=0)
    if low[0] < 0 or low[1] < 0 or low[2] < 1 or high[2] > STEPS or max(high[0], high[1]) >= MOST_SIDE:
        raise InputError(
            f"{path}: events from {low.tolist()} to {high.tolist()} (y, x, step), expected pixels 0 to {MOST_SIDE - 1} "
            f"and steps 1 to {STEPS}: not a sample of ES-ImageNet"
        )
    events = np.zeros((STEPS, 2, high[0] + 1, high[1] + 1), np.bool_)
    for polarity, (y, x, step) in enumerate(array.T for array in arrays):
        events[step - 1, polarity, y, x] = True
    return events


def sample_integral(events: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Return the edge integral (H, W) of a sample. ES-ImageNet's path has its x along the rows of its arrays."""
    return edge_integral(events.swapaxes(2, 3)).T


def _check_entries(path: Path, file: BinaryIO) -> None:
    try:
        check_count(file, MOST_ENTRIES)
    except InputError as error:
        raise InputError(f"{path}: {error}: not a sample of ES-ImageNet") from error


def _read(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo | None) -> NDArray[np.int64]:
    """Return one of the arrays, (n, 3)."""
    if info is None:
        raise InputError(f"{path}: expected the arrays pos and neg of an ES-ImageNet sample")
    try:
        data = unzip(archive, info, MOST_BYTES)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    array = _array(data)
    if array is None or array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "iuf":
        raise InputError(f"{path}: {info.filename} is not an array of n rows (y, x, step)")
    if array.size > MOST_VALUES:
        raise InputError(f"{path}: {info.filename} has {len(array)} events, expected at most {MOST_VALUES // 3}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{path}: {info.filename} has values that are not numbers")
    # values outside int64 would wrap
    return np.clip(array.astype(np.float64), -1, 1 << 20).astype(np.int64)


def _array(data: bytes) -> NDArray[np.generic] | None:
    """Return the array of an .npy file; None when it is damaged. Objects are refused: they would run code."""
    try:
        file = io.BytesIO(data)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        # numpy allocates what the header claims
        if dtype.hasobject or dtype.itemsize * int(np.prod(shape, dtype=np.float64)) > len(data):
            return None
        return np.asarray(np.lib.format.read_array(io.BytesIO(data), allow_pickle=False))
    except Exception:  # noqa: BLE001 a damaged header raises anything
        return None
