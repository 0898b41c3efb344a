"""Examples out of and into a running device, as the file that `edge-app export` writes."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from edge_app.errors import InputError, ModelMismatch
from edge_app.learner import Learner
from edge_app.learner.corrections import members
from edge_app.storage.errors import os_errors
from edge_app.storage.exchange import Archive, write_archive
from edge_app.storage.folder import database_path
from edge_app.storage.records import Action
from edge_app.storage.store import Store

MAX_EXAMPLES = 5000
"""Examples that a running device takes at once: a press waits while they are stored (not while they are learnt)."""


EXPORT_PREFIX, IMPORT_PREFIX = ".export-", ".import-"
"""Of files in the state folder that are there for as long as something is carried."""


class Exported(NamedTuple):
    """What was written for someone to take along."""

    file: BinaryIO
    """Open, at its beginning."""
    examples: int
    """How many are in it."""


class Imported(NamedTuple):
    """What came of an import."""

    added: int
    skipped: int
    """Known already."""
    action: Action | None
    """None when nothing was new."""


def open_export(folder: Path, labels: Sequence[str]) -> Exported:
    """Return the examples of these classes (none: of all) as an open file on the state's own disk.

    The file has no name any more: whoever closes it deletes it, and one that a power cut left goes with
    `remove_leftovers`. Reads the stored state beside its writer, so that teaching goes on. Raises UnknownLabel,
    InputError, StateCorrupt, StateNotWritable.
    """
    with Store.reader(database_path(folder)) as store:
        for label in labels:
            members(store, label)
        # not in /tmp: that is memory on many systems, and counts against what the service may use
        with os_errors(folder, "write the export"):
            handle, name = tempfile.mkstemp(prefix=EXPORT_PREFIX, dir=folder)
            os.close(handle)
        target = Path(name)
        try:
            count = write_archive(store, target, labels or None, overwrite=True)
            return Exported(target.open("rb"), count)
        finally:
            with suppress(OSError):
                target.unlink()


def export_examples(folder: Path, labels: Sequence[str], file: BinaryIO) -> int:
    """Write what `open_export` returns to `file`; return the number of examples."""
    exported = open_export(folder, labels)
    with exported.file as source:
        shutil.copyfileobj(source, file)
    return exported.examples


def remove_leftovers(folder: Path) -> None:
    """Remove what an export or an import left behind when the power went; only for the one writer of the state."""
    for pattern in (f"{EXPORT_PREFIX}*", f"{IMPORT_PREFIX}*"):
        for path in folder.glob(pattern):
            with suppress(OSError):  # a disk that cannot be written: there is no harm in them
                path.unlink()


def import_examples(
    learner: Learner, encoder_sha256: str, path: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Imported:
    """Store the examples of a file, all or none; the network follows in the background.

    Raises InputError, ModelMismatch, StateNotWritable.
    """
    with Archive(path) as archive:
        total = len(archive.examples)
        if total > MAX_EXAMPLES:
            raise InputError(
                f"the file holds {total} examples, at most {MAX_EXAMPLES} are taken while the device runs, so that a "
                "press does not wait for long: use `edge-app import` while the service is stopped"
            )
        if archive.encoder_sha256 != encoder_sha256:
            raise ModelMismatch(
                f"the file was taught with the encoder {archive.encoder_name} ({archive.encoder_sha256[:12]}...), this "
                f"device uses another ({encoder_sha256[:12]}...): `edge-app import --re-encode` can teach its "
                "thumbnails while the service is stopped. Nothing was taken from it"
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
