"""Pictures that are kept on disk until they are taught: embedding and thumbnail, one after the other in one file."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from edge_app.closing import Closing
from edge_app.datasets.pictures import START_BYTES
from edge_app.errors import InputError
from edge_app.storage.errors import os_errors
from edge_app.storage.folder import IMPORT_PREFIX

DOING = "keep the pictures of an upload"
JPEG_START = b"\xff\xd8\xff"


class StagedPicture(NamedTuple):
    """A picture in the file."""

    name: str
    """Path in the data set, or name of the file."""
    label: str | None
    """The class; None: it follows from the layout of the data set."""
    mark: bytes
    """`thumbnail_mark` of its thumbnail."""
    at: int
    embedding_bytes: int
    thumbnail_bytes: int


class StagingFile(Closing):
    """The file; it has no name, so closing it deletes it, and so does a power cut."""

    def __init__(self, folder: Path) -> None:
        """Create it in `folder`. Raises StateNotWritable."""
        self._folder = folder
        with os_errors(folder, DOING):
            # on the state's disk: /tmp is memory on many systems
            self._file = cast(BinaryIO, tempfile.TemporaryFile(dir=folder, prefix=IMPORT_PREFIX))  # noqa: SIM115
        self._end = 0

    def add(self, name: str, label: str | None, mark: bytes, embedding: bytes, thumbnail: bytes) -> StagedPicture:
        """Write a picture and return where it is. Raises StateNotWritable; then the file is as before."""
        at = self._end
        with os_errors(self._folder, DOING):
            self._file.seek(at)
            self._file.write(embedding + thumbnail)
            self._file.flush()
        self._end += len(embedding) + len(thumbnail)
        return StagedPicture(name, label, mark, at, len(embedding), len(thumbnail))

    def embedding(self, one: StagedPicture) -> bytes:
        """Return a picture's embedding."""
        self._file.seek(one.at)
        return self._file.read(one.embedding_bytes)

    def thumbnail(self, one: StagedPicture) -> bytes:
        """Return a picture's thumbnail."""
        self._file.seek(one.at + one.embedding_bytes)
        return self._file.read(one.thumbnail_bytes)

    def close(self) -> None:
        """Delete it."""
        self._file.close()


class StagedSource:
    """Pictures and tables of an upload as the files of a data set, to recognise its layout."""

    def __init__(self, pictures: list[str], tables: dict[str, bytes]) -> None:
        self.notes: list[str] = []
        self._pictures = pictures
        self._tables = tables

    def names(self) -> Iterator[str]:
        """Yield the paths of all files."""
        return iter(sorted([*self._pictures, *self._tables]))

    def folders(self) -> Iterator[str]:
        """Yield nothing: only files are sent."""
        return iter(())

    def read(self, name: str, most: int = 0) -> bytes:
        """Return a table's content. Raises InputError for a picture, which was reduced."""
        if name not in self._tables:
            raise InputError(f"{name}: the picture is not kept as it was sent")
        return self._tables[name]

    def start(self, name: str, count: int = START_BYTES) -> bytes:
        """Return the first bytes of a file: every picture was one when it came."""
        return self._tables.get(name, JPEG_START)[:count]

    def close(self) -> None:
        """Do nothing."""
