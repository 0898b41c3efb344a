"""Snapshots of the network: files that make a start quicker; nothing is stored in them alone.

One file: 8 bytes of magic (the last is the version), the header's length (uint32, little-endian), the header (JSON:
the `SnapshotKey`, and the payload's length), the payload, and blake2b-256 over all of that. A file that fails any
check is not used.
"""

import hashlib
import json
import re
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edge_app.errors import StateCorrupt
from edge_app.files import DRAFT_END, GROUP_FOLDER, GROUP_READABLE, write_atomically
from edge_app.storage.errors import os_errors

MAGIC = b"EDGESNP"
VERSION = 1
DIGEST_BYTES = 32
# two: if the newest is damaged, or was made wrong by an undo, the other still shortens the start
KEPT = 2
MAX_HEADER = 65536
NAME = re.compile(r"(\d{8,})\.snapshot")


class SnapshotKey(NamedTuple):
    """Everything that determines a network: a snapshot is used only if all of it agrees."""

    program: str
    """Version of edge-app: another version may compute another network, and replays the journal."""
    encoder_sha256: str
    rate_code_digest: str
    params_digest: str
    presentations: int
    """Presentations of the journal that the network has learnt."""
    journal_digest: str
    """`JournalDigest` of that part of the journal."""


def pack(key: SnapshotKey, payload: bytes) -> bytes:
    """Return the content of a snapshot file."""
    header = json.dumps({**key._asdict(), "payload": len(payload)}, sort_keys=True).encode()
    body = MAGIC + bytes([VERSION]) + struct.pack("<I", len(header)) + header + payload
    return body + hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest()


def unpack(data: bytes) -> tuple[SnapshotKey, bytes]:
    """Return the key and the payload of a snapshot file's content. Raises StateCorrupt unless it is whole."""
    start = len(MAGIC) + 5
    if len(data) < start + DIGEST_BYTES:
        raise StateCorrupt(f"it is cut off: {len(data)} bytes")
    if data[: len(MAGIC)] != MAGIC:
        raise StateCorrupt("it is not a snapshot of edge-app")
    if data[len(MAGIC)] != VERSION:
        raise StateCorrupt(f"it has format {data[len(MAGIC)]}, this edge-app knows {VERSION}")
    # a view: the payload may have many megabytes
    body = memoryview(data)[:-DIGEST_BYTES]
    # before the header is parsed: nothing unchecked is interpreted
    if hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest() != data[-DIGEST_BYTES:]:
        raise StateCorrupt("its checksum does not match: it is cut off or was altered")
    (length,) = struct.unpack_from("<I", data, len(MAGIC) + 1)
    try:
        header = json.loads(bytes(body[start : start + length]))
        size = header.pop("payload")
        key = SnapshotKey(**header)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StateCorrupt(f"its header cannot be read ({error})") from error
    if start + length + size != len(body):
        raise StateCorrupt(f"its length is {len(data)} bytes, which differs from its header")
    return key, bytes(body[start + length :])


class Snapshots:
    """The snapshots of one state folder, newest first; two good ones are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: dict[Path, str] = {}
        """Damaged files and the reason; `save` removes them."""

    def save(self, key: SnapshotKey, payload: bytes) -> Path:
        """Write a snapshot, whole or not at all, and remove all but the newest two. Raises StateNotWritable."""
        with os_errors(self.folder, "save a snapshot"):
            self.folder.mkdir(mode=GROUP_FOLDER, exist_ok=True)
            files = self.files()
            # numbered, not dated: the clock of a board without a battery starts anywhere
            number = max((int(name.stem) for name in self._names()), default=0) + 1
            path = self.folder / f"{number:08d}.snapshot"
            write_atomically(path, pack(key, payload), mode=GROUP_READABLE)
            # only after the new one is complete; damaged ones do not count among those that are kept
            for old in [*self.damaged, *[file for file in files if file not in self.damaged][KEPT - 1 :]]:
                old.unlink(missing_ok=True)
            self.damaged.clear()
        return path

    def candidates(self) -> Iterator[tuple[Path, SnapshotKey, bytes]]:
        """Yield path, key and payload of each whole snapshot, the newest first; damaged ones go to `damaged`."""
        for path in self.files():
            try:
                key, payload = unpack(path.read_bytes())
            except FileNotFoundError:
                continue  # a running service replaced it meanwhile
            except StateCorrupt as error:
                self.damaged[path] = str(error)
            except OSError as error:
                self.damaged[path] = f"it cannot be read ({error})"
            else:
                yield path, key, payload

    def files(self) -> list[Path]:
        """Return the snapshot files, the newest first."""
        found = [path for path in self._names() if path.is_file()]
        return sorted(found, key=lambda path: int(path.stem), reverse=True)

    def used_bytes(self) -> int:
        """Return the bytes that the snapshots take on the disk. Raises StateNotWritable when they cannot be listed."""
        total = 0
        with os_errors(self.folder, "measure the snapshots"):
            for path in self.files():
                # a save in another thread may remove it meanwhile
                with suppress(FileNotFoundError):
                    total += path.stat().st_size
        return total

    def clean(self) -> None:
        """Remove what an interrupted save left behind; only for the one writer. Raises StateNotWritable."""
        with os_errors(self.folder, "clear an interrupted save"):
            for pattern in (f".*{DRAFT_END}", "*.tmp"):  # .tmp: drafts of older versions
                for leftover in self.folder.glob(pattern):
                    leftover.unlink(missing_ok=True)

    def clear(self, keep: Collection[Path] = ()) -> None:
        """Remove every snapshot but those in `keep`. Raises StateNotWritable."""
        with os_errors(self.folder, "remove the snapshots"):
            for path in self.files():
                if path not in keep:
                    path.unlink(missing_ok=True)

    def _names(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if NAME.fullmatch(path.name)]
