"""Examples as one zip file, for a backup or for another device.

    manifest.json      the contents: encoder, examples (label, time, source, decision), order, checksums
    manifest.sha256    SHA-256 of manifest.json
    embeddings.bin     the embeddings, one after the other
    thumbnails/N.jpg   the picture of example N (from 0), where there is one

A file from outside is checked completely before any of it is used.
"""

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from edge_app import __version__
from edge_app.checks import ANYTHING, LABEL, Table, list_of, text, whole
from edge_app.errors import InputError
from edge_app.storage.records import Example, NewExample
from edge_app.storage.sealed import SealedZip, entry
from edge_app.storage.store import Store
from edge_app.text import printable

FORMAT, VERSION = "edge-app examples", 1
MANIFEST, MANIFEST_SUM, EMBEDDINGS = "manifest.json", "manifest.sha256", "embeddings.bin"
ROOM_LIVE, ROOM = 5000, 1 << 15
"""Number of examples that may be held in memory: in a running device, and in a process of its own."""
MANIFEST_FLOOR, MANIFEST_EACH = 64 << 10, 1 << 10
"""A manifest may have this many bytes, or this many for each example that may be held. An example takes 300 bytes,
900 with names of 100 three-byte characters. Parsed, a forged manifest takes up to 33 times its size in memory."""
MAX_EMBEDDING = 1 << 16
ENTRIES_EACH = 4
"""Entries of the zip file for each example that may be held; an example with a picture has one."""
EMBEDDING_EACH = 1 << 12
"""Bytes of embeddings for each example that may be held; the shipped encoder's have 1280."""
MAX_THUMBNAIL = 4 << 20
MAX_TOTAL = 4 << 30
MAX_SOURCE = 1000
MAX_GROWTH, GROWTH_FLOOR = 8, 1 << 20
"""Unpacked, a file may be this many times as large, or this many bytes: its pictures are not compressed further."""
ORDER_EACH = 4
"""Presentations for each example, on average: edge-app presents each once."""
INT64 = whole(-(1 << 63), (1 << 63) - 1)
BEFORE = ("label", "excitation", "lead", "classes", "novelty", "separation", "learnt")
"""Fields of the decision before an example was learnt; for people, an import leaves them out."""


def write_archive(store: Store, file: BinaryIO, labels: Sequence[str] | None = None) -> int:
    """Write all examples, or those of some classes, to a file as a zip file; return their number.

    The same examples give the same bytes. Raises InputError when there are none, UnknownLabel, StateCorrupt, OSError.
    """
    examples = examples_to_export(store, labels)
    _write(store, examples, file)
    return len(examples)


def examples_to_export(store: Store, labels: Sequence[str] | None = None) -> list[Example]:
    """Return all examples, or those of some classes, in the order of teaching. Raises InputError if there are none."""
    examples = [example for example in store.examples() if labels is None or example.label in labels]
    if not examples:
        named = f" of class {', '.join(map(repr, labels))}" if labels else ""
        raise InputError(f"nothing to export: no examples{named} in {store.path.parent}")
    return examples


def _write(store: Store, examples: Sequence[Example], file: BinaryIO) -> None:
    rows, digest = [], hashlib.sha256()
    with zipfile.ZipFile(file, "w") as archive:
        # one after the other: together they may not fit the memory. Their size is not known beforehand: zip64
        with archive.open(entry(EMBEDDINGS, zipfile.ZIP_DEFLATED), "w", force_zip64=True) as embeddings:
            for example in examples:
                data = store.embedding(example.id)
                digest.update(data)
                embeddings.write(data)
        for index, stored in enumerate(examples):
            picture = store.thumbnail(stored.id)
            if picture is not None:
                # stored: JPEG does not compress
                archive.writestr(entry(thumbnail_name(index)), picture)
            mark = hashlib.sha256(picture).hexdigest() if picture is not None else None
            row = {"label": stored.label, "time_ns": stored.time_ns, "source": stored.source, "thumbnail": mark}
            if stored.before is not None:
                told = {key: getattr(stored.before, key) for key in BEFORE}
                row["before"] = {key: value for key, value in told.items() if value is not None or key == "label"}
            rows.append(row)
        place = {example.id: index for index, example in enumerate(examples)}
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "program": __version__,
            "encoder": {
                "name": store.binding.encoder_name,
                "sha256": store.binding.encoder_sha256,
                "embedding_size": store.binding.embedding_size,
            },
            "embeddings_sha256": digest.hexdigest(),
            "examples": rows,
            "order": [place[example] for example in store.presentations() if example in place],
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
        # last, because it holds the checksums of what comes before
        archive.writestr(entry(MANIFEST, zipfile.ZIP_DEFLATED), text)
        archive.writestr(entry(MANIFEST_SUM), hashlib.sha256(text).hexdigest() + "\n")


def thumbnail_name(index: int) -> str:
    """Return the name inside the zip of the picture of example `index`."""
    return f"thumbnails/{index}.jpg"


def manifest_limit(examples: int) -> int:
    """Return how many bytes a manifest may have where there is room for so many examples."""
    return max(MANIFEST_FLOOR, MANIFEST_EACH * examples)


class Archive(SealedZip):
    """An exported file that was checked from end to end; a context manager.

    `examples` lack their thumbnails, which `thumbnail(index)` reads (and checks) one at a time.
    """

    FORMAT, VERSION, MANIFEST, MANIFEST_SUM = FORMAT, VERSION, MANIFEST, MANIFEST_SUM
    KIND = "an export"
    REFUSAL = "{path} cannot be imported: {what}; nothing was taken from it"

    def __init__(self, path: Path, room: int = ROOM_LIVE) -> None:
        """Open and check the file, within the memory that `room` examples may take: manifest and embeddings.

        Raises InputError, naming what is wrong with it.
        """
        self._room = room
        super().__init__(path, ENTRIES_EACH * room, way_out=f" ({self._way_out()})")

    def thumbnail(self, index: int) -> bytes | None:
        """Return the picture of an example, None when it has none. Raises InputError."""
        mark = self._thumbnails[index]
        if mark is None:
            return None
        data = self._content(thumbnail_name(index), MAX_THUMBNAIL)
        if hashlib.sha256(data).hexdigest() != mark:
            self._refuse(f"{thumbnail_name(index)} fails its checksum")
        return data

    def has_thumbnail(self, index: int) -> bool:
        """Return whether an example has a thumbnail."""
        return self._thumbnails[index] is not None

    @property
    def pictures(self) -> int:
        """Number of examples with a thumbnail."""
        return sum(mark is not None for mark in self._thumbnails)

    @property
    def unpacked_bytes(self) -> int:
        """Total size of the entries, unpacked."""
        return sum(info.file_size for info in self._infos.values())

    def _list_entries(self) -> dict[str, zipfile.ZipInfo]:
        infos = super()._list_entries()
        total = sum(info.file_size for info in infos.values())
        # small files may grow more: a manifest of few examples compresses well
        most = min(MAX_TOTAL, max(MAX_GROWTH * self._size, GROWTH_FLOOR))
        if total > most:
            self._refuse(f"it has {self._size} bytes and unpacks to {total}, at most {most} are expected")
        return infos

    def _most_manifest_bytes(self) -> int:
        limit = manifest_limit(self._room)
        if MANIFEST in self._infos:
            self._check_room(MANIFEST, self._infos[MANIFEST].file_size, limit)
        return limit

    def _check(self, manifest: dict[str, Any]) -> None:
        self._read(manifest)
        # all thumbnails are read once, so that nothing is imported of a file with a damaged one
        for index in range(len(self.examples)):
            self.thumbnail(index)

    def _read(self, manifest: dict[str, Any]) -> None:
        table = Table(manifest, f"{MANIFEST}: ")
        try:
            self.encoder_name = printable(table.read("encoder.name", text(MAX_SOURCE)))
            self.encoder_sha256 = table.read("encoder.sha256", text(64))
            self.embedding_size = table.read("encoder.embedding_size", whole(1, MAX_EMBEDDING))
            wanted = table.read("embeddings_sha256", text(64))
            rows = [
                Table(row, f"{MANIFEST}: examples[{index}].")
                for index, row in enumerate(table.read("examples", list_of(ANYTHING, "a list of examples")))
            ]
            self.order = list(table.read("order", list_of(whole(0, len(rows) - 1), "a list of numbers of examples")))
            self._thumbnails = [row.read("thumbnail", text(64), None) for row in rows]
            heads = [_head(row) for row in rows]
        except InputError as error:
            self._refuse(str(error))
        # the examples are numbered by their first presentation
        if list(dict.fromkeys(self.order)) != list(range(len(rows))):
            self._refuse(f"{MANIFEST}: the order of presentation does not agree with the examples")
        if len(self.order) > ORDER_EACH * len(rows):
            self._refuse(
                f"{MANIFEST}: {len(rows)} examples are presented {len(self.order)} times, expected at most "
                f"{ORDER_EACH * len(rows)}"
            )
        pictures = [thumbnail_name(index) for index, mark in enumerate(self._thumbnails) if mark is not None]
        self._check_names([EMBEDDINGS, *pictures])
        size = self.embedding_size
        self._check_room(EMBEDDINGS, len(rows) * size, EMBEDDING_EACH * self._room)
        data = self._content(EMBEDDINGS, len(rows) * size)
        if len(data) != len(rows) * size or hashlib.sha256(data).hexdigest() != wanted:
            self._refuse(f"{EMBEDDINGS} fails its checksum, or has the wrong length")
        self.examples = [
            NewExample(data[index * size : (index + 1) * size], label, time_ns, source)
            for index, (label, time_ns, source) in enumerate(heads)
        ]

    def _check_room(self, name: str, size: int, limit: int) -> None:
        if size > limit:
            self._refuse(f"{name!r} unpacks to {size} bytes, at most {limit} are read here ({self._way_out()})")

    def _way_out(self) -> str:
        if self._room < ROOM:
            return "`edge-app import` reads more while the service is stopped"
        return "export fewer classes at a time"


def _head(row: Table) -> tuple[str, int, str]:
    """Return label, time and source of an example. Raises InputError."""
    return row.read("label", LABEL), row.read("time_ns", INT64), row.read("source", text(MAX_SOURCE))
