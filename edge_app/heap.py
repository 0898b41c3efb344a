"""The C library's memory: how much of what was freed it keeps. Does nothing where the C library is not glibc."""

import contextlib
import ctypes

M_ARENA_MAX = -8
"""mallopt(3)."""
ARENAS = 2
"""Pools that threads share. Left alone glibc makes eight a core, and each keeps what was ever freed in it."""


def share_arenas() -> None:
    """Let threads share a few pools of memory, from now on: for a program with many threads that allocate little."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Give freed memory back to the system, after work that took much of it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
