"""Export and import of examples while the device runs, in the file format of `edge-app export`."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from edge_app.errors import InputError, ModelMismatch
from edge_app.learner import Learner
from edge_app.learner.corrections import members
from edge_app.storage.errors import os_errors
from edge_app.storage.exchange import Archive, write_archive
from edge_app.storage.folder import EXPORT_PREFIX, database_path
from edge_app.storage.records import Action
from edge_app.storage.store import Store


class Exported(NamedTuple):
    """An export, ready to be read."""

    file: BinaryIO
    """Open, at its beginning."""
    examples: int
    """How many it holds."""


class Imported(NamedTuple):
    """The result of an import."""

    added: int
    skipped: int
    """Examples that were stored already."""
    action: Action | None
    """None if nothing was new."""


def open_export(folder: Path, labels: Sequence[str]) -> Exported:
    """Return the examples of these classes (none: of all) as an open file on the state's own disk.

    The file has no name, so closing it deletes it, and so does a power cut. Reads the state beside its writer, so
    teaching goes on. Raises UnknownLabel, InputError, StateCorrupt, StateNotWritable.
    """
    with Store.reader(database_path(folder)) as store, os_errors(folder, "write the export"):
        for label in labels:
            members(store, label)
        # not in /tmp: on many systems it is memory, which counts towards the service's limit
        file = cast(BinaryIO, tempfile.TemporaryFile(dir=folder, prefix=EXPORT_PREFIX))  # noqa: SIM115 the caller closes it
        try:
            count = write_archive(store, file, labels or None)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return Exported(file, count)


def export_examples(folder: Path, labels: Sequence[str], file: BinaryIO) -> int:
    """Write what `open_export` returns to `file`; return the number of examples."""
    exported = open_export(folder, labels)
    with exported.file as source:
        shutil.copyfileobj(source, file)
    return exported.examples


def import_examples(
    learner: Learner, encoder_sha256: str, path: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Imported:
    """Store the examples of a file, all or none; the network is rebuilt in the background.

    Raises InputError, ModelMismatch, StateNotWritable.
    """
    most = learner.limits.import_examples
    with Archive(path, most) as archive:
        total = len(archive.examples)
        if total > most:
            raise InputError(
                f"the file holds {total} examples, expected at most {most} while the device runs "
                "(state.import_examples): use `edge-app import` while the service is stopped"
            )
        if archive.encoder_sha256 != encoder_sha256:
            raise ModelMismatch(
                f"the file was taught with the encoder {archive.encoder_name} ({archive.encoder_sha256[:12]}...), this "
                f"device uses another ({encoder_sha256[:12]}...): `edge-app import --re-encode` can teach its "
                "thumbnails while the service is stopped. Nothing was imported"
            )

        def thumbnail(index: int) -> bytes | None:
            progress(index + 1, total)
            return archive.thumbnail(index)

        action = learner.import_examples(
            archive.examples,
            order=archive.order,
            thumbnail=thumbnail,
            thumbnail_bytes=archive.unpacked_bytes,
            background=True,
        )
    added = len(action.changes) if action else 0
    return Imported(added, total - added, action)
