"""Freed memory goes back to the system."""

import platform
import subprocess
import sys

import pytest

from edge_app import malloc

CODE = """
import re
from edge_app import malloc
malloc.share_arenas()
def rss():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
blocks = [bytes(60_000) for _ in range(1000)]
del blocks[:-1]
before = rss()
malloc.give_back()
print(before - rss())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_what_was_freed_is_given_back() -> None:
    """The block that is left lies above all the others, so that freeing them alone gives nothing back."""
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert int(found.stdout) > 30_000, "kilobytes"


LARGE = """
import re
from edge_app import malloc
malloc.share_arenas()
def rss():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
first = bytearray(b"x" * 6_000_000)
del first  # from here on glibc would take blocks of that size from a pool
second, above = bytearray(b"x" * 6_000_000), [bytes(60_000) for _ in range(10)]
before = rss()
del second
print(before - rss())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_a_large_block_goes_back_by_itself() -> None:
    found = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    assert int(found.stdout) > 5_000, "kilobytes"


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(malloc.ctypes, "CDLL", lambda _: object())
    malloc.share_arenas()
    malloc.give_back()
