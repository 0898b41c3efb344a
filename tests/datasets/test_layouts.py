"""Layouts are recognised by what they are, or refused with the reason."""

import json
import unicodedata
import zipfile
from pathlib import Path

import pytest

from edge_app.datasets.contents import is_split
from edge_app.datasets.dataset import Dataset
from edge_app.errors import InputError


def make(top: Path, *names: str, **texts: str | bytes) -> Path:
    """Create empty pictures, and the files with the given content."""
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"")
    for name, content in texts.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return top


def classes_of(path: Path) -> dict[str, list[str]]:
    """{"split/label" or "label": pictures}."""
    found: dict[str, list[str]] = {}
    with Dataset(path) as dataset:
        for split, label, name in dataset.items:
            found.setdefault(f"{split}/{label}" if split else label, []).append(name)
    return found


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        Dataset(path)
    return str(caught.value)


# Folders


@pytest.mark.parametrize(
    "splits", [("train", "val"), ("Train", "Test"), ("training", "testing"), ("training set", "test set"), ("a", "b")]
)
def test_splits_by_name_or_by_shared_classes(tmp_path: Path, splits: tuple[str, str]) -> None:
    make(tmp_path, *(f"{split}/{label}/1.jpg" for split in splits for label in ("bolt", "nut")))
    assert classes_of(tmp_path) == {
        f"{split}/{label}": [f"{split}/{label}/1.jpg"] for split in sorted(splits) for label in ("bolt", "nut")
    }


def test_folders_that_only_repeat_a_name_are_looked_through(tmp_path: Path) -> None:
    for split in ("training_set", "test_set"):
        make(tmp_path, f"{split}/{split}/cats/1.jpg", f"{split}/{split}/dogs/2.jpg")
    assert set(classes_of(tmp_path)) == {
        "training_set/cats", "training_set/dogs", "test_set/cats", "test_set/dogs"
    }  # fmt: skip


def test_names_are_compared_in_nfc(tmp_path: Path) -> None:
    for split, form in (("train", "NFC"), ("test", "NFD")):
        make(tmp_path, *(f"{split}/{unicodedata.normalize(form, label)}/1.jpg" for label in ("Äpfel", "café")))
    with Dataset(tmp_path) as dataset:
        assert dataset.classes == ("café", "Äpfel")
        assert all(dataset.read(item) == b"" for item in dataset.items)


def test_two_levels_of_classes_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "metal/bolts/1.jpg", "metal/nuts/2.jpg", "wood/pegs/3.jpg")
    assert "two levels of folders (metal/bolts, wood/pegs)" in refusal(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ["train/1.jpg", "train/2.jpg"],
        ["train/1.jpg", "test/2.jpg"],
        ["images/1.jpg", "masks/2.jpg"],
        ["dataset/1.jpg", "other/2.jpg"],
        ["train/images/1.jpg", "valid/images/2.jpg"],
        ["Test Set/1.jpg", "b/2.jpg"],
    ],
)
def test_a_class_called_like_a_split_or_a_container_is_refused(tmp_path: Path, names: list[str]) -> None:
    message = refusal(make(tmp_path, *names))
    assert "which is the name of a split or a container" in message
    assert "If it is a class, rename the folder" in message


def test_split_names() -> None:
    assert all(map(is_split, ("train", "Training Set", "VALID", "test-set", "all")))
    assert not any(map(is_split, ("trains", "tester", "alligator", "devices")))


# Exports


def test_edge_impulse(tmp_path: Path) -> None:
    files = [
        {"path": "training/x.0.jpg", "label": {"type": "label", "label": "bolt"}},
        {"path": "training/y.jpg", "label": {"type": "unlabeled"}},
    ]
    top = make(tmp_path / "set", "training/x.0.jpg", "training/nut.1.jpg", "training/y.jpg", "testing/nut.2.jpg")
    make(top, **{"info.labels": json.dumps({"version": 1, "files": files})})
    assert classes_of(top) == {
        "testing/nut": ["testing/nut.2.jpg"],
        "training/bolt": ["training/x.0.jpg"],
        "training/nut": ["training/nut.1.jpg"],
    }
    with Dataset(top) as dataset:
        assert ("training/y.jpg", "without a class in info.labels") in dataset.left_out
    make(top, **{"info.labels": "[1]"})
    assert "info.labels is not a list of labels" in refusal(top)
    make(tmp_path / "none", "training/1.jpg", **{"info.labels": json.dumps({"files": []})})
    assert "no picture has a class in info.labels" in refusal(tmp_path / "none")


def test_teachable_machine(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "project.tm", "w") as file:
        for name in ("mug-!-0.jpg", "mug-!-1.jpg", "red pen-!-0.jpg"):
            file.writestr(name, b"")
        file.writestr("manifest.json", "{}")
    assert classes_of(tmp_path / "project.tm") == {
        "mug": ["mug-!-0.jpg", "mug-!-1.jpg"],
        "red pen": ["red pen-!-0.jpg"],
    }


def test_frigate(tmp_path: Path) -> None:
    make(tmp_path, "dataset/open/1.webp", "dataset/shut/2.webp", "train/3.webp", "train/4.webp")
    assert classes_of(tmp_path) == {"open": ["dataset/open/1.webp"], "shut": ["dataset/shut/2.webp"]}
    with Dataset(tmp_path) as dataset:
        assert next(left for left in dataset.left_out if "not sorted" in left.reason).name == "train/3.webp"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "path,label\nimg/1.jpg,bolt\nimg/2.jpg,nut\nimg/gone.jpg,nut\n"),
        ("labels.tsv", "File\tClass\n1.jpg\tbolt\n2.jpg\tnut\n"),
        ("train.csv", "id;breed\n1;bolt\n2;nut\n"),
        ("img/_classes.csv", "filename, bolt, nut\n1.jpg, 1, 0\n2.jpg, 0, 1\n"),
        ("labels.csv", "\ufeffimage,category\r\n.\\img\\1.jpg,bolt\r\nimg/2.jpg,nut\r\n"),
    ],
)
def test_tables(tmp_path: Path, name: str, text: str) -> None:
    make(tmp_path, "img/1.jpg", "img/2.jpg", **{name: text})
    assert classes_of(tmp_path) == {"bolt": ["img/1.jpg"], "nut": ["img/2.jpg"]}
    with Dataset(tmp_path) as dataset:
        assert dataset.layout == "table of paths and classes"
        missing = [left.reason for left in dataset.left_out if "gone" in left.name]
        assert missing == ([f"named in {name}, and not there"] if "gone" in text else [])


def test_splits_of_a_table(tmp_path: Path) -> None:
    text = "filename,label,split\n1.jpg,bolt,train\n2.jpg,nut,test\n"
    make(tmp_path, "1.jpg", "2.jpg", "3.jpg", **{"meta.csv": text})
    assert classes_of(tmp_path) == {"train/bolt": ["1.jpg"], "test/nut": ["2.jpg"]}
    with Dataset(tmp_path) as dataset:
        assert ("3.jpg", "in no table") in dataset.left_out


@pytest.mark.parametrize("text", ["", "x", "path,label\n", "a,b\n1,2\n", "path,label\n1.jpg\n", "\x00\x01\n\xff"])
def test_a_file_that_is_no_such_table_changes_nothing(tmp_path: Path, text: str) -> None:
    make(tmp_path, "bolt/1.jpg", "nut/2.jpg", **{"notes.csv": text})
    assert classes_of(tmp_path) == {"bolt": ["bolt/1.jpg"], "nut": ["nut/2.jpg"]}


def test_a_picture_with_two_classes_in_a_table_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg", "2.jpg", **{"labels.csv": "path,label\n1.jpg,bolt\n2.jpg,nut\n1.jpg,nut\n2.jpg,nut\n"})
    assert classes_of(tmp_path) == {"nut": ["2.jpg"]}
    with Dataset(tmp_path) as dataset:
        assert ("1.jpg", "of two classes in labels.csv: bolt, nut") in dataset.left_out
    make(tmp_path, **{"labels.csv": "path,label\n1.jpg,bolt\n2.jpg,nut\n1.jpg,nut\n2.jpg,bolt\n"})
    assert "each picture is of two classes in labels.csv: bolt, nut; expected one class" in refusal(tmp_path)


@pytest.mark.parametrize("data", [b"1.jpg,bolt\n2.jpg,nut\n", "path;label\n1.jpg;Mütter\n".encode("latin-1")])
def test_a_table_that_is_not_used_is_named(tmp_path: Path, data: bytes) -> None:
    make(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "labels.csv").write_bytes(data)
    assert "labels.csv is not used: expected UTF-8, a first row that names columns" in refusal(tmp_path)


# Object detection

COCO = json.dumps({"images": [{"file_name": "1.jpg"}], "annotations": [], "categories": []})


@pytest.mark.parametrize(
    ("kind", "names", "texts"),
    [
        ("YOLO", ["train/images/a.jpg"], {"train/labels/a.txt": "0 .5 .5 1 1\n"}),
        ("YOLO", ["obj/a.jpg"], {"obj/a.txt": "3 0.1 0.2 0.3 0.4\n1 0 0 1 1"}),
        ("COCO", ["train/a.jpg"], {"train/_annotations.coco.json": COCO}),
        ("COCO", ["train2017/a.jpg"], {"annotations/instances_train2017.json": COCO}),
        (
            "Pascal VOC",
            ["JPEGImages/a.jpg"],
            {"Annotations/a.xml": "<object><bndbox/></object>"},
        ),
        ("LabelMe", ["monday/a.jpg"], {"monday/a.json": '{"shapes": [{"label": "bolt", "points": [[1, 1], [9, 9]]}]}'}),
        ("VIA", ["monday/a.jpg"], {"via.json": '{"a.jpg1": {"regions": [{"shape_attributes": {"name": "rect"}}]}}'}),
        (
            "CreateML",
            ["monday/a.jpg"],
            {"monday/_annotations.createml.json": '[{"annotations": [{"label": "bolt", "coordinates": {"x": 1}}]}]'},
        ),
        (
            "CVAT",
            ["monday/a.jpg"],
            {"annotations.xml": '<annotations><box label="bolt"/></annotations>'},
        ),
        ("a table of boxes", ["train/a.jpg"], {"train/_annotations.csv": "filename,class,xmin,ymin\na.jpg,b,1,2\n"}),
    ],
)
def test_sets_for_detection_are_refused(tmp_path: Path, kind: str, names: list[str], texts: dict[str, str]) -> None:
    message = refusal(make(tmp_path, *names, **texts))
    assert f"for object detection ({kind}, see {next(iter(texts))})" in message
    assert "Export it as a classification set" in message


def test_captions_and_notes_beside_pictures_are_no_boxes(tmp_path: Path) -> None:
    make(tmp_path, "bolt/1.jpg", "nut/2.jpg", **{"bolt/1.txt": "a red bolt, 10 mm", "nut/2.json": '{"images": 3}'})
    assert set(classes_of(tmp_path)) == {"bolt", "nut"}
