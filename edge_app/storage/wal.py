"""SQLite's write-ahead log, read without SQLite: whether it is damaged, and repairing it in a copy.

A log is a header of 32 bytes and frames of 24 bytes and a page. Each frame carries the log's two salts and a checksum
over all frames before it (https://www.sqlite.org/fileformat2.html#walformat). SQLite uses the frames up to the first
that does not fit; those of an earlier use of the file, with other salts, may lie behind. With every frame's checksum
computed from the one before as it is stored, a frame behind a damaged one can be checked as well.
"""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HEADER, FRAME = struct.Struct(">8I"), struct.Struct(">6I")
MAGIC = 0x377F0682
"""Checksums are of little-endian words; the next number, of big-endian ones."""
SIZES = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
SPAN = 1024
"""Frames that are summed at a time: of the default size, 4 MB."""


class Log(NamedTuple):
    """The frames of a log that belong to its last use, from the first."""

    page_size: int
    big_endian: bool
    salts: tuple[int, int]
    start: tuple[int, int]
    """Checksum of the header."""
    header_fits: bool
    heads: NDArray[np.uint32]
    """(n, 6): page, size of the database after a commit or 0, two salts, checksum."""
    sums: NDArray[np.uint32]
    """(n, 2): checksum of each frame alone, from zero."""

    @property
    def fits(self) -> NDArray[np.bool_]:
        """Whether each frame has the log's salts, and its checksum follows from the one stored before it; (n,)."""
        before = np.vstack([np.array([self.start], np.uint32), self.heads[:-1, 4:]])
        right = (_advanced(before, self._words) + self.sums == self.heads[:, 4:]).all(axis=1)
        return np.asarray(right & self.own, np.bool_)

    @property
    def own(self) -> NDArray[np.bool_]:
        """Whether each frame has the log's salts, (n,)."""
        return np.asarray((self.heads[:, 2:4] == np.array(self.salts, np.uint32)).all(axis=1))

    @property
    def _words(self) -> int:
        return 1 + self.page_size // 8


def is_damaged(path: Path) -> bool:
    """Whether a log surely lacks changes that were committed.

    True where a commit lies behind the first frame that does not fit, with frames of the same use behind it: it was
    complete before they were begun. The last commit of a damaged log cannot be told from one that was never finished:
    for that there is the file of acknowledged.py.
    """
    log = read_log(path)
    if log is None or not len(log.heads):
        return False
    fits = log.fits
    if not log.header_fits:  # it is synced before the first frame is written
        return bool((fits[1:] & (log.heads[1:, 1] > 0)).any())
    bad = int(np.argmin(fits)) if not fits.all() else len(fits)
    own = np.flatnonzero(log.own)
    commits = own[(own >= bad) & (log.heads[own, 1] > 0)]
    return bool(len(commits) and own[-1] > commits[0])


def repair(path: Path) -> bool:
    """Give all frames up to the last commit checksums that fit, so that SQLite reads them; whether anything changed.

    The file must be a copy. The content of damaged frames stays as it is: each row of ours carries its own checksum.
    """
    log = read_log(path)
    if log is None:
        return False
    commits = np.flatnonzero(log.own & (log.heads[:, 1] > 0))
    count = int(commits[-1]) + 1 if len(commits) else 0
    if not count or (log.header_fits and log.fits[:count].all()):
        return False
    # the only version of the log's format
    version = 3007000
    head = struct.pack(">6I", MAGIC | log.big_endian, version, log.page_size, 0, *log.salts)
    state = _sums(np.frombuffer(head, np.uint8)[None], log.big_endian)[0]
    step = _power(1 + log.page_size // 8)
    with path.open("r+b") as file:
        file.write(head + struct.pack(">2I", *state.tolist()))
        for index in range(count):
            page, size = (int(value) for value in log.heads[index, :2])
            state = (step @ state.astype(np.uint64) + log.sums[index]).astype(np.uint32)
            file.write(FRAME.pack(page, size, *log.salts, *state.tolist()))
            file.seek(log.page_size, 1)
        file.truncate()
    return True


def read_log(path: Path) -> Log | None:
    """Return the frames of a log; None: there are none."""
    try:
        length = path.stat().st_size
    except FileNotFoundError:
        return None
    if length < HEADER.size + FRAME.size:
        return None
    with path.open("rb") as file:
        head = file.read(HEADER.size)
        magic, _, page_size, _, *salts = HEADER.unpack(head)[:6]
        big_endian = magic == MAGIC | 1
        start = HEADER.unpack(head)[6:]
        header_fits = magic in (MAGIC, MAGIC | 1) and page_size in SIZES
        if header_fits:
            header_fits = tuple(_sums(np.frombuffer(head[:24], np.uint8)[None], big_endian)[0].tolist()) == start
        if not header_fits:
            page_size, big_endian = _page_size(path), False
        frames = (length - HEADER.size) // (FRAME.size + page_size)
        # heads and sums only: a log may be larger than the memory
        heads, sums = np.zeros((frames, 6), np.uint32), np.zeros((frames, 2), np.uint32)
        for first in range(0, frames, SPAN):
            data = np.frombuffer(file.read(min(SPAN, frames - first) * (FRAME.size + page_size)), np.uint8)
            rows = data.reshape(-1, FRAME.size + page_size)
            heads[first : first + len(rows)] = np.ascontiguousarray(rows[:, : FRAME.size]).view(">u4")
            # a frame's checksum covers the first 8 bytes of its head, and the page
            summed = np.hstack([rows[:, :8], rows[:, FRAME.size :]])
            sums[first : first + len(rows)] = _sums(summed, big_endian)
    log = Log(page_size, big_endian, (salts[0], salts[1]), (start[0], start[1]), header_fits, heads, sums)
    return log if header_fits else log._replace(salts=_likely_salts(log))


def _page_size(path: Path) -> int:
    """Return the page size that the database beside a log names, or SQLite's default."""
    database = path.with_name(path.name.removesuffix("-wal"))
    with database.open("rb") as file:
        size = int.from_bytes(file.read(18)[16:])
    size = 65536 if size == 1 else size
    return size if size in SIZES else 4096


def _likely_salts(log: Log) -> tuple[int, int]:
    """Return the salts of the first two neighbours that fit one another, for a log whose header is damaged."""
    for index in range(1, len(log.heads)):
        salts = (int(log.heads[index, 2]), int(log.heads[index, 3]))
        if log._replace(salts=salts).fits[index]:
            return salts
    return log.salts


def _sums(data: NDArray[np.uint8], big_endian: bool) -> NDArray[np.uint32]:
    """Return SQLite's checksums of the rows of `data`, (n, 8 * words) -> (n, 2), from zero."""
    words = np.ascontiguousarray(data).view(">u4" if big_endian else "<u4").astype(np.uint32)
    first, second = np.zeros(len(data), np.uint32), np.zeros(len(data), np.uint32)
    for column in range(0, words.shape[1], 2):
        first += words[:, column] + second
        second += words[:, column + 1] + first
    return np.stack([first, second], axis=1)


def _advanced(before: NDArray[np.uint32], words: int) -> NDArray[np.uint32]:
    """Return what checksums (n, 2) become over `words` pairs of zeros: a checksum is linear in what it began with."""
    return (before.astype(np.uint64) @ _power(words).T).astype(np.uint32)


def _power(words: int) -> NDArray[np.uint64]:
    """Return the matrix of one pair of words, ((1, 1), (1, 2)), to the power `words`, modulo 2^32."""
    matrix = np.array([[1, 1], [1, 2]], np.uint64)
    power: NDArray[np.uint64] = np.linalg.matrix_power(matrix, words)  # wraps at 2^64, a multiple of 2^32
    return power & np.uint64(0xFFFFFFFF)
