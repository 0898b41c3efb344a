"""sdist and wheel of the checkout, the same bytes for the same commit."""

import os
import subprocess
import sys
from pathlib import Path

from release import REPOSITORY


def epoch() -> int:
    """Return the time that files of the release have: SOURCE_DATE_EPOCH, or else that of the commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    command = ["git", "-C", str(REPOSITORY), "log", "-1", "--format=%ct"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def build_wheel(out: Path) -> Path:
    """Build the wheel into a folder and return it."""
    return _built(out, "wheel", "*.whl")


def build_sdist(out: Path) -> Path:
    """Build the sdist into a folder and return it."""
    return _built(out, "sdist", "*.tar.gz")


def _built(out: Path, kind: str, pattern: str) -> Path:
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch())}
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(out)]
    subprocess.run(command, check=True, cwd=REPOSITORY, env=environ, stdout=subprocess.DEVNULL)
    (found,) = out.glob(pattern)
    return found
