"""Where the files of a data set are: a folder, a zip or a tar archive, which are never unpacked to disk as files."""

import io
import os
import re
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from edge_app.datasets.listing import is_clutter
from edge_app.datasets.pictures import MAX_BYTES, START_BYTES, read_picture_file, read_start
from edge_app.errors import InputError
from edge_app.unzip import unzip

MAX_FILES = 2_000_000
MAX_NESTED = 256 << 20
"""Bytes of an archive inside an archive, which is held in memory."""
MAX_UNPACKED = 32 << 30
"""Bytes of a compressed tar archive, which is uncompressed into a temporary file."""
_UTF8_NAME = 0x800
"""Flag of a zip entry whose name is UTF-8."""
_SAMPLES = re.compile(r"(?P<label>[^/]+)-samples\.zip")
"""A class of Teachable Machine, downloaded by itself."""
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")


class Source(Protocol):
    """The files of a data set, named by their paths with forward slashes; `read` may be called from any thread."""

    notes: list[str]
    """Remarks on folders that are not followed."""

    def names(self) -> Iterator[str]:
        """Yield the paths of all files."""

    def folders(self) -> Iterator[str]:
        """Yield the paths of all folders, without a slash at the end."""

    def read(self, name: str, most: int = MAX_BYTES) -> bytes:
        """Return a file's content, at most `most` bytes. Raises InputError with the reason."""

    def start(self, name: str, count: int = START_BYTES) -> bytes:
        """Return the first `count` bytes of a file. Raises InputError."""

    def close(self) -> None:
        """Close open files."""


class FolderSource:
    """The files of a folder. Links are followed, but not to a folder above, and each folder is listed once."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self.notes: list[str] = []

    def _walk(self) -> Iterator[tuple[str, list[str]]]:
        self.notes.clear()
        seen: dict[str, str] = {}
        # followlinks: data sets are often made of links to one store of pictures
        for folder, folders, files in os.walk(self._top, followlinks=True, onerror=_refuse):
            prefix = Path(folder).relative_to(self._top).as_posix()
            prefix = "" if prefix == "." else prefix + "/"
            # in place: os.walk goes on with this list. Sorted, because file systems have orders of their own
            folders[:] = sorted(
                name for name in folders if not is_clutter(name) and self._follows(folder, name, prefix, seen)
            )
            yield prefix, sorted(files)

    def _follows(self, folder: str, name: str, prefix: str, seen: dict[str, str]) -> bool:
        """Whether to list a folder, which may be a link: not to one above, and none twice."""
        path = os.path.join(folder, name)
        if not os.path.islink(path):
            return True
        real, top = os.path.realpath(path), os.path.realpath(self._top)
        common = os.path.commonpath([real, top])
        if common == real:
            self.notes.append(f"{prefix}{name} is a link to a folder above it: not followed")
            return False
        # a link into the data set is listed at its own place already
        same = os.path.relpath(real, top) if common == top else seen.setdefault(real, prefix + name)
        if same != prefix + name:
            self.notes.append(f"{prefix}{name} is the same folder as {same}: used once")
        return same == prefix + name

    def names(self) -> Iterator[str]:
        for prefix, files in self._walk():
            for name in files:
                yield prefix + name

    def folders(self) -> Iterator[str]:
        for prefix, _ in self._walk():
            if prefix:
                yield prefix[:-1]

    def read(self, name: str, most: int = MAX_BYTES) -> bytes:
        return read_picture_file(self._top / name, most)

    def start(self, name: str, count: int = START_BYTES) -> bytes:
        return read_start(self._top / name, count)

    def close(self) -> None:
        pass


class ZipSource:
    """The entries of a zip, stored or deflated, unpacked one at a time into bounded memory."""

    def __init__(self, file: Path | BinaryIO, name: str, encoding: str | None = None) -> None:
        """Read the directory. `encoding` is that of names that are not UTF-8; None: UTF-8, else cp437."""
        self.notes: list[str] = []
        self._name = name
        try:
            self._zip = zipfile.ZipFile(file)
        except Exception as error:
            raise InputError(f"data set {name}: not a readable zip ({error})") from error
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._folders: set[str] = set()
        for info in self._zip.infolist():
            path = _entry_name(info, encoding).replace("\\", "/")  # written by old Windows tools
            if path.endswith("/"):
                self._folders.add(path.rstrip("/"))
            else:
                self._entries[path] = info

    def names(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def folders(self) -> Iterator[str]:
        return iter(sorted(self._folders))

    def read(self, name: str, most: int = MAX_BYTES) -> bytes:
        info = self._entries[name]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{name}: compressed by zip method {info.compress_type}, expected stored or deflated")
        return unzip(self._zip, info, most)

    def start(self, name: str, count: int = START_BYTES) -> bytes:
        try:
            with self._zip.open(self._entries[name]) as file:
                return file.read(count)
        except Exception as error:
            raise InputError(f"{name}: cannot be unpacked ({error})") from error

    def close(self) -> None:
        self._zip.close()


class TarSource:
    """The plain files of a tar archive; a compressed one is uncompressed into a temporary file first."""

    def __init__(self, path: Path) -> None:
        self.notes: list[str] = []
        self._lock = threading.Lock()
        self._file: BinaryIO = _uncompressed(path)
        self._members: dict[str, tarfile.TarInfo] = {}
        self._folders: set[str] = set()
        try:
            self._tar = tarfile.open(fileobj=self._file, mode="r:")  # noqa: SIM115 closed by `close`
            for member in self._tar:
                if len(self._members) >= MAX_FILES:
                    raise InputError(f"data set {path}: more than {MAX_FILES:,} files; name a smaller archive")
                name = member.name.removeprefix("./")
                if member.isfile():
                    self._members[name] = member
                elif member.isdir():
                    self._folders.add(name.rstrip("/"))
        except InputError:
            self._file.close()
            raise
        except Exception as error:
            self._file.close()
            raise InputError(f"data set {path}: not a readable tar archive ({error})") from error

    def names(self) -> Iterator[str]:
        return iter(sorted(self._members))

    def folders(self) -> Iterator[str]:
        return iter(sorted(self._folders))

    def read(self, name: str, most: int = MAX_BYTES) -> bytes:
        size = self._members[name].size
        if size > most:
            raise InputError(f"{name} has {size:,} bytes, expected at most {most:,} for a picture")
        return self._read(name, most)

    def start(self, name: str, count: int = START_BYTES) -> bytes:
        return self._read(name, count)

    def _read(self, name: str, count: int) -> bytes:
        try:
            with self._lock:  # its files share one position
                file = self._tar.extractfile(self._members[name])
                data = b"" if file is None else file.read(count)
        except Exception as error:
            raise InputError(f"{name}: cannot be read from the archive ({error})") from error
        return data

    def close(self) -> None:
        self._tar.close()
        self._file.close()


class SamplesSource:
    """Classes that Teachable Machine saved one by one, as CLASS-samples.zip: each is read like a folder CLASS."""

    def __init__(self, outer: Source, found: dict[str, str]) -> None:
        """`found` is the entry's name in `outer` by label."""
        self.notes = outer.notes
        self._outer = outer
        self._classes: dict[str, ZipSource] = {}
        for label, name in found.items():
            self._classes[label] = ZipSource(io.BytesIO(outer.read(name, MAX_NESTED)), name)

    def names(self) -> Iterator[str]:
        for label, source in self._classes.items():
            yield from (f"{label}/{name}" for name in source.names())

    def folders(self) -> Iterator[str]:
        return iter(self._classes)

    def read(self, name: str, most: int = MAX_BYTES) -> bytes:
        label, _, inner = name.partition("/")
        return self._classes[label].read(inner, most)

    def start(self, name: str, count: int = START_BYTES) -> bytes:
        label, _, inner = name.partition("/")
        return self._classes[label].start(inner, count)

    def close(self) -> None:
        for source in self._classes.values():
            source.close()
        self._outer.close()


def open_source(path: Path, encoding: str | None = None) -> Source:
    """Open a folder or an archive, which is recognised by its content. Raises InputError for anything else.

    `encoding` is that of names in a zip that are not UTF-8, for example "gbk"; None: cp437.
    """
    if path.is_dir():
        source: Source = FolderSource(path)
    else:
        if not path.exists():
            raise InputError(f"data set {path}: no such folder or archive")
        start = read_start(path)
        # by content: a .zip may have any name
        if start.startswith(b"PK"):
            source = ZipSource(path, str(path), encoding)
        elif start.startswith(_COMPRESSED) or tarfile.is_tarfile(path):
            source = TarSource(path)
        else:
            raise InputError(
                f"data set {path}: neither a folder nor a zip or tar archive; unpack another kind of archive first"
            )
    # at the top only: a zip deeper down is a file like any other
    samples = {match["label"]: name for name in source.names() if (match := _SAMPLES.fullmatch(name))}
    return SamplesSource(source, samples) if samples else source


def _entry_name(info: zipfile.ZipInfo, encoding: str | None) -> str:
    """Return an entry's path. Finder writes UTF-8 without saying so, Windows the code page of its language."""
    if info.flag_bits & _UTF8_NAME:
        return info.filename
    try:
        raw = info.filename.encode("cp437")  # as zipfile has decoded it
        return raw.decode(encoding or "utf-8")
    except UnicodeError:
        return info.filename
    except LookupError as error:
        raise InputError(f"{encoding!r} is not an encoding; for example gbk, cp850, shift_jis") from error


def _uncompressed(path: Path) -> BinaryIO:
    """Return a seekable tar archive."""
    with open(path, "rb") as file:
        start = file.read(START_BYTES)
    if not start.startswith(_COMPRESSED):
        return open(path, "rb")
    import bz2
    import gzip
    import lzma

    openers: dict[bytes, Any] = {_COMPRESSED[0]: gzip.open, _COMPRESSED[1]: bz2.open, _COMPRESSED[2]: lzma.open}
    # tar has no directory: reading an entry of a compressed one would unpack everything before it each time
    whole = tempfile.TemporaryFile()  # noqa: SIM115 closed by the source
    try:
        with next(function for magic, function in openers.items() if start.startswith(magic))(path) as packed:
            while piece := packed.read(1 << 20):
                whole.write(piece)
                # a small archive may unpack to any size
                if whole.tell() > MAX_UNPACKED:
                    raise InputError(f"data set {path}: unpacks to more than {MAX_UNPACKED >> 30} GB")
    except InputError:
        whole.close()
        raise
    except Exception as error:
        whole.close()
        raise InputError(f"data set {path}: cannot be unpacked ({error})") from error
    whole.seek(0)
    return whole


def _refuse(error: OSError) -> None:
    raise InputError(f"data set: folder {error.filename} cannot be listed: {error.strerror}") from error
