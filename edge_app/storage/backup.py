"""A backup of a device as one zip file: what was taught, what belongs to it, and the configuration without secrets.

    backup.json                    the contents: encoder, classes, size and SHA-256 of each file
    backup.sha256                  SHA-256 of backup.json
    examples.sqlite                the database: examples, journal, history of undo
    class-references.json          the classes that buttons and lights refer to, where there are any
    offers-seen.json               offers of other devices that were answered, where there are any
    strictness.json                the strictness set on the page or over the API, where it was
    history.sqlite                 the visits, on request
    config.toml                    the configuration

Tokens, passwords and keys are not part of it. Snapshots are not either: a start makes them from the journal.
"""

import hashlib
import json
import os
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from edge_app import __version__
from edge_app.checks import ANYTHING, Table, table_of, text, whole
from edge_app.errors import InputError
from edge_app.files import GROUP_READABLE
from edge_app.storage.database import copy_database
from edge_app.storage.errors import os_errors
from edge_app.storage.folder import (
    CLASS_REFERENCES,
    DATABASE,
    EXPORT_PREFIX,
    HISTORY,
    OFFERS_SEEN,
    RULES,
    STRICTNESS,
    database_path,
    history_path,
)
from edge_app.storage.sealed import SealedZip, entry
from edge_app.storage.store import Store
from edge_app.text import printable
from edge_app.unzip import unzip_to

FORMAT, VERSION = "edge-app backup", 1
MANIFEST, MANIFEST_SUM, CONFIG = "backup.json", "backup.sha256", "config.toml"
COMPANIONS: tuple[str, ...] = (CLASS_REFERENCES, OFFERS_SEEN, STRICTNESS, RULES)
ALLOWED = {DATABASE, HISTORY, CONFIG, *COMPANIONS}
MOST_ENTRIES = 16
MANIFEST_BYTES, SMALL_BYTES = 1 << 20, 4 << 20
"""Size of the manifest, and of every file but the database, at most."""
PIECE = 1 << 20


class BackedUp(NamedTuple):
    """The result of a backup."""

    examples: int
    classes: int


def write_backup(
    folder: Path, file: BinaryIO, config: str, created_ns: int, *, work: Path | None = None, history: bool = False
) -> BackedUp:
    """Write a backup of a state folder to `file`; a service may be writing the folder.

    `config` is the configuration as TOML, `created_ns` the wall clock, nanoseconds since 1970. The database is copied
    to the folder `work` first, None: to the state folder. `history`: with the visits, where there are any. Raises
    InputError, StateCorrupt, StateNotWritable.
    """
    with Store.reader(database_path(folder)) as store, os_errors(folder, "write the backup"):
        classes, binding = store.classes(), store.binding
        with (
            tempfile.TemporaryDirectory(dir=work or folder, prefix=EXPORT_PREFIX) as name,
            zipfile.ZipFile(file, "w") as archive,
        ):
            copy = Path(name) / DATABASE
            # a copy first: the database may be written meanwhile, and copying it by SQLite gives one whole moment
            store.backup(copy)
            files = {DATABASE: _pack(archive, copy)}
            if history and history_path(folder).is_file():
                files[HISTORY] = _pack(archive, _copy_of_history(folder, Path(name)))
            for companion in COMPANIONS:
                if (folder / companion).is_file():
                    files[companion] = _pack(archive, folder / companion)
            data = config.encode()
            archive.writestr(entry(CONFIG, zipfile.ZIP_DEFLATED), data)
            files[CONFIG] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            manifest = {
                "format": FORMAT,
                "version": VERSION,
                "program": __version__,
                "created_ns": created_ns,
                "encoder": {"name": binding.encoder_name, "sha256": binding.encoder_sha256},
                "classes": classes,
                "files": files,
            }
            text_ = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
            archive.writestr(entry(MANIFEST, zipfile.ZIP_DEFLATED), text_)
            archive.writestr(entry(MANIFEST_SUM), hashlib.sha256(text_).hexdigest() + "\n")
    return BackedUp(sum(classes.values()), len(classes))


def _copy_of_history(folder: Path, work: Path) -> Path:
    """Copy the visits of a state folder, which may be written meanwhile, to the folder `work`; return the copy."""
    uri = f"{history_path(folder).absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as source:
        copy_database(source, work / HISTORY)
    return work / HISTORY


def _pack(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    packed, digest, size = entry(path.name, zipfile.ZIP_DEFLATED), hashlib.sha256(), 0
    # force_zip64: the size is not known to zipfile beforehand, and 2 GiB may be exceeded
    with path.open("rb") as source, archive.open(packed, "w", force_zip64=True) as target:
        while piece := source.read(PIECE):
            digest.update(piece)
            target.write(piece)
            size += len(piece)
    return {"bytes": size, "sha256": digest.hexdigest()}


class Backup(SealedZip):
    """A backup file whose contents were checked against its manifest's list; a context manager."""

    FORMAT, VERSION, MANIFEST, MANIFEST_SUM = FORMAT, VERSION, MANIFEST, MANIFEST_SUM
    KIND = "a backup"
    REFUSAL = "{path} cannot be restored: {what}; nothing was changed"

    def __init__(self, path: Path, most_bytes: int) -> None:
        """Open the file; `most_bytes`: size of its database at most. Raises InputError, naming what is wrong."""
        self._most = most_bytes
        # the first bytes of an entry's record also occur in pictures
        super().__init__(path, MOST_ENTRIES + most_bytes // PIECE)

    def _most_manifest_bytes(self) -> int:
        return MANIFEST_BYTES

    def _check(self, manifest: dict[str, Any]) -> None:
        table = Table(manifest, f"{MANIFEST}: ")
        try:
            self.program = printable(table.read("program", text(100)))
            self.created_ns = table.read("created_ns", whole(0, (1 << 63) - 1))
            self.encoder_name = printable(table.read("encoder.name", text(1000)))
            self._sums = {}
            for name, values_ in table.read("files", table_of(ANYTHING)).items():
                row = Table(values_, f"{MANIFEST}: files[{name!r}].")
                self._sums[name] = (row.read("bytes", whole(0, self._most)), row.read("sha256", text(64)))
        except InputError as error:
            self._refuse(str(error))
        self._check_names(self._sums)
        for name in sorted(self._sums.keys() - ALLOWED):
            self._refuse(f"{name!r} is not expected in it")
        if DATABASE not in self._sums:
            self._refuse(f"{DATABASE!r} is missing")

    @property
    def config(self) -> str:
        """The configuration as TOML; "" if there is none. Raises InputError."""
        if CONFIG not in self._sums:
            return ""
        data = self._content(CONFIG, SMALL_BYTES)
        if (len(data), hashlib.sha256(data).hexdigest()) != self._sums[CONFIG]:
            self._refuse(f"{CONFIG} fails its checksum")
        return data.decode("utf-8", "replace")

    def unpack(self, folder: Path) -> None:
        """Write the database and what belongs to it into `folder`, and check them. Raises InputError, OSError."""
        for name in (DATABASE, *(one for one in (HISTORY, *COMPANIONS) if one in self._sums)):
            digest, limit = hashlib.sha256(), self._most if name in (DATABASE, HISTORY) else SMALL_BYTES
            # O_EXCL and O_NOFOLLOW: never through a file or link that is there already
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(folder / name, flags, GROUP_READABLE), "wb") as file:

                def write(piece: bytes, digest: Any = digest, file: BinaryIO = file) -> None:
                    digest.update(piece)
                    file.write(piece)

                try:
                    unzip_to(self._zip, self._infos[name], limit, write)
                except InputError as error:
                    self._refuse(str(error))
                file.flush()
                os.fsync(file.fileno())
                if (file.tell(), digest.hexdigest()) != self._sums[name]:
                    self._refuse(f"{name} fails its checksum, or has the wrong length")
