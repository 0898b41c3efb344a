"""Version and commit of the running program.

The wheel carries the commit that it was built from in `commit.txt` (hatch_build.py); a checkout asks git.
"""

import shutil
import subprocess
from pathlib import Path

from edge_app import __version__

PACKAGE = Path(__file__).resolve().parent
FILE = "commit.txt"
DESCRIBE = ("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
"""Arguments of git that print the commit, with "-dirty" if tracked files differ from it."""


def full_version(package: Path = PACKAGE) -> str:
    """Return the version, with the commit if it is known: "0.2.0 (commit 18739b1c0ffe)"."""
    found = commit(package)
    return f"{__version__} (commit {found})" if found else __version__


def commit(package: Path = PACKAGE) -> str | None:
    """Return the commit of the package in a folder; None where neither a file nor git tells."""
    try:
        return (package / FILE).read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return git_commit(package.parent)


def git_commit(checkout: Path) -> str | None:
    """Return the commit of a checkout; None if it is none, or git is missing or refuses it."""
    git = shutil.which("git")
    # git would look further up, and may find the repository of something else
    if git is None or not (checkout / ".git").exists():
        return None
    try:
        done = subprocess.run(  # noqa: S603 git and constant arguments
            [git, "-C", str(checkout), *DESCRIBE], check=False, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
