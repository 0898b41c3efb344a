"""Each case runs in a process of its own: numba decides on its cache when a kernel's module is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_app.colanet import compiling

KERNELS = """\
import numba
from edge_app.colanet.compiling import compiled, reported

@compiled()
def twice(x):
    return 2 * x

if __name__ == "__main__":
    told = []
    with reported(told.append):
        assert twice(21) == twice(21) == 42
    hits, misses = (sum(found.values()) for found in (twice.stats.cache_hits, twice.stats.cache_misses))
    assert told == ([] if hits else [1])
    assert numba.njit(lambda x: x / 2)(3) == 1.5  # compiled after the block, and told nobody
    assert len(told) == misses
    print(hits, misses, twice.stats.cache_path)
"""


def run(folder: Path, **environment: str) -> list[str]:
    """Run the kernel once; returns [hits, misses, cache folder]."""
    (folder / "kernels.py").write_text(KERNELS)
    found = subprocess.run(
        [sys.executable, "-W", "error", "kernels.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(compiling.__file__).parents[2])} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.split()


def test_second_start_compiles_nothing(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    assert run(tmp_path, NUMBA_CACHE_DIR=cache)[:2] == ["0", "1"]
    hits, misses, folder = run(tmp_path, NUMBA_CACHE_DIR=cache)
    assert (hits, misses) == ("1", "0")
    assert folder.startswith(cache)


def test_without_a_folder_that_can_be_written_it_compiles_every_time(tmp_path: Path) -> None:
    """A file where each folder would be stops the superuser too."""
    for name in ("cache", "__pycache__", "home"):
        (tmp_path / name).write_text("in the way")
    blocked = {name: str(tmp_path / "home") for name in ("HOME", "XDG_CACHE_HOME")}
    for _ in range(2):
        assert run(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"), **blocked) == ["0", "1", "None"]


@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"])
def test_damaged_cache_is_replaced(tmp_path: Path, pattern: str) -> None:
    """As after a power cut: a file of the right name with nothing in it."""
    cache = tmp_path / "cache"
    run(tmp_path, NUMBA_CACHE_DIR=str(cache))
    (file,) = cache.rglob(pattern)
    file.write_bytes(b"")
    assert run(tmp_path, NUMBA_CACHE_DIR=str(cache))[1] == "1"
    assert run(tmp_path, NUMBA_CACHE_DIR=str(cache))[:2] == ["1", "0"]


def test_file_that_cannot_be_written_at_the_first_call_is_no_failure(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    run(tmp_path, NUMBA_CACHE_DIR=str(cache))
    for file in cache.rglob("*.nb*"):
        file.unlink()
        file.mkdir()
        (file / "keeps").write_text("numba from replacing it")
    assert run(tmp_path, NUMBA_CACHE_DIR=str(cache))[0] == "0"


FLIPPING = """\
import random
from pathlib import Path
from edge_app.colanet.compiling import compiled

def twice(x):
    return 2 * x + 1

def count(kernel):
    return sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values())

if __name__ == "__main__":
    import sys
    first = compiled()(twice)
    assert first(21) == 43
    files = sorted(Path(first.stats.cache_path).glob("*.nb[ic]"))
    assert len(files) == 2
    chance = random.Random(1)
    for number in range(40):
        file = files[number % 2]
        data = bytearray(file.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data[: chance.randrange(len(data))] if number % 5 == 4 else data)
        again = compiled()(twice)
        assert again(21) == 43
        assert count(again) == (0, 1), (number, file)
        whole = compiled()(twice)
        assert whole(21) == 43
        assert count(whole) == (1, 0), number
    print("1 1 -")
"""


def test_a_flipped_bit_in_the_cache_is_found_and_the_file_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "KERNELS", FLIPPING)
    assert run(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))[0] == "1"


CONSTANTS = """\
from edge_app.colanet.compiling import compiled

@compiled()
def shifted(x, by):
    return x << by

@compiled()
def both(x):
    return shifted(x, 1) + shifted(x, by=2)

if __name__ == "__main__":
    assert both(3) == 18
    print(sum(shifted.stats.cache_misses.values()), len(shifted.signatures), "-")
"""


def test_a_kernel_is_compiled_once_for_all_constants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba on its own compiles it for each of them; one kernel had eleven."""
    monkeypatch.setattr(sys.modules[__name__], "KERNELS", CONSTANTS)
    assert run(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))[:2] == ["1", "1"]
