"""What the state folder stores, as values, and the checksums that guard each row.

A row's checksum is blake2b-128 over its table's name and all its values. The ledger holds the number of rows and the
sum of their checksums modulo 2^128, so that a row that vanished with a damaged page is noticed too.
"""

import hashlib
import json
import struct
from enum import Enum
from typing import Any, NamedTuple, Self

CHECKSUM_BYTES = 16
MODULUS = 1 << (8 * CHECKSUM_BYTES)


class Binding(NamedTuple):
    """What the state was taught with; the network is a function of this and of the journal."""

    encoder_name: str
    encoder_sha256: str
    embedding_size: int
    """Values in an embedding, one byte each."""
    rate_code_digest: str
    params_digest: str
    params: dict[str, Any]
    """The classifier's parameters as its own `to_dict` gives them; must survive JSON."""
    preprocessing: str | None = None
    """How a frame becomes the encoder's input; None: a state of before it was written down."""

    def decides_otherwise(self, other: "Binding") -> bool:
        """Whether a network with this binding is another function of the same journal than one with `other`."""
        return (self.encoder_sha256, self.rate_code_digest, self.params_digest) != (
            other.encoder_sha256,
            other.rate_code_digest,
            other.params_digest,
        )

    def to_json(self) -> str:
        """Return the binding as JSON with sorted keys."""
        return json.dumps(self._asdict(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the binding that `to_json` wrote."""
        return cls(**json.loads(text))


class Prediction(NamedTuple):
    """What was decided of an example before it was learnt: with the class that was then said, an outcome."""

    label: str | None
    """None: unknown."""
    example: int | None
    """The newest example of that class then, by which a class that was renamed since is known again."""
    excitation: int
    """Of the winning column, in 1/1024 of a firing threshold; 0 for unknown."""
    lead: int
    """Its excitation less the runner-up's; 0 for unknown."""
    classes: int
    """Classes known then."""

    def to_json(self) -> str:
        """Return it as a JSON list."""
        return json.dumps(self, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the prediction that `to_json` wrote."""
        return cls(*json.loads(text))


class NewExample(NamedTuple):
    """An example that is about to be stored."""

    embedding: bytes
    label: str
    time_ns: int
    """Wall clock, nanoseconds since 1970; for people only, the order never depends on it."""
    source: str
    thumbnail: bytes | None = None
    """The model's input as JPEG, so that another encoder can learn from it."""
    before: Prediction | None = None
    """What was decided before it was learnt, where it was."""


class Example(NamedTuple):
    """A stored example, without its embedding."""

    id: int
    label: str
    time_ns: int
    source: str
    has_thumbnail: bool
    before: Prediction | None = None
    """What was decided before it was learnt; None for one that was imported, and for one of an older edge-app."""

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
    """Return the mark that `source_with_request` added, None if there is none."""
    _, mark, request = source.rpartition(" #")
    return request if mark and len(request) == 16 else None


class Kind(Enum):
    """What a presentation of the journal is learnt as."""

    EXAMPLE = b""
    DREAM = b"\xff" * 4
    """A variation of an example."""
    REHEARSAL = b"\xfe" * 4
    """An example once more, which it is only to be corrected by."""


class Entry(NamedTuple):
    """One presentation of the journal."""

    seq: int
    label: str
    embedding: bytes
    kind: Kind = Kind.EXAMPLE


class Dream(NamedTuple):
    """A presentation that idle time added: of a stored example's altered thumbnail, or of the example as it was."""

    example: int
    number: int
    """Which alteration, counted from 0; example and number tell dreams apart."""
    embedding: bytes
    """Of the altered thumbnail; empty for a rehearsal, which is of the example's own."""


class ReplayCandidate(NamedTuple):
    """A stored example that has a thumbnail, as what may be dreamt of."""

    example: int
    label: str
    dreams: int
    """Dreams and rehearsals of it so far; their numbers are 0 to that less one."""


class ExampleChange(NamedTuple):
    """What an action did to one example; label None means "not there"."""

    example: int
    before: str | None
    after: str | None


class Action(NamedTuple):
    """One thing a person did, as undo sees it."""

    id: int
    time_ns: int
    kind: str
    """teach, relabel, forget, rename, merge or import."""
    changes: tuple[ExampleChange, ...]


class Ledger(NamedTuple):
    """How many rows there are, and the sum of their checksums."""

    rows: int
    total: int

    def plus(self, checksum: bytes) -> "Ledger":
        """Return the ledger with one more row."""
        return Ledger(self.rows + 1, (self.total + int.from_bytes(checksum)) % MODULUS)

    def minus(self, checksum: bytes) -> "Ledger":
        """Return the ledger with one row less."""
        return Ledger(self.rows - 1, (self.total - int.from_bytes(checksum)) % MODULUS)


def checksum(table: str, *values: str | int | bytes | None) -> bytes:
    """Return the 16-byte checksum of a row; values of different types or lengths never run into one another."""
    digest = hashlib.blake2b(digest_size=CHECKSUM_BYTES)
    for value in (table, *values):
        if isinstance(value, bytes):
            tag, data = b"b", value
        elif isinstance(value, str):
            tag, data = b"s", value.encode()
        else:
            tag, data = (b"n", b"") if value is None else (b"i", str(value).encode("ascii"))
        digest.update(tag + struct.pack("<I", len(data)))
        digest.update(data)
    return digest.digest()


class JournalDigest:
    """Identifies a journal up to a point: how many presentations, and blake2b-256 over labels and embeddings."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = hashlib.blake2b(digest_size=32)

    def add(self, label: str, embedding: bytes, kind: Kind = Kind.EXAMPLE) -> None:
        """Take in the next presentation."""
        name = label.encode()
        self._digest.update(kind.value)  # as a length it would be that of no name
        self._digest.update(struct.pack("<II", len(name), len(embedding)))
        self._digest.update(name)
        self._digest.update(embedding)
        self.count += 1

    def hexdigest(self) -> str:
        """Return the digest of what was added so far."""
        return self._digest.hexdigest()
