"""Embeddings of a data set's pictures."""

import zipfile
from pathlib import Path

import numpy as np

from edge_app.datasets.dataset import Dataset
from edge_app.evaluation.embedding import embed
from support.pictures import ColourEmbedder, fill, picture, zipped


def test_embed_returns_rows_labels_and_names(tmp_path: Path) -> None:
    with Dataset(fill(tmp_path / "set")) as dataset:
        found = embed(dataset, ColourEmbedder())
    assert found.values.shape == (18, 48)
    assert found.values.dtype == np.uint8
    assert found.classes == ("blue", "green", "red")
    assert [found.classes[i] for i in found.labels] == [item.label for item in found.items]
    np.testing.assert_array_equal(found.values[0], ColourEmbedder().embed(picture("blue", 0)))


def test_folder_and_zip_give_the_same_embeddings(tmp_path: Path) -> None:
    top = fill(tmp_path / "set")
    with Dataset(top) as folder, Dataset(zipped(top, tmp_path / "s.zip", zipfile.ZIP_DEFLATED)) as packed:
        one, two = embed(folder, ColourEmbedder()), embed(packed, ColourEmbedder())
    np.testing.assert_array_equal(one.values, two.values)
    assert one.items == two.items


def test_corrupt_images_are_skipped_and_named(tmp_path: Path) -> None:
    top = fill(tmp_path / "set")
    (top / "red" / "broken.jpg").write_bytes(picture("red", 9, kind="jpg")[:200])
    (top / "red" / "text.png").write_text("not a picture")
    (top / "blue" / "nothing.png").write_bytes(b"")
    with Dataset(top) as dataset:
        found = embed(dataset, ColourEmbedder())
    assert len(found.values) == 18
    assert [skipped.name for skipped in found.skipped] == ["blue/nothing.png", "red/broken.jpg", "red/text.png"]
    assert all(skipped.reason for skipped in found.skipped)


def broken(top: Path) -> Path:
    (top / "a").mkdir(parents=True)
    (top / "a" / "1.jpg").write_bytes(b"")
    return top


def test_only_corrupt_images_give_no_rows(tmp_path: Path) -> None:
    with Dataset(broken(tmp_path / "set")) as dataset:
        found = embed(dataset, ColourEmbedder())
    assert found.values.shape == (0, 0)
    assert len(found.skipped) == 1


def test_cache_spares_the_encoder_and_changes_nothing(tmp_path: Path) -> None:
    encoder = ColourEmbedder()
    with Dataset(fill(tmp_path / "set")) as dataset:
        first = embed(dataset, encoder, cache=tmp_path / "cache")
        assert encoder.asked == 18
        second = embed(dataset, encoder, cache=tmp_path / "cache")
        assert encoder.asked == 18
        np.testing.assert_array_equal(first.values, second.values)
        (tmp_path / "set" / "red" / "0.png").write_bytes(picture("red", 77))
        changed = embed(dataset, encoder, cache=tmp_path / "cache")
        assert encoder.asked == 19
        assert not np.array_equal(changed.values, first.values)


def test_cache_does_not_hide_a_corrupt_image(tmp_path: Path) -> None:
    (tmp_path / "set" / "red").mkdir(parents=True)
    (tmp_path / "set" / "red" / "1.png").write_bytes(b"no picture")
    with Dataset(tmp_path / "set") as dataset:
        for _ in range(2):
            assert len(embed(dataset, ColourEmbedder(), cache=tmp_path / "cache").skipped) == 1


def test_progress_walks_through_every_item(tmp_path: Path) -> None:
    seen = []
    with Dataset(fill(tmp_path / "set", count=2)) as dataset:
        embed(dataset, ColourEmbedder(), items=dataset.items[:4], progress=lambda items: seen.extend(items) or items)
    assert seen == list(dataset.items[:4])
