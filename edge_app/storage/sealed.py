"""Zip files of edge-app from outside: a manifest lists the contents, and another entry has the manifest's checksum."""

import hashlib
import json
import zipfile
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from edge_app.closing import Closing
from edge_app.errors import InputError
from edge_app.files import open_to_read
from edge_app.unzip import check_count, unzip

MOST_SUM_BYTES = 100
"""Size of the entry with the checksum, at most: 64 digits and an end of line."""


class SealedZip(Closing):
    """A zip file with a manifest that was checked; a context manager. A class for each format derives from it."""

    FORMAT: str
    VERSION: int
    MANIFEST: str
    MANIFEST_SUM: str
    KIND: str
    """The file in messages, with an article."""
    REFUSAL: str
    """Message for a file that is refused: {path} and {what}."""

    def __init__(self, path: Path, most_entries: int, *, way_out: str = "") -> None:
        """Open the file and list its entries; `way_out` is added where it has more than `most_entries`.

        Raises InputError, naming what is wrong with it.
        """
        self.path = path
        opened = open_to_read(path)
        try:
            with opened as file:
                # before ZipFile reads the directory: a million entries take hundreds of megabytes
                check_count(file, most_entries)
                self._size = file.tell()
            self._zip = zipfile.ZipFile(path)
        except InputError as error:
            self._refuse(f"{error}{way_out}")
        except Exception as error:  # zipfile and the disk raise many types for damage
            raise InputError(f"{path} cannot be read as a zip file: {error}") from error
        try:
            self._infos = self._list_entries()
            self._check(self._read_manifest())
        except BaseException:  # also on KeyboardInterrupt: no caller has this object yet that could close it
            self._zip.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    @abstractmethod
    def _check(self, manifest: dict[str, Any]) -> None:
        """Check everything that the manifest describes. Raises InputError."""

    @abstractmethod
    def _most_manifest_bytes(self) -> int:
        """Return how many bytes the manifest may have. Raises InputError when it claims to have more."""

    def _list_entries(self) -> dict[str, zipfile.ZipInfo]:
        infos: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            # ZipFile would read the last, other programs the first
            if info.filename in infos:
                self._refuse(f"it holds {info.filename!r} twice")
            # bit 0 of the general purpose flags
            if info.flag_bits & 1:
                self._refuse(f"{info.filename!r} is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                self._refuse(f"{info.filename!r} is compressed in a way that {self.KIND} does not use")
            infos[info.filename] = info
        return infos

    def _read_manifest(self) -> dict[str, Any]:
        data = self._content(self.MANIFEST, self._most_manifest_bytes())
        # against damage on the way; a forger can write any checksum. errors="replace": a wrong byte only differs
        told = self._content(self.MANIFEST_SUM, MOST_SUM_BYTES).decode("ascii", "replace").strip()
        if told != hashlib.sha256(data).hexdigest():
            self._refuse(f"{self.MANIFEST} fails its checksum")
        try:
            manifest = json.loads(data)
        except (ValueError, RecursionError) as error:
            self._refuse(f"{self.MANIFEST} cannot be read ({error})")
        if not isinstance(manifest, dict) or manifest.get("format") != self.FORMAT:
            self._refuse(f"it is not {self.KIND} of edge-app")
        if manifest.get("version") != self.VERSION:
            found = manifest.get("version")
            self._refuse(f"it has version {found!r}, this edge-app reads {self.VERSION}: update edge-app")
        return manifest

    def _check_names(self, contents: Iterable[str]) -> None:
        expected = {self.MANIFEST, self.MANIFEST_SUM, *contents}
        # nothing that is not expected: it would be carried along unchecked
        for name in sorted(expected ^ self._infos.keys()):
            self._refuse(f"{name!r} {'is missing' if name in expected else 'is not expected in it'}")

    def _content(self, name: str, limit: int) -> bytes:
        info = self._infos.get(name)
        if info is None:
            self._refuse(f"{name!r} is missing: it is not {self.KIND} of edge-app")
        try:
            return unzip(self._zip, info, limit)
        except InputError as error:
            self._refuse(str(error))

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(self.REFUSAL.format(path=self.path, what=what))


def entry(name: str, compression: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    """Return an entry without a time and with fixed permissions, so that equal content gives equal bytes."""
    info = zipfile.ZipInfo(name)
    info.compress_type = compression
    # without it `unzip` extracts files that nobody may read
    info.external_attr = 0o644 << 16
    return info
