"""Puts the commit into sdist and wheel, for `edge-app --version`.

`EDGE_APP_COMMIT` names the commit where git is not to be asked. An sdist has the file already.
"""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACE = "edge_app/commit.txt"
DESCRIBE = ("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


class CommitHook(BuildHookInterface):
    """Adds `edge_app/commit.txt` to what is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file, unless the build is editable, the source has it, or the commit is unknown."""
        root = Path(self.root)
        found = os.environ.get("EDGE_APP_COMMIT") or git_commit(root)
        if version == "editable" or (root / PLACE).exists() or not found:
            return
        self._folder = TemporaryDirectory()
        file = Path(self._folder.name) / "commit.txt"
        file.write_text(found + "\n", encoding="ascii")
        build_data["force_include"][str(file)] = PLACE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the file."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def git_commit(root: Path) -> str | None:
    """Return the commit of a checkout; None without git, or if git refuses."""
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(DESCRIBE, cwd=root, check=False, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
