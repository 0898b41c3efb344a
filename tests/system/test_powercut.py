"""A disk after a power cut: what was flushed is there, of the rest any part."""

import random
from pathlib import Path

import pytest

from virtual_device.powercut import DISCARD, ENTRY, FLUSH, FUA, MAGIC, SUPER, read_log, replay

SECTOR = 512


def log_of(path: Path, entries: list[tuple[int, int, bytes]], *, count: int | None = None) -> Path:
    """Write a log of (sector, flags, data); a discard's data gives its length alone."""
    with path.open("wb") as file:
        file.write(SUPER.pack(MAGIC, 1, len(entries) if count is None else count, SECTOR).ljust(SECTOR, b"\0"))
        for sector, flags, data in entries:
            file.write(ENTRY.pack(sector, len(data) // SECTOR, flags, len(data)).ljust(SECTOR, b"\0"))
            file.write(b"" if flags & DISCARD else data)
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(b"." * 8 * SECTOR)
    return path


def sectors(disk: Path) -> str:
    data = disk.read_bytes()
    return "".join(chr(data[start]) for start in range(0, len(data), SECTOR))


def test_what_was_flushed_is_there_whatever_the_chance(tmp_path: Path, disk: Path) -> None:
    log = log_of(tmp_path / "log", [(1, 0, b"a" * SECTOR), (3, 0, b"b" * 2 * SECTOR), (0, FLUSH, b"")])
    for seed in range(20):
        found = replay(log, disk, random.Random(seed))
        assert sectors(disk) == ".a.bb..."
        assert found == (1, 2, 0, 0)


def test_what_was_not_flushed_is_there_or_not(tmp_path: Path, disk: Path) -> None:
    log = log_of(tmp_path / "log", [(0, FLUSH, b""), (1, 0, b"a" * SECTOR), (2, 0, b"b" * SECTOR)])
    seen = set()
    for seed in range(60):
        disk.write_bytes(b"." * 8 * SECTOR)
        found = replay(log, disk, random.Random(seed))
        assert (found.durable, found.lost + found.kept) == (0, 2)
        seen.add(sectors(disk))
    assert seen == {"........", ".a......", "..b.....", ".ab....."}


def test_a_forced_write_is_durable_at_once(tmp_path: Path, disk: Path) -> None:
    log = log_of(tmp_path / "log", [(5, FUA, b"f" * SECTOR)])
    assert replay(log, disk, random.Random(1)).durable == 1
    assert sectors(disk) == ".....f.."


def test_a_flush_with_data_makes_what_came_before_durable(tmp_path: Path, disk: Path) -> None:
    log = log_of(tmp_path / "log", [(1, 0, b"a" * SECTOR), (2, FLUSH | FUA, b"c" * SECTOR)])
    assert replay(log, disk, random.Random(1)) == (1, 2, 0, 0)
    assert sectors(disk) == ".ac....."


def test_discarded_sectors_are_empty(tmp_path: Path, disk: Path) -> None:
    log = log_of(tmp_path / "log", [(1, DISCARD, b"x" * 2 * SECTOR), (4, 0, b"d" * SECTOR), (0, FLUSH, b"")])
    replay(log, disk, random.Random(1))
    assert sectors(disk) == ".\0\0.d..."


def test_entries_beyond_the_count_do_not_count(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", [(1, 0, b"a" * SECTOR), (2, 0, b"b" * SECTOR)], count=1)
    assert [write.offset for write in read_log(log)] == [SECTOR]


def test_a_disk_that_was_not_written_has_an_empty_log(tmp_path: Path, disk: Path) -> None:
    (tmp_path / "log").write_bytes(bytes(4 * SECTOR))
    assert replay(tmp_path / "log", disk, random.Random(1)) == (0, 0, 0, 0)


def test_a_file_that_is_no_log_is_refused(disk: Path) -> None:
    with pytest.raises(ValueError, match="is no log of writes"):
        list(read_log(disk))
