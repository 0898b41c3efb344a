"""Multipart streams as cameras really send them."""

import io
import random
import resource
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from edge_app.devices.mjpeg import MAX_BETWEEN, MAX_PICTURE, PartReader, decode_picture
from edge_app.errors import DeviceError
from support.mjpeg_server import jpeg

PICTURES = [jpeg(index) for index in range(4)]


def reader(stream: bytes, boundary: bytes = b"cut", block: int = 1000) -> PartReader:
    """A reader of `stream`, which arrives `block` bytes at a time."""
    source = io.BytesIO(stream)
    return PartReader(lambda: source.read(block), boundary)


def part(
    picture: bytes, *, length: int | None = None, lead: bytes = b"--cut\r\n", kind: bytes = b"image/jpeg"
) -> bytes:
    said = b"" if length is None else b"Content-Length: %d\r\n" % length
    return lead + b"Content-Type: " + kind + b"\r\n" + said + b"\r\n" + picture + b"\r\n"


def pictures(stream: bytes, boundary: bytes = b"cut", block: int = 1000) -> list[bytes]:
    parts = reader(stream + b"--cut--\r\n", boundary, block)
    found = []
    while True:
        try:
            found.append(parts.next())
        except EOFError:
            return found


STREAMS = {
    "as it should be": (b"".join(part(p, length=len(p)) for p in PICTURES), b"cut"),
    "no boundary before the first part": (
        part(PICTURES[0], length=len(PICTURES[0]), lead=b"") + b"".join(part(p, length=len(p)) for p in PICTURES[1:]),
        b"cut",
    ),
    "no Content-Length": (b"".join(part(p) for p in PICTURES), b"cut"),
    "Content-Length too small": (b"".join(part(p, length=len(p) - 9) for p in PICTURES), b"cut"),
    "Content-Length too large": (b"".join(part(p, length=len(p) + 9) for p in PICTURES), b"cut"),
    "Content-Length with the line's end": (b"".join(part(p, length=len(p) + 2) for p in PICTURES), b"cut"),
    "dashes declared": (b"".join(part(p) for p in PICTURES), b"--cut"),
    "boundary without dashes": (b"".join(part(p, length=len(p), lead=b"cut\r\n") for p in PICTURES), b"cut"),
    "no boundary declared": (b"".join(part(p) for p in PICTURES), b""),
    "bare line feeds": (b"".join(part(p).replace(b"\r\n", b"\n", 3) for p in PICTURES), b"cut"),
    "padded with zeros": (b"".join(part(p + bytes(7), length=len(p) + 7) for p in PICTURES), b"cut"),
    "text between": (b"".join(part(b"motion: 1", kind=b"text/plain") + part(p) for p in PICTURES), b"cut"),
    "no headers": (b"".join(b"--cut\r\n\r\n" + p + b"\r\n" for p in PICTURES), b"cut"),
    "an ending after each": (b"".join(part(p) + b"--cut--\r\n" for p in PICTURES), b"cut"),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("block", [1, 7, 1000, 1 << 20])
def test_every_habit_gives_every_picture(name: str, block: int) -> None:
    stream, boundary = STREAMS[name]
    assert [p.rstrip(b"\0\r\n") for p in pictures(stream, boundary, block)] == PICTURES


def test_a_stream_without_pictures_is_given_up() -> None:
    with pytest.raises(DeviceError, match="carries no pictures"):
        reader(part(b"motion: 1", kind=b"text/plain") * (MAX_BETWEEN // 30)).next()
    with pytest.raises(DeviceError, match="carries no pictures"):
        reader(b"x" * (2 * MAX_BETWEEN)).next()


def test_a_part_without_an_end_is_given_up() -> None:
    endless = part(b"\xff\xd8", length=MAX_PICTURE + 1)
    with pytest.raises(DeviceError, match="a part of 33554433 bytes or more, expected at most 33554432"):
        reader(endless).next()
    with pytest.raises(DeviceError, match="expected at most 33554432"):
        reader(part(b"\xff\xd8" + bytes(MAX_PICTURE)), block=1 << 20).next()


def test_damaged_streams_end_in_a_clear_error_or_a_part() -> None:
    whole = b"".join(stream for stream, _ in STREAMS.values())
    for seed in range(300):
        chance = random.Random(seed)
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 60)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        parts = reader(bytes(damaged[: chance.randrange(len(damaged))]), block=chance.choice([1, 100, 10_000]))
        with suppress(EOFError):  # every damaged stream ends, and nothing else than DeviceError is raised
            while True:
                with suppress(DeviceError):
                    decode_picture("http://camera/", parts.next())


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", PICTURES[0][:100]])
def test_what_is_not_a_picture_is_said(data: bytes) -> None:
    with pytest.raises(DeviceError, match="http://camera/: a frame of"):
        decode_picture("http://camera/", data)


def test_a_picture_larger_than_memory_is_refused_by_its_header() -> None:
    header = bytearray(PICTURES[0])
    at = header.index(b"\xff\xc0") + 5
    header[at : at + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(
        DeviceError, match=r"a frame of \d+ bytes is not a picture: .*(65535 x 65535 pixels|exceeds limit)"
    ):
        decode_picture("http://camera/", bytes(header))


def test_a_damaged_png_does_not_take_gigabytes() -> None:
    """OpenCV takes as much memory as a chunk claims to have."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((40, 56, 3), np.uint8)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[33:37] = (0x40000000).to_bytes(4, "big")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(DeviceError):
        decode_picture("http://camera/", bytes(data))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
