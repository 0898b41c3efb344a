"""What the small networks of the claims learn, and how their time is measured."""

import io
import zipfile
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the environment of `make spiking-encoder`")

from calibration.spiking import claims  # noqa: E402
from edge_app.events.gradient import events_of_picture  # noqa: E402

COUNT = 10
"""Pictures of a class."""


def noise(seed: int) -> "np.ndarray":
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 64)))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # as the claims run: threads that wait for each other on a busy machine take a minute for small tensors
    torch.set_num_threads(1)
    monkeypatch.setattr(claims, "CLASSES", 2)
    with zipfile.ZipFile(tmp_path / "imagenet64.zip", "w") as archive:
        for label in range(claims.CLASSES + 1):
            for index in range(COUNT):
                stream = io.BytesIO()
                Image.fromarray(noise(100 * label + index)).save(stream, "JPEG")
                archive.writestr(f"train/{label:02}/{index:02}.jpg", stream.getvalue())
        archive.writestr("test/00/00.jpg", b"not read")
    return tmp_path


def test_a_fifth_of_each_class_is_held_out(data: Path) -> None:
    found = claims.labelled(data, claims.smaller)
    assert found.held_out[0].shape == (2 * claims.CLASSES, 3, 32, 32)
    assert found.train[0].shape == (8 * claims.CLASSES, 3, 32, 32)
    for (_, classes), count in ((found.held_out, 2), (found.train, 8)):
        assert torch.bincount(classes).tolist() == [count] * claims.CLASSES


def test_other_classes_can_be_taken(data: Path) -> None:
    first, other = (claims.labelled(data, claims.smaller, first).held_out[0] for first in (0, 1))
    torch.testing.assert_close(other[:2], first[2:4])
    assert not torch.equal(other[:2], first[:2])


def test_events_are_summed_over_two_by_two_pixels() -> None:
    one, other = noise(1), noise(2)
    found = claims.streams([one, other])
    assert found.dtype == torch.uint8
    assert found.shape == (2, 8, 2, 32, 32)
    fired = events_of_picture(other)
    assert fired.any()
    assert int(found[1].sum()) == fired.sum()
    assert int(found[1, 3, 0, 5, 7]) == fired[3, 0, 10:12, 14:16].sum()


@pytest.mark.parametrize("claim", [claims.pipe, claims.events])
def test_time_until_the_best_accuracy_from_scratch(claim: object, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "SEEDS", (0,))
    monkeypatch.setattr(claims, "BATCH", 4)
    found = claim(Namespace(data=data, first=1, seconds=0.01))
    (row,) = found["seeds"]
    assert 0 <= row["carried_over"] <= row["pretrained_best"] <= 1
    assert (row["pretrained_seconds"] is None) == (row["pretrained_best"] < row["scratch_best"])
