"""Snapshots: a network's state as bytes; versioned, with a checksum over every byte.

Layout: MAGIC (8 bytes), SHA-256 of the rest (32 bytes), length of the head (4 bytes, little-endian), the head (JSON),
and the arrays it names, one after the other, in C order, little-endian.
"""

import hashlib
import json
from typing import Any

import numpy as np

from edge_app.colanet.columns import Arrays
from edge_app.errors import StateCorrupt

MAGIC = b"CoLaNET\x01"
"""The last byte is the format's version."""


def pack(head: dict[str, Any], arrays: Arrays) -> bytes:
    """Return a snapshot of JSON values and arrays; the same content gives the same bytes."""
    # little-endian on every machine: the same network has the same bytes
    listed = [[name, array.dtype.newbyteorder("<").str, list(array.shape)] for name, array in arrays.items()]
    # sorted keys and no spaces, so that equal content gives equal bytes
    text = json.dumps({**head, "arrays": listed}, sort_keys=True, separators=(",", ":")).encode()
    parts = [len(text).to_bytes(4, "little"), text]
    parts += [array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes() for array in arrays.values()]
    body = b"".join(parts)
    return MAGIC + hashlib.sha256(body).digest() + body


def unpack(data: bytes) -> tuple[dict[str, Any], Arrays]:
    """Return the head and the arrays of a snapshot. Raises StateCorrupt for anything that `pack` did not write."""
    if data[:7] != MAGIC[:7]:
        raise StateCorrupt("not a CoLaNET snapshot: wrong magic bytes at its start")
    if data[:8] != MAGIC:
        raise StateCorrupt(
            f"the snapshot has version {data[7] if data[7:] else 'none'}, this edge-app reads {MAGIC[7]}"
        )
    # 8 bytes of magic, 32 of SHA-256
    body = memoryview(data)[40:]
    # before anything is parsed
    if hashlib.sha256(body).digest() != data[8:40]:
        raise StateCorrupt("the snapshot is damaged: its checksum does not match; use an earlier one, or the journal")
    try:
        length = int.from_bytes(body[:4], "little")
        head = json.loads(bytes(body[4 : 4 + length]))
        return head, _read_arrays(head.pop("arrays"), body[4 + length :])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise StateCorrupt(f"the snapshot's checksum matches, but its content is invalid ({error})") from error


def _read_arrays(listed: list[tuple[str, str, list[int]]], data: memoryview) -> Arrays:
    arrays, position = {}, 0
    for name, dtype, shape in listed:
        array = np.frombuffer(data, np.dtype(dtype), int(np.prod(shape)), position).reshape(shape)
        # also a copy: frombuffer gives a read-only view of `data`
        arrays[name] = array.astype(array.dtype.newbyteorder("="))
        position += array.nbytes
    # bytes that no array claims would survive unnoticed
    if position != len(data):
        raise ValueError(f"{len(data) - position} bytes are left over")
    return arrays
