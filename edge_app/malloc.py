"""Settings of glibc's allocator that return freed memory to the system. No effect with other C libraries."""

import contextlib
import ctypes

M_ARENA_MAX, M_MMAP_THRESHOLD = -8, -3
"""mallopt(3)."""
ARENAS = 2
"""Memory pools shared by all threads. By default glibc makes eight per core, and each keeps its freed memory."""
MAPPED = 4 << 20
"""Blocks of at least this many bytes are mapped, and returned to the system when freed. By default glibc raises the
limit to the largest block freed so far, so that a network's inhibition, 6 MB, would stay in a pool."""


def share_arenas() -> None:
    """Let threads share a few memory pools from now on: for a program with many threads that allocate little."""
    with contextlib.suppress(OSError, AttributeError):
        # the process's own C library; musl has no mallopt
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, ARENAS)
        libc.mallopt(M_MMAP_THRESHOLD, MAPPED)


def give_back() -> None:
    """Return freed memory to the system, after work that used much of it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
