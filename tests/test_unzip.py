"""Entries of zip files: whole, and in bounded memory whatever the file claims."""

import io
import zipfile

import pytest

from edge_app.errors import InputError
from edge_app.unzip import PIECE, RECORD, check_count, unzip
from support.lying_zip import BOMB, bomb, claiming, crowded, within

SIZES = (0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE)


def content(size: int) -> bytes:
    return bytes(number * number % 251 for number in range(size))


def zipped(data: bytes, compression: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("entry", data)
    return stream.getvalue()


def unzipped(data: bytes, limit: int = BOMB) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return unzip(archive, archive.getinfo("entry"), limit)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("size", SIZES)
def test_an_honest_entry_comes_out_whole(size: int, compression: int) -> None:
    assert unzipped(zipped(content(size), compression), size) == content(size)


def test_more_than_is_allowed_is_refused_before_it_is_unpacked() -> None:
    data = bomb("entry")
    with within(1 << 20), pytest.raises(InputError, match="'entry' unpacks to 67108864 bytes, at most 1000 are"):
        unzipped(data, 1000)


@pytest.mark.parametrize("claim", [0, 1000, 10 * PIECE])
def test_more_than_it_claims_is_given_up_with_the_first_byte(claim: int) -> None:
    forged = claiming(bomb("entry"), "entry", claim)
    with within(claim + (1 << 20)), pytest.raises(InputError, match="'entry' "):
        unzipped(forged)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_one_byte_more_or_less_than_it_claims_is_refused(compression: int) -> None:
    honest = zipped(bytes(1000), compression)
    for claim, found in ((999, 1000), (1001, 1000)):
        # the checksum of what is there, so that only the size is wrong
        forged = claiming(honest, "entry", claim, bytes(found))
        says = "more" if found > claim else "1000"
        with pytest.raises(InputError, match=f"claims to unpack to {claim} bytes, and unpacks to {says}"):
            unzipped(forged)


def test_a_damaged_entry_is_refused_by_its_name() -> None:
    damaged = bytearray(zipped(content(5000), zipfile.ZIP_DEFLATED))
    damaged[60:80] = bytes(20)
    with pytest.raises(InputError, match="'entry' cannot be unpacked"):
        unzipped(bytes(damaged))


def test_a_crowded_directory_is_refused_before_it_is_read() -> None:
    data = crowded(100_000)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert len(archive.infolist()) == 100_000
    with within(5 << 20), pytest.raises(InputError, match="it holds 100000 entries, at most 1000 are read here"):
        check_count(io.BytesIO(data), 1000)
    check_count(io.BytesIO(data), 100_000)


@pytest.mark.parametrize("before", range(len(RECORD) + 1))
def test_an_entry_at_the_end_of_a_piece_is_counted_once(before: int) -> None:
    data = bytes(PIECE - before) + RECORD + bytes(10)
    check_count(io.BytesIO(data), 1)
    with pytest.raises(InputError, match="it holds 1 entries"):
        check_count(io.BytesIO(data), 0)
