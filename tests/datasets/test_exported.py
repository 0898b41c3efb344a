"""Folders that edge-app exported: names of folders, and the table that has the classes."""

from pathlib import Path

import pytest

from edge_app.datasets.dataset import Dataset
from edge_app.datasets.exported import COLUMNS, TABLE, folder_names
from edge_app.datasets.listing import is_clutter
from edge_app.errors import InputError
from support.pictures import picture


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("mug", "mug"),
        ("red pen", "red pen"),
        ("Tasse grün", "Tasse grün"),
        ("a/b", "a_b"),
        ("C:\\x?", "C__x_"),
        ("..", "_"),
        ("end.", "end"),
        (".hidden", "_.hidden"),
        ("Thumbs.db", "_Thumbs.db"),
        ("con", "_con"),
        ("LPT1.txt", "_LPT1.txt"),
        ("=1+1", "_=1+1"),
        ("-rf", "_-rf"),
        ("\U0001f34e", "_\U0001f34e"),
        ("\u6c49" * 100, "\u6c49" * 21),
        (TABLE, f"{TABLE} (2)"),
    ],
)
def test_a_folder_has_the_name_of_its_class_where_every_system_allows_it(label: str, name: str) -> None:
    assert folder_names([label]) == {label: name}
    assert not is_clutter(name)


def test_classes_whose_folders_would_be_the_same_get_numbers() -> None:
    assert folder_names(["mug", "Mug", "mug (2)", "a/b", "a:b"]) == {
        "mug": "mug",
        "Mug": "Mug (2)",
        "mug (2)": "mug (2) (2)",
        "a/b": "a_b",
        "a:b": "a_b (2)",
    }


def write(folder: Path, rows: list[str], *, separator: str = ",", bom: bool = True) -> Path:
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "1.jpg").write_bytes(picture("red", 1, kind="jpg"))
    lines = [",".join(COLUMNS), *(row + "," * (len(COLUMNS) - 1 - row.count(",")) for row in rows)]
    text = "\r\n".join(lines).replace(",", separator)
    (folder / TABLE).write_text(text, encoding="utf-8-sig" if bom else "utf-8", newline="")
    return folder


@pytest.mark.parametrize(("separator", "bom"), [(",", True), (",", False), (";", True), ("\t", False)])
def test_classes_come_from_the_table_whatever_they_are_called(tmp_path: Path, separator: str, bom: bool) -> None:
    with Dataset(write(tmp_path, ["one/1.jpg,'=1+1", "two/1.jpg,images"], separator=separator, bom=bom)) as dataset:
        assert dataset.classes == ("=1+1", "images")
        assert dataset.exported
        assert dataset.layout == "export of edge-app"


def test_what_the_table_does_not_explain_is_left_out_and_named(tmp_path: Path) -> None:
    folder = write(tmp_path, ["one/1.jpg,mug", "one/2.jpg,mug", "two/1.jpg,", ",mug"])
    (folder / "two" / "new.jpg").write_bytes(picture("red", 2, kind="jpg"))
    with Dataset(folder) as dataset:
        assert [item.name for item in dataset.items] == ["one/1.jpg"]
        found = {left.name: left.reason for left in dataset.left_out}
    assert found["one/2.jpg"] == "named in examples.csv, and not there"
    assert found["two/1.jpg"] == found["two/new.jpg"] == "without a class in examples.csv: add a row"


def test_a_table_in_another_encoding_is_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = write(tmp_path, ["one/1.jpg,mug"])
    (folder / TABLE).write_bytes((folder / TABLE).read_bytes() + "two/1.jpg,Glühbirne".encode("cp1252"))
    with pytest.raises(InputError, match=r"examples.csv cannot be read .*save it as CSV in UTF-8"):
        Dataset(folder)


def test_a_table_of_another_program_is_no_export(tmp_path: Path) -> None:
    folder = write(tmp_path, [])
    (folder / TABLE).write_text("path,label\none/1.jpg,a\ntwo/1.jpg,'=b\n")
    with Dataset(folder) as dataset:
        assert not dataset.exported
        assert dataset.classes == ("'=b", "a")
