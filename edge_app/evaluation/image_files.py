"""The files of a data set, in a folder or in a zip that is never unpacked."""

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from edge_app.errors import InputError

MAX_IMAGE_BYTES = 64 * 2**20
"""A file larger than this is not read, so that a zip bomb costs no more memory than a large photograph."""
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,  # encrypted
    NotImplementedError,
    ValueError,
)


class FileSource(Protocol):
    """Where the files of a data set lie."""

    def names(self) -> Iterator[str]:
        """Paths of all files below the top, forward slashes."""

    def folders(self) -> Iterator[str]:
        """Paths of all folders below the top, forward slashes, none at the end."""

    def read(self, name: str) -> bytes:
        """The file's bytes; InputError with the reason when it cannot be read."""

    def close(self) -> None:
        """Let go of open files."""


class FolderSource:
    """Files of a folder; links are followed, each folder once."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def _walk(self) -> Iterator[tuple[str, list[str]]]:
        seen: set[str] = set()
        for folder, folders, files in os.walk(self._top, followlinks=True, onerror=_refuse):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()  # a link back up: its files were listed already
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not is_hidden(name))
            relative = Path(folder).relative_to(self._top).as_posix()
            yield ("" if relative == "." else relative + "/"), sorted(files)

    def names(self) -> Iterator[str]:
        for prefix, files in self._walk():
            for name in files:
                yield prefix + name

    def folders(self) -> Iterator[str]:
        for prefix, _ in self._walk():
            if prefix:
                yield prefix[:-1]

    def read(self, name: str) -> bytes:
        try:
            with open(self._top / name, "rb", opener=_open_without_waiting) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise InputError("not a plain file")
                if status.st_size > MAX_IMAGE_BYTES:
                    raise InputError(_too_large(status.st_size))
                return file.read(MAX_IMAGE_BYTES)
        except OSError as error:
            raise InputError(error.strerror or str(error)) from error

    def close(self) -> None:
        pass


class ZipSource:
    """Members of a zip, stored or compressed, read without unpacking to disk."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError) as error:
            raise InputError(f"data set {path}: not a readable zip ({error})") from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._folders: set[str] = set()
        for member in self._zip.infolist():
            name = member.filename.replace("\\", "/")  # written by old Windows tools
            if member.is_dir() or name.endswith("/"):
                self._folders.add(name.rstrip("/"))
            else:
                self._members[name] = member

    def names(self) -> Iterator[str]:
        return iter(sorted(self._members))

    def folders(self) -> Iterator[str]:
        return iter(sorted(self._folders))

    def read(self, name: str) -> bytes:
        member = self._members[name]
        if member.file_size > MAX_IMAGE_BYTES:
            raise InputError(_too_large(member.file_size))
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"packed by zip method {member.compress_type}; only stored and deflated members are read")
        try:
            with self._zip.open(member) as file:
                data = file.read(MAX_IMAGE_BYTES + 1)
        except UNREADABLE as error:
            raise InputError(f"cannot be read from the zip ({error})") from error
        if len(data) > MAX_IMAGE_BYTES:
            raise InputError(_too_large(len(data)))
        return data

    def close(self) -> None:
        self._zip.close()


def _refuse(error: OSError) -> None:
    raise InputError(f"data set: folder {error.filename} cannot be listed: {error.strerror}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a named pipe called x.jpg must not hang the program


def _too_large(size: int) -> str:
    return f"{size:,} bytes is more than the {MAX_IMAGE_BYTES:,} that one image may have"


def open_source(path: Path) -> FileSource:
    """Open a folder or a zip; InputError when the path is neither."""
    if path.is_dir():
        return FolderSource(path)
    if path.is_file():
        return ZipSource(path)
    raise InputError(f"data set {path}: no such folder or zip file")


def is_hidden(part: str) -> bool:
    """Tell whether a file or folder of this name is passed over: a dot in front, or a Mac's `__MACOSX`."""
    return part.startswith(".") or part == "__MACOSX"
