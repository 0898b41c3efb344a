"""In processes of their own: numba decides on its cache when a kernel's module is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def edge_app(*arguments: str, folder: Path | None = None, **environment: str) -> str:
    """Run a command in a fresh process; returns what it printed."""
    found = subprocess.run(
        [sys.executable, "-m", "edge_app", *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.slow
def test_fills_the_cache_so_that_nothing_is_left_to_compile(tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    assert "empty: run `edge-app warmup`" in edge_app("info", NUMBA_CACHE_DIR=cache)
    first = edge_app("warmup", NUMBA_CACHE_DIR=cache)
    assert f"cache: {cache}" in first
    assert "(NUMBA_CACHE_DIR; " in first
    assert "compiled 0 kernels" not in first
    assert "compiled 0 kernels" in edge_app("warmup", NUMBA_CACHE_DIR=cache)
    assert "empty" not in edge_app("info", NUMBA_CACHE_DIR=cache)


@pytest.mark.slow
def test_without_a_cache_it_says_so_and_succeeds(tmp_path: Path) -> None:
    """The package is imported from where its own cache folder is a file: that stops the superuser too."""
    package = Path(__file__).parents[2]
    for name in ("edge_app", "firmware_models"):
        subprocess.run(["cp", "-r", str(package / name), str(tmp_path / name)], check=True)
    for folder in (tmp_path / "edge_app", tmp_path / "edge_app" / "colanet", tmp_path / "edge_app" / "encoder"):
        subprocess.run(["rm", "-rf", str(folder / "__pycache__")], check=True)
        (folder / "__pycache__").write_text("in the way")
    (tmp_path / "blocked").write_text("in the way")
    blocked = {name: str(tmp_path / "blocked" / "x") for name in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    text = edge_app("warmup", folder=tmp_path, PYTHONDONTWRITEBYTECODE="1", **blocked)
    assert "no cache" in text
    assert "every start will take as long" in text
