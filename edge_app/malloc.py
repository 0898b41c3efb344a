"""The C library's memory: how much of what was freed it keeps. Does nothing where the C library is not glibc."""

import contextlib
import ctypes

M_ARENA_MAX, M_MMAP_THRESHOLD = -8, -3
"""mallopt(3)."""
ARENAS = 2
"""Pools that threads share. Left alone glibc makes eight a core, and each keeps what was ever freed in it."""


MAPPED = 4 << 20
"""Bytes from which on a block is the system's own, and goes back to it when it is freed. Left alone glibc raises that
to the size of the largest block that was ever freed: a network's inhibition, 6 MB, would stay in a pool."""


def share_arenas() -> None:
    """Let threads share a few pools of memory, from now on: for a program with many threads that allocate little."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, ARENAS)
        libc.mallopt(M_MMAP_THRESHOLD, MAPPED)


def give_back() -> None:
    """Give freed memory back to the system, after work that took much of it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
