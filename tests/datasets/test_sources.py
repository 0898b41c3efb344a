"""The files of a data set: in folders, zips and tar archives."""

import os
import stat
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import pytest

from edge_app.datasets.pictures import MAX_BYTES
from edge_app.datasets.sources import FolderSource, SamplesSource, TarSource, open_source
from edge_app.errors import InputError
from support.pictures import zipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / "a" / "inner").mkdir(parents=True)
    (top / "a" / "1.png").write_bytes(b"one")
    (top / "a" / "inner" / "2.png").write_bytes(b"two")
    return top


def test_folder_lists_and_reads(folder: Path) -> None:
    source = FolderSource(folder)
    assert sorted(source.names()) == ["a/1.png", "a/inner/2.png"]
    assert sorted(source.folders()) == ["a", "a/inner"]
    assert source.read("a/inner/2.png") == b"two"


def test_folder_follows_links_but_no_circle(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "3.png").write_bytes(b"three")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "a" / "up").symlink_to(folder)
    (folder / "twice").symlink_to(folder / "a" / "inner")
    source = FolderSource(folder)
    assert sorted(source.names()) == ["a/1.png", "a/inner/2.png", "linked/3.png"]
    assert sorted(source.notes) == [
        "a/up is a link to a folder above it: not followed",
        "twice is the same folder as a/inner: used once",
    ]


def test_named_pipe_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "a" / "pipe.png")
    assert stat.S_ISFIFO((folder / "a" / "pipe.png").stat().st_mode)
    with pytest.raises(InputError, match="is a named pipe"):
        FolderSource(folder).read("a/pipe.png")


def test_broken_link_is_named_by_its_reason(folder: Path) -> None:
    (folder / "a" / "gone.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(InputError, match="No such file"):
        FolderSource(folder).read("a/gone.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may list any folder")
def test_folder_that_may_not_be_listed_is_an_error(folder: Path) -> None:
    (folder / "a").chmod(0)
    try:
        with pytest.raises(InputError, match="cannot be listed"):
            list(FolderSource(folder).names())
    finally:
        (folder / "a").chmod(0o755)


def test_large_file_is_refused_before_it_is_read(folder: Path) -> None:
    with open(folder / "a" / "large.png", "wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match="has 67,108,865 bytes, expected at most"):
        FolderSource(folder).read("a/large.png")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_lists_and_reads(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w", method) as file:
        file.writestr("a/1.png", b"one" * 100)
        file.writestr("b\\2.png", b"two")
        file.mkdir("empty")
    source = open_source(tmp_path / "d.zip")
    assert list(source.names()) == ["a/1.png", "b/2.png"]
    assert list(source.folders()) == ["empty"]
    assert source.read("a/1.png") == b"one" * 100
    assert source.read("b/2.png") == b"two"
    source.close()


def test_zip_bomb_is_refused_by_its_declared_size(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/1.png", bytes(MAX_BYTES + 1))
    assert (tmp_path / "bomb.zip").stat().st_size < 100_000
    with pytest.raises(InputError, match=r"unpacks to 67108865 bytes, at most"):
        open_source(tmp_path / "bomb.zip").read("a/1.png")


def test_zip_bomb_that_lies_about_its_size_yields_no_more_than_it_declared(tmp_path: Path) -> None:
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/1.png", bytes(5_000_000))
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"cannot be unpacked|claims to unpack to 10 bytes"):
        open_source(path).read("a/1.png")


def test_zip_members_that_cannot_be_read_give_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/1.png", b"one")
        file.writestr("a/2.png", b"two")
        file.writestr("a/3.png", b"abc" * 50, zipfile.ZIP_BZIP2)
    data = path.read_bytes().replace(b"two", b"tvo")
    locked = data.rindex(b"PK\x01\x02", 0, data.index(b"a/2.png", data.index(b"PK\x01\x02")))
    data = bytearray(data)
    first = data.index(b"PK\x01\x02")
    assert first < locked
    data[first + 8] |= 1
    path.write_bytes(data)
    source = open_source(path)
    with pytest.raises(InputError, match="encrypted"):
        source.read("a/1.png")
    with pytest.raises(InputError, match="CRC"):
        source.read("a/2.png")
    with pytest.raises(InputError, match="zip method 12"):
        source.read("a/3.png")


def test_neither_folder_nor_archive(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder or archive"):
        open_source(tmp_path / "nothing")
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(InputError, match="neither a folder nor a zip or tar archive; unpack"):
        open_source(tmp_path / "text.txt")
    (tmp_path / "short.zip").write_bytes(b"PK\x05\x06" + bytes(10))
    with pytest.raises(InputError, match="not a readable zip"):
        open_source(tmp_path / "short.zip")
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(InputError, match="is a named pipe"):
        open_source(tmp_path / "pipe.zip")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_archives_are_read_in_any_order(folder: Path, tmp_path: Path, mode: str) -> None:
    with tarfile.open(tmp_path / "set.data", mode) as file:
        file.add(folder, ".")
        link = tarfile.TarInfo("b/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
    source = open_source(tmp_path / "set.data")
    assert isinstance(source, TarSource)
    assert list(source.names()) == ["a/1.png", "a/inner/2.png"]
    assert sorted(source.folders()) == ["", "a", "a/inner"] or sorted(source.folders()) == [".", "a", "a/inner"]
    assert source.read("a/inner/2.png") == b"two"
    assert source.start("a/1.png", 2) == b"on"
    with pytest.raises(InputError, match="has 3 bytes, expected at most 2"):
        source.read("a/1.png", 2)
    source.close()


def test_a_damaged_tar_is_named(folder: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tgz", "w:gz") as file:
        file.add(folder, "set")
    data = (tmp_path / "set.tgz").read_bytes()
    (tmp_path / "short.tgz").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"short\.tgz: cannot be unpacked"):
        open_source(tmp_path / "short.tgz")


def names_without_flag(path: Path, raw: list[bytes]) -> None:
    """Write a zip whose names have these bytes, and no flag that says how they are encoded."""
    with zipfile.ZipFile(path, "w") as file:
        for number, name in enumerate(raw):
            file.writestr(f"{number:02}".ljust(len(name), "x"), b"x")
    data = path.read_bytes()
    for number, name in enumerate(raw):
        data = data.replace(f"{number:02}".ljust(len(name), "x").encode(), name)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("encoding", "option"), [("utf-8", None), ("cp437", None), ("gbk", "gbk"), ("shift_jis", "shift_jis")]
)
def test_names_without_the_flag_come_out_right(tmp_path: Path, encoding: str, option: str | None) -> None:
    labels = ["苹果", "日本"] if option else ["Äpfel", "Nüsse"]
    labels = ["日本", "東京"] if encoding == "shift_jis" else labels
    raw = [f"{label}/1.jpg".encode(encoding) for label in labels]
    names_without_flag(tmp_path / "set.zip", raw)
    assert sorted(open_source(tmp_path / "set.zip", option).names()) == sorted(f"{label}/1.jpg" for label in labels)


def test_names_from_a_mac_are_read_as_they_are(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Äpfel")
    names_without_flag(tmp_path / "set.zip", [f"{decomposed}/1.jpg".encode()])
    source = open_source(tmp_path / "set.zip")
    assert list(source.names()) == [f"{decomposed}/1.jpg"]
    assert source.read(f"{decomposed}/1.jpg") == b"x"


def test_an_unknown_encoding_is_named(tmp_path: Path) -> None:
    names_without_flag(tmp_path / "set.zip", ["Äpfel/1.jpg".encode()])
    with pytest.raises(InputError, match="'klingon' is not an encoding; for example gbk"):
        open_source(tmp_path / "set.zip", "klingon")


@pytest.mark.parametrize("packed", [False, True])
def test_classes_that_were_downloaded_one_by_one(tmp_path: Path, packed: bool) -> None:
    top = tmp_path / "top"
    top.mkdir()
    for label in ("bolt", "nut"):
        with zipfile.ZipFile(top / f"{label}-samples.zip", "w") as file:
            file.writestr("0.jpg", label)
    source = open_source(zipped(top, tmp_path / "set.zip") if packed else top)
    assert isinstance(source, SamplesSource)
    assert list(source.names()) == ["bolt/0.jpg", "nut/0.jpg"]
    assert list(source.folders()) == ["bolt", "nut"]
    assert source.read("nut/0.jpg") == b"nut"
    assert source.start("nut/0.jpg", 1) == b"n"
    source.close()
