import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import InputError
from edge_app.evaluation.datasets import Dataset, Item, embed
from support.pictures import ColourEmbedder, fill, picture, zipped


def touch(top: Path, *names: str) -> Path:
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"")
    return top


@pytest.mark.parametrize(
    ("names", "items", "splits"),
    [
        (["a/1.jpg", "b/2.jpg"], [("", "a", "a/1.jpg"), ("", "b", "b/2.jpg")], ()),
        (["all/a/1.jpg", "all/b/2.jpg"], [("all", "a", "all/a/1.jpg"), ("all", "b", "all/b/2.jpg")], ("all",)),
        (
            ["test/a/1.jpg", "train/a/2.jpg"],
            [("test", "a", "test/a/1.jpg"), ("train", "a", "train/a/2.jpg")],
            ("test", "train"),
        ),
        (
            ["set/train/a/1.jpg", "set/test/a/2.jpg"],
            [("test", "a", "set/test/a/2.jpg"), ("train", "a", "set/train/a/1.jpg")],
            ("test", "train"),
        ),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_layouts(
    tmp_path: Path, names: list[str], items: list[tuple[str, str, str]], splits: tuple[str, ...], packed: bool
) -> None:
    top = touch(tmp_path / "set", *names)
    path = zipped(top, tmp_path / "set.zip", zipfile.ZIP_DEFLATED) if packed else top
    with Dataset(path) as dataset:
        assert dataset.items == tuple(Item(*item) for item in items)
        assert dataset.splits == splits
        assert dataset.ignored == []


def test_nested_image_belongs_to_its_class_folder(tmp_path: Path) -> None:
    top = touch(tmp_path / "set", "a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg", "b/monday/5.jpg")
    dataset = Dataset(top)
    assert dataset.splits == ()
    assert Item("", "b", "b/monday/5.jpg") in dataset.items


def test_image_above_the_class_folders_is_left_out_and_named(tmp_path: Path) -> None:
    top = touch(tmp_path / "set", "cover.jpg", "train/sheet.jpg", "train/a/1.jpg", "train/a/2.jpg", "train/b/3.jpg")
    dataset = Dataset(top)
    assert len(dataset.items) == 3
    assert sorted(dataset.ignored) == ["cover.jpg", "train/sheet.jpg"]


def test_extensions_of_any_case_and_files_that_are_no_images(tmp_path: Path) -> None:
    names = ["a/1.JPG", "a/2.Jpeg", "a/3.png", "a/4.WEBP", "a/5.bmp", "a/labels.txt", "a/archive.zip", "readme.md"]
    dataset = Dataset(touch(tmp_path / "set", *names))
    assert [item.name for item in dataset.items] == names[:5]
    assert sorted(dataset.ignored) == ["a/archive.zip", "a/labels.txt", "readme.md"]


@pytest.mark.parametrize("packed", [False, True])
def test_hidden_files_are_passed_over(tmp_path: Path, packed: bool) -> None:
    names = ["a/1.jpg", "a/._1.jpg", "a/.DS_Store", "__MACOSX/a/1.jpg", ".git/a/2.jpg"]
    top = touch(tmp_path / "set", *names)
    dataset = Dataset(zipped(top, tmp_path / "set.zip") if packed else top)
    assert [item.name for item in dataset.items] == ["a/1.jpg"]
    assert dataset.ignored == []
    assert dataset.empty_classes == ()


@pytest.mark.parametrize("packed", [False, True])
def test_empty_class_folders_are_named(tmp_path: Path, packed: bool) -> None:
    top = touch(tmp_path / "set", "train/a/1.jpg", "test/a/2.jpg", "train/b/notes.txt")
    (top / "train" / "c").mkdir()
    dataset = Dataset(zipped(top, tmp_path / "set.zip") if packed else top)
    assert dataset.classes == ("a",)
    assert dataset.empty_classes == ("b", "c")


def test_unsafe_names_in_a_zip_are_left_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as file:
        for name in ("a/1.jpg", "../../a/2.jpg", "/etc/3.jpg", "a/../../4.jpg", "..\\a\\5.jpg", "a//6.jpg"):
            file.writestr(name, b"")
    with Dataset(tmp_path / "d.zip") as dataset:
        assert [item.name for item in dataset.items] == ["a/1.jpg"]
        assert len(dataset.ignored) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.zip"]


def test_nothing_usable_is_an_error_that_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no image in it .*CLASS/\*\.jpg"):
        Dataset(touch(tmp_path / "texts", "a/1.txt"))
    with pytest.raises(InputError, match="its 2 images lie in no class folders"):
        Dataset(touch(tmp_path / "loose", "1.jpg", "2.jpg"))
    (tmp_path / "void").mkdir()
    with pytest.raises(InputError, match="no image in it"):
        Dataset(tmp_path / "void")


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


def test_only_corrupt_images_give_no_rows(tmp_path: Path) -> None:
    with Dataset(touch(tmp_path / "set", "a/1.jpg")) as dataset:
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
