"""Samples of ES-ImageNet."""

import io
import os
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import InputError
from edge_app.events.gradient import edge_integral, events_of_picture
from edge_app.events.samples import MOST_ENTRIES, MOST_VALUES, read_sample, sample_integral
from support.event_files import sample


def saved(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "sample.npz"
    path.write_bytes(data)
    return path


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npz")
    with pytest.raises(InputError, match="is a named pipe, expected a file"):
        read_sample(tmp_path / "a.npz")


def test_more_events_than_fit_the_memory_are_refused_however_small_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, sample(np.ones((MOST_VALUES // 3 + 1, 3), np.uint8), [[3, 3, 2]]))
    with pytest.raises(InputError, match=r"pos\.npy has 1398102 events, expected at most 1398101"):
        read_sample(path)


def test_more_entries_than_a_sample_has_are_refused(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(MOST_ENTRIES + 1):
            archive.writestr(str(number), b"")
    with pytest.raises(InputError, match="holds 101 entries, at most 100 are read here"):
        read_sample(saved(tmp_path, data.getvalue()))


def test_events_are_where_the_arrays_say(tmp_path: Path) -> None:
    events = read_sample(saved(tmp_path, sample([[4, 2, 1], [0, 5, 8]], [[3, 3, 2]])))
    assert events.shape == (8, 2, 5, 6)
    assert np.argwhere(events).tolist() == [[0, 0, 4, 2], [1, 1, 3, 3], [7, 0, 0, 5]]


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int64, np.float64])
def test_arrays_may_be_of_any_number_and_one_may_be_empty(tmp_path: Path, dtype: type) -> None:
    events = read_sample(saved(tmp_path, sample(np.array([[1, 1, 1]], dtype), np.zeros((0, 3), dtype))))
    assert events.sum() == 1


def test_the_integral_follows_the_path_of_the_data_set(tmp_path: Path) -> None:
    """Its path has x along the rows: the sample of a transposed picture gives the transposed integral."""
    picture = np.random.default_rng(0).integers(0, 2, (30, 20, 3)).astype(np.uint8) * 255
    ours = events_of_picture(picture)
    rows = [np.argwhere(ours[:, polarity])[:, [2, 1, 0]] + [0, 0, 1] for polarity in (0, 1)]
    found = read_sample(saved(tmp_path, sample(*rows)))
    assert found.shape == (8, 2, 20, 30)
    assert np.array_equal(sample_integral(found), edge_integral(ours).T)


def archive(**entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, data in entries.items():
            made.writestr(f"{name}.npy", data)
    return file.getvalue()


def npy(array: np.ndarray, **how: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **how)
    return file.getvalue()


ROWS = npy(np.array([[1, 1, 1]]))
HUGE = ROWS.replace(b"(1, 3)", b"(99999999999999, 3)").replace(b"  \n", b"\n", 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a readable"),
        (b"PK\3\4 damaged", "not a readable"),
        (archive(other=ROWS), "expected the arrays pos and neg"),
        (archive(pos=ROWS, neg=b"no array"), "neg.npy is not an array"),
        (archive(pos=ROWS, neg=HUGE), "neg.npy is not an array"),
        (archive(pos=ROWS, neg=npy(np.array([[1, None, 1]]), allow_pickle=True)), "neg.npy is not an array"),
        (archive(pos=ROWS, neg=npy(np.zeros((2, 4), int))), "neg.npy is not an array"),
        (archive(pos=ROWS, neg=npy(np.array([["a", "b", "c"]]))), "neg.npy is not an array"),
        (archive(pos=ROWS, neg=npy(np.array([[1.0, np.nan, 1.0]]))), "not numbers"),
        (sample(np.zeros((0, 3)), np.zeros((0, 3))), "no events"),
        (sample([[0, 0, 0]], [[1, 1, 1]]), "not a sample of ES-ImageNet"),
        (sample([[0, 0, 9]], [[1, 1, 1]]), "not a sample of ES-ImageNet"),
        (sample([[0, -1, 1]], [[1, 1, 1]]), "not a sample of ES-ImageNet"),
        (sample([[0, 2**62, 1]], [[1, 1, 1]]), "not a sample of ES-ImageNet"),
    ],
)
def test_what_is_no_sample_is_named(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as error:
        read_sample(saved(tmp_path, data))
    assert "sample.npz" in str(error.value)


def test_a_damaged_sample_is_an_error_or_a_sample(tmp_path: Path) -> None:
    chance, whole = random.Random(4), sample(np.full((50, 3), 3), np.full((50, 3), 4))
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            assert read_sample(saved(tmp_path, bytes(data[: chance.randint(1, len(data))]))).shape[:2] == (8, 2)
        except InputError:
            continue
