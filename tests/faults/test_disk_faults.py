"""A disk that fails: a preloaded shim lets calls fail with EIO, ENOSPC, EMFILE, EROFS, or write only a part."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shim as a shared library."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed: apt-get install gcc")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", library, HERE / "shim.c", "-ldl"]
    subprocess.run([*map(str, command)], check=True)
    return library


def drive(script: str, first: int, count: int, **environ: str) -> dict[str, Any]:
    """Do runs in a process of their own; return what it says of them."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), str(first), str(count)],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environ,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout)
    for failure in result["failures"]:
        print(f"seed {failure['seed']}:\n{failure['error']}\n{done.stderr[-3000:]}")
    assert result["failures"] == [], "see above; the seed is the first argument of the script"
    return result


def test_a_failing_disk_loses_nothing_and_ends_nothing(shim: Path) -> None:
    assert drive("disk_driver.py", 0, 20, LD_PRELOAD=str(shim))["met"] > 8


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1500, 250))
def test_a_failing_disk_loses_nothing_and_ends_nothing_in_many_runs(shim: Path, first: int) -> None:
    result = drive("disk_driver.py", first, 250, LD_PRELOAD=str(shim))
    assert result["met"] > 125, "most faults are met by the action that they are meant for"
    assert len(result["kinds"]) > 30


def test_processes_that_race_lose_nothing() -> None:
    assert drive("race_driver.py", 0, 9)["kinds"] == {"writers": 3, "tokens": 3, "readers": 3}


@pytest.mark.slow
def test_processes_that_race_lose_nothing_in_many_runs() -> None:
    assert sum(drive("race_driver.py", 1000, 120)["kinds"].values()) == 120
