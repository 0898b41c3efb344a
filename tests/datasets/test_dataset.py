"""The labelled pictures of a data set."""

import zipfile
from pathlib import Path

import pytest

from edge_app.datasets.contents import Item
from edge_app.datasets.dataset import Dataset
from edge_app.errors import InputError
from support.pictures import zipped


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
        assert dataset.left_out == ()


def test_nested_image_belongs_to_its_class_folder(tmp_path: Path) -> None:
    top = touch(tmp_path / "set", "a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg", "b/monday/5.jpg")
    dataset = Dataset(top)
    assert dataset.splits == ()
    assert Item("", "b", "b/monday/5.jpg") in dataset.items


def test_image_above_the_class_folders_is_left_out_and_named(tmp_path: Path) -> None:
    top = touch(tmp_path / "set", "cover.jpg", "train/sheet.jpg", "train/a/1.jpg", "train/a/2.jpg", "train/b/3.jpg")
    dataset = Dataset(top)
    assert len(dataset.items) == 3
    assert dataset.left_out == (
        ("cover.jpg", "outside the class folders"),
        ("train/sheet.jpg", "outside the class folders"),
    )


def test_extensions_of_any_case_and_files_that_are_no_images(tmp_path: Path) -> None:
    names = ["a/1.JPG", "a/2.Jpeg", "a/3.png", "a/4.WEBP", "a/5.bmp", "a/labels.txt", "a/archive.zip", "readme.md"]
    dataset = Dataset(touch(tmp_path / "set", *names))
    assert [item.name for item in dataset.items] == names[:5]
    assert dataset.left_out == tuple((name, "not a picture") for name in ("readme.md", "a/archive.zip", "a/labels.txt"))


@pytest.mark.parametrize("packed", [False, True])
def test_hidden_files_are_passed_over(tmp_path: Path, packed: bool) -> None:
    names = ["a/1.jpg", "a/._1.jpg", "a/.DS_Store", "__MACOSX/a/1.jpg", ".git/a/2.jpg"]
    top = touch(tmp_path / "set", *names)
    dataset = Dataset(zipped(top, tmp_path / "set.zip") if packed else top)
    assert [item.name for item in dataset.items] == ["a/1.jpg"]
    assert {reason for _, reason in dataset.left_out} == {"hidden, or made by the operating system"}
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
        assert [reason for _, reason in dataset.left_out] == ["its name leads out of the data set"] * 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.zip"]


def test_nothing_usable_is_an_error_that_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no picture in it.*CLASS/\*\.jpg"):
        Dataset(touch(tmp_path / "texts", "a/1.txt"))
    with pytest.raises(InputError, match="its 2 pictures are in no class folders"):
        Dataset(touch(tmp_path / "loose", "1.jpg", "2.jpg"))
    (tmp_path / "void").mkdir()
    with pytest.raises(InputError, match="no picture in it"):
        Dataset(tmp_path / "void")


def test_a_single_class_is_refused_where_classes_are_compared(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="all pictures are of the class 'mug'; expected at least two"):
        Dataset(touch(tmp_path / "set", "mug/1.jpg")).require_classes()
    Dataset(touch(tmp_path / "set", "pen/1.jpg")).require_classes()


def test_pictures_are_recognised_by_their_content_where_the_suffix_says_nothing(tmp_path: Path) -> None:
    top = touch(tmp_path / "set", "a/1.jpg")
    (top / "a" / "2.jpeg~").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    (top / "a" / "IMG_0003").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (top / "a" / "LICENSE").write_bytes(b"All rights")
    dataset = Dataset(top)
    assert [item.name for item in dataset.items] == ["a/1.jpg", "a/2.jpeg~", "a/IMG_0003"]
    assert dataset.left_out == (("a/LICENSE", "not a picture"),)
