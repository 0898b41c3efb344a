"""Examples out of and into a running device, as the file that `edge-app export` writes."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from edge_app.errors import InputError, ModelMismatch
from edge_app.learner import Learner
from edge_app.learner.corrections import members
from edge_app.storage.exchange import Archive, write_archive
from edge_app.storage.folder import database_path
from edge_app.storage.records import Action
from edge_app.storage.store import Store

MAX_EXAMPLES = 5000
"""Examples that a running device takes at once: a press waits while they are stored (not while they are learnt)."""


class Imported(NamedTuple):
    """What came of an import."""

    added: int
    skipped: int
    """Known already."""
    action: Action | None
    """None when nothing was new."""


def export_examples(folder: Path, labels: Sequence[str], file: BinaryIO) -> int:
    """Write the examples of these classes (none: of all) to `file`; return their number.

    Reads the stored state beside its writer, so that teaching goes on. Raises UnknownLabel, InputError, StateCorrupt,
    StateNotWritable.
    """
    with Store.reader(database_path(folder)) as store, tempfile.TemporaryDirectory(prefix="edge-app-") as draft:
        for label in labels:
            members(store, label)
        target = Path(draft) / "examples.zip"
        count = write_archive(store, target, labels or None)
        with target.open("rb") as source:
            while chunk := source.read(1 << 16):
                file.write(chunk)
    return count


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

        action = learner.adopt(
            archive.examples,
            order=archive.order,
            thumbnail=thumbnail,
            thumbnail_bytes=archive.unpacked_bytes,
            background=True,
        )
    added = len(action.changes) if action else 0
    return Imported(added, total - added, action)
