"""The values that the state folder stores, and the checksum of each row.

A row's checksum is blake2b-128 over its table's name and all its values. The ledger holds the number of rows and the
sum of their checksums modulo 2^128: so a row that is lost with a damaged page is noticed as well.
"""

import hashlib
import json
import re
import struct
from enum import Enum
from typing import Any, NamedTuple, Self

from edge_app.text import printable

CHECKSUM_BYTES = 16
IMPORTED = "import: "
"""Prefix of the source of an imported example."""
MODULUS = 1 << (8 * CHECKSUM_BYTES)


class Binding(NamedTuple):
    """The encoder and the parameters of a state; the network is a function of these and of the journal."""

    encoder_name: str
    encoder_sha256: str
    embedding_size: int
    """Values in an embedding, one byte each."""
    rate_code_digest: str
    params_digest: str
    params: dict[str, Any]
    """The classifier's parameters as its own `to_dict` gives them; must be JSON values."""
    preprocessing: str | None = None
    """How a frame becomes the encoder's input; None: a state created before this field existed."""

    def decides_otherwise(self, other: "Binding") -> bool:
        """Whether the same journal gives another network with this binding than with `other`."""
        # not the names, nor the preprocessing: it acts before the stored embeddings
        return (self.encoder_sha256, self.rate_code_digest, self.params_digest) != (
            other.encoder_sha256,
            other.rate_code_digest,
            other.params_digest,
        )

    def to_json(self) -> str:
        """Return the binding as JSON with sorted keys."""
        # sorted, because the row's checksum is over this text
        return json.dumps(self._asdict(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the binding that `to_json` wrote."""
        return cls(**json.loads(text))


class Prediction(NamedTuple):
    """The decision on an example before it was learnt."""

    label: str | None
    """None: unknown."""
    example: int | None
    """The newest example of that class at that time: identifies a class that was renamed since."""
    excitation: int
    """Of the winning column, in 1/1024 of a firing threshold; 0 for unknown."""
    lead: int
    """The winner's excitation minus that of the next column; 0 for unknown."""
    classes: int
    """Number of classes at that time."""
    novelty: int | None = None
    """In 1/1024 octave, as the separation; None: stored before it was told."""
    separation: int | None = None
    learnt: int | None = None
    """Examples of the named class at that time."""

    def to_json(self) -> str:
        """Return it as a JSON list."""
        return json.dumps(self, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the prediction that `to_json` wrote."""
        # a list of an older version is shorter: the later fields have defaults
        return cls(*json.loads(text))


class NewExample(NamedTuple):
    """An example to store."""

    embedding: bytes
    label: str
    time_ns: int
    """Wall clock, nanoseconds since 1970; only displayed: the order of examples does not depend on it."""
    source: str
    thumbnail: bytes | None = None
    """The encoder's input as JPEG, from which another encoder can learn the example."""
    before: Prediction | None = None
    """The decision before it was learnt; None: not known."""


class Example(NamedTuple):
    """A stored example, without its embedding."""

    id: int
    label: str
    time_ns: int
    source: str
    has_thumbnail: bool
    before: Prediction | None = None
    """The decision before it was learnt; None for an imported example, and for one of an older edge-app."""

    @property
    def request(self) -> str | None:
        """Mark of the request that taught it, None if it had none."""
        return request_of(self.source)


def source_with_request(source: str, request: str | None) -> str:
    """Return the text stored as the source of an example that a request taught; `request_of` reads it back.

    `request` is a mark of 16 hexadecimal digits. It has no column of its own because older versions must read the row.
    """
    return source if request is None else f"{source} #{request}"


def request_of(source: str) -> str | None:
    """Return the mark that `source_with_request` added, None if there is none, or if another device added it."""
    # another device's mark must not answer a retry here
    found = None if source.startswith(IMPORTED) else re.search(r" #([0-9a-f]{16})\Z", source)
    return found and found[1]


def imported_source(source: str) -> str:
    """Return the source of an imported example: it is not one of this device, and safe to show."""
    return printable(source if source.startswith(IMPORTED) else IMPORTED + source)


class Kind(Enum):
    """How a presentation of the journal is learnt."""

    # nothing is added to the digest: that of a journal without dreams is the same as in older versions
    EXAMPLE = b""
    DREAM = b"\xff" * 4
    """A variation of an example."""
    REHEARSAL = b"\xfe" * 4
    """A stored example again; it only corrects what was learnt."""


class Entry(NamedTuple):
    """One presentation of the journal."""

    seq: int
    label: str
    embedding: bytes
    kind: Kind = Kind.EXAMPLE


class Dream(NamedTuple):
    """A presentation added in idle time: an altered thumbnail of a stored example, or the example itself."""

    example: int
    number: int
    """Index of the alteration, from 0; with the example it identifies the dream."""
    embedding: bytes
    """Embedding of the altered thumbnail; empty for a rehearsal, which uses the example's own."""


class ReplayCandidate(NamedTuple):
    """A stored example with a thumbnail, from which a dream can be made."""

    example: int
    label: str
    dreams: int
    """Dreams and rehearsals of it so far, numbered from 0."""


class ExampleChange(NamedTuple):
    """The effect of an action on one example; label None: not there."""

    example: int
    before: str | None
    after: str | None


class Action(NamedTuple):
    """A change that undo takes back as a whole."""

    id: int
    time_ns: int
    kind: str
    """teach, relabel, forget, rename, merge or import."""
    changes: tuple[ExampleChange, ...]


class Ledger(NamedTuple):
    """Number of rows, and the sum of their checksums."""

    rows: int
    total: int

    def plus(self, checksum: bytes) -> "Ledger":
        """Return the ledger with one more row."""
        return Ledger(self.rows + 1, (self.total + int.from_bytes(checksum)) % MODULUS)

    def minus(self, checksum: bytes) -> "Ledger":
        """Return the ledger without one row."""
        return Ledger(self.rows - 1, (self.total - int.from_bytes(checksum)) % MODULUS)


def checksum(table: str, *values: str | int | bytes | None) -> bytes:
    """Return the 16-byte checksum of a row; values of different types or lengths give different checksums."""
    digest = hashlib.blake2b(digest_size=CHECKSUM_BYTES)
    for value in (table, *values):
        if isinstance(value, bytes):
            tag, data = b"b", value
        elif isinstance(value, str):
            tag, data = b"s", value.encode()
        else:
            tag, data = (b"n", b"") if value is None else (b"i", str(value).encode("ascii"))
        # the length is part of it: ("ab", "c") and ("a", "bc") differ
        digest.update(tag + struct.pack("<I", len(data)))
        digest.update(data)
    return digest.digest()


def thumbnail_mark(jpeg: bytes) -> bytes:
    """Return the checksum under which a thumbnail is stored: equal for equal pictures."""
    return checksum("thumbnails", jpeg)


class JournalDigest:
    """Identifies the beginning of a journal: number of presentations, and blake2b-256 of labels and embeddings."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = hashlib.blake2b(digest_size=32)

    def add(self, label: str, embedding: bytes, kind: Kind = Kind.EXAMPLE) -> None:
        """Add the next presentation."""
        name = label.encode()
        self._digest.update(kind.value)  # four bytes that cannot be the length of a name
        self._digest.update(struct.pack("<II", len(name), len(embedding)))
        self._digest.update(name)
        self._digest.update(embedding)
        self.count += 1

    def hexdigest(self) -> str:
        """Return the digest of what was added so far."""
        return self._digest.hexdigest()
