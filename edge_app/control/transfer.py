"""Export and import of examples while the device runs, in the file format of `edge-app export`."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import tomli_w

from edge_app.errors import InputError, ModelMismatch
from edge_app.learner import Learner
from edge_app.learner.corrections import members
from edge_app.storage.backup import Backup, write_backup
from edge_app.storage.errors import os_errors
from edge_app.storage.exchange import Archive, write_archive
from edge_app.storage.folder import EXPORT_PREFIX, database_path
from edge_app.storage.records import Action
from edge_app.storage.restore import RestoredState, StagedRestore
from edge_app.storage.store import Store


class Exported(NamedTuple):
    """An export, ready to be read."""

    file: BinaryIO
    """Open, at its beginning."""
    examples: int
    """How many it holds."""


class Restored(NamedTuple):
    """A backup, and the state that it replaces."""

    state: RestoredState
    replaced: dict[str, int]
    """Examples by class that are stored now."""
    restarting: bool
    """Whether the device restarts with the backup; False: it was only looked at."""


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
    # a reader of its own: the learner's connection stays free for teaching
    with Store.reader(database_path(folder)) as store, os_errors(folder, "write the export"):
        for label in labels:
            members(store, label)
        file = _temporary(folder)
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


def _temporary(folder: Path) -> BinaryIO:
    # not in /tmp: on many systems it is memory, which counts towards the service's limit
    return cast(BinaryIO, tempfile.TemporaryFile(dir=folder, prefix=EXPORT_PREFIX))


def open_backup(folder: Path, config: Mapping[str, Any], created_ns: int) -> Exported:
    """Return a backup as an open file on the state's own disk, as `open_export`; `config` holds no secrets.

    Raises InputError, StateCorrupt, StateNotWritable.
    """
    with os_errors(folder, "write the backup"):
        file = _temporary(folder)
        try:
            done = write_backup(folder, file, tomli_w.dumps(config), created_ns)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return Exported(file, done.examples)


def stage_restore(learner: Learner, folder: Path, path: Path) -> StagedRestore:
    """Unpack and check a backup that this device can go on with. Raises InputError, ModelMismatch, StateNotWritable."""
    with Backup(path, learner.limits.disk_bytes) as backup:
        staged = StagedRestore(folder, backup)
    try:
        theirs, own = staged.state.binding, learner.binding
        if theirs.encoder_sha256 != own.encoder_sha256:
            raise ModelMismatch(
                f"the backup was taught with the encoder {theirs.encoder_name} ({theirs.encoder_sha256[:12]}...), this "
                f"device uses {own.encoder_name} ({own.encoder_sha256[:12]}...): restore it with `edge-app restore` "
                "while the service is stopped. Nothing was changed"
            )
        if (theirs.rate_code_digest, theirs.preprocessing) != (own.rate_code_digest, own.preprocessing):
            raise ModelMismatch(
                "the backup was taught with another rate code or preprocessing than this device uses: restore it with "
                "`edge-app restore` while the service is stopped, then `edge-app rebuild`. Nothing was changed"
            )
    except BaseException:
        staged.close()
        raise
    return staged


def import_examples(
    learner: Learner, encoder_sha256: str, path: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Imported:
    """Store the examples of a file, all or none; the network is rebuilt in the background.

    Raises InputError, ModelMismatch, StateNotWritable.
    """
    most = learner.limits.import_examples
    # within the memory of a running device, which a command may exceed
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
