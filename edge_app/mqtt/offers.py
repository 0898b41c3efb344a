"""A class with its examples as one message, so that another device can import it.

Four parts, one after the other:

    edge-app offer 1\\n    the format
    header\\n              JSON: device, label, examples, time_ms, sha256 and size of the zip file
    signature\\n           HMAC-SHA256 (RFC 2104) of the two parts before, in hexadecimal; empty: unsigned
    zip file              as `edge-app export` writes it
"""

import hashlib
import hmac
import io
import json
import zipfile
from typing import Any, NamedTuple

from edge_app.checks import LABEL, SHA256, Table, matching, whole
from edge_app.errors import InputError
from edge_app.mqtt.payloads import to_json
from edge_app.storage.exchange import MANIFEST, ROOM_LIVE, manifest_limit
from edge_app.unzip import check_count, unzip

MAGIC = b"edge-app offer 1\n"
MAX_HEADER = 4096
MAX_GROWTH = 8
"""Largest ratio of an offer's unpacked size to its size."""
OTHER_ENTRIES = 8
"""Entries that the zip file may have besides one picture per example."""
MIN_KEY = 32
DEVICE = matching("[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, - and _")


class Offer(NamedTuple):
    """A class that a device offers."""

    device: str
    label: str
    examples: int
    time_ms: int
    content: bytes
    """The zip file."""
    signed: bool
    """With the key of this device."""

    @property
    def id(self) -> str:
        """The first 16 digits of the content's SHA-256."""
        return hashlib.sha256(self.content).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Return the offer without its content, for responses and events."""
        return {
            "offer": self.id,
            "device": self.device,
            "label": self.label,
            "examples": self.examples,
            "bytes": len(self.content),
            "signed": self.signed,
            "offered_ms": self.time_ms,
        }


def pack(device: str, label: str, examples: int, time_ms: int, content: bytes, key: bytes | None) -> bytes:
    """Return an offer as a message, signed if there is a key."""
    header = {
        "device": device,
        "label": label,
        "examples": examples,
        "time_ms": time_ms,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }
    head = MAGIC + to_json(header) + b"\n"
    signature = _signature(head, key) if key is not None else b""
    return head + signature + b"\n" + content


def unpack(message: bytes, key: bytes | None, *, only_signed: bool = False) -> Offer:
    """Return the offer in a message. Raises InputError for anything that `pack` does not write.

    A signature of another key is refused, and without a key of our own any signature, since it cannot be checked. With
    `only_signed` an unsigned offer is refused before anything in it is read.
    """
    if not message.startswith(MAGIC):
        raise InputError("the message does not begin with 'edge-app offer 1': it is no offer of this version")
    parts = message[len(MAGIC) :].split(b"\n", 2)
    if len(parts) != 3 or len(parts[0]) > MAX_HEADER:
        raise InputError("the offer lacks its header, or is cut off")
    header, signature, content = parts
    # the header holds the content's SHA-256, so signing the head covers everything
    if signature and (key is None or not hmac.compare_digest(signature, _signature(MAGIC + header + b"\n", key))):
        raise InputError(
            "the offer's signature was not made with the key in mqtt.offers_key_file: all devices need the same key"
        )
    # before the JSON is parsed: an unsigned message gets no further
    if only_signed and not signature:
        raise InputError("the offer is not signed")
    try:
        table = Table(json.loads(header), "the offer's header: ")
    except (ValueError, RecursionError) as error:
        raise InputError(f"the offer's header is not JSON ({error})") from error
    offer = Offer(
        table.read("device", DEVICE),
        table.read("label", LABEL),
        table.read("examples", whole(1, ROOM_LIVE)),
        table.read("time_ms", whole(0, (1 << 53) - 1)),
        content,
        bool(signature),
    )
    digest = table.read("sha256", SHA256)
    size = table.read("size", whole(0, 1 << 31))
    if size != len(content) or digest != hashlib.sha256(content).hexdigest():
        raise InputError("the offer's content does not match its header: it was cut off or changed")
    _check_zip(offer)
    return offer


def _check_zip(offer: Offer) -> None:
    """Raise InputError unless the zip file is bounded and holds that class alone.

    A person who accepts the class cup must not get another one. Everything else is checked by the import.
    """
    try:
        # before ZipFile reads the directory into memory
        check_count(io.BytesIO(offer.content), offer.examples + OTHER_ENTRIES)
        with zipfile.ZipFile(io.BytesIO(offer.content)) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            total = sum(info.file_size for info in archive.infolist())
            if total > max(MAX_GROWTH * len(offer.content), 1 << 20):
                raise InputError(f"the offer's zip file unpacks to {total} bytes: more than an export can need")
            rows = json.loads(unzip(archive, infos[MANIFEST], manifest_limit(offer.examples)))["examples"]
            labels = {row["label"] for row in rows}
    except InputError as error:
        raise InputError(f"the offer cannot be imported: {error}") from error
    except Exception as error:  # zlib, zipfile and json raise many kinds of errors for damaged files
        raise InputError(f"the offer's zip file cannot be read ({error!r})") from error
    if labels != {offer.label} or len(rows) != offer.examples:
        raise InputError(f"the offer claims {offer.examples} examples of {offer.label!r}, and holds something else")


def _signature(head: bytes, key: bytes) -> bytes:
    return hmac.new(key, head, hashlib.sha256).hexdigest().encode("ascii")
