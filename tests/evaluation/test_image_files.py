import os
import stat
import zipfile
from pathlib import Path

import pytest

from edge_app.errors import InputError
from edge_app.evaluation import image_files as dataset_files
from edge_app.evaluation.image_files import FolderSource, ZipSource, open_source


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
    assert sorted(FolderSource(folder).names()) == ["a/1.png", "a/inner/2.png", "linked/3.png"]


def test_named_pipe_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "a" / "pipe.png")
    assert stat.S_ISFIFO((folder / "a" / "pipe.png").stat().st_mode)
    with pytest.raises(InputError, match="not a plain file"):
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
        file.truncate(dataset_files.MAX_IMAGE_BYTES + 1)
    with pytest.raises(InputError, match="67,108,865 bytes is more than"):
        FolderSource(folder).read("a/large.png")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_lists_and_reads(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w", method) as file:
        file.writestr("a/1.png", b"one" * 100)
        file.writestr("b\\2.png", b"two")
        file.mkdir("empty")
    source = ZipSource(tmp_path / "d.zip")
    assert list(source.names()) == ["a/1.png", "b/2.png"]
    assert list(source.folders()) == ["empty"]
    assert source.read("a/1.png") == b"one" * 100
    assert source.read("b/2.png") == b"two"
    source.close()


def test_zip_bomb_is_refused_by_its_declared_size(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/1.png", bytes(dataset_files.MAX_IMAGE_BYTES + 1))
    assert (tmp_path / "bomb.zip").stat().st_size < 100_000
    with pytest.raises(InputError, match="bytes is more than"):
        ZipSource(tmp_path / "bomb.zip").read("a/1.png")


def test_zip_bomb_that_lies_about_its_size_yields_no_more_than_it_declared(tmp_path: Path) -> None:
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/1.png", bytes(5_000_000))
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match="cannot be read from the zip"):
        ZipSource(path).read("a/1.png")


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
    source = ZipSource(path)
    with pytest.raises(InputError, match="encrypted"):
        source.read("a/1.png")
    with pytest.raises(InputError, match="CRC"):
        source.read("a/2.png")
    with pytest.raises(InputError, match="zip method 12"):
        source.read("a/3.png")


def test_neither_folder_nor_zip(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder or zip"):
        open_source(tmp_path / "nothing")
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(InputError, match="not a readable zip"):
        open_source(tmp_path / "text.txt")
    (tmp_path / "short.zip").write_bytes(b"PK\x05\x06" + bytes(10))
    with pytest.raises(InputError, match="not a readable zip"):
        open_source(tmp_path / "short.zip")
