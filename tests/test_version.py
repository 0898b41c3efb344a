"""Version and commit: from the file of a build, from git in a checkout, or the version alone."""

import subprocess
from pathlib import Path

from edge_app import __version__
from edge_app.version import commit, full_version


def test_a_build_tells_the_commit_in_its_file(tmp_path: Path) -> None:
    (tmp_path / "commit.txt").write_text("18739b1c0ffe\n")
    assert full_version(tmp_path) == f"{__version__} (commit 18739b1c0ffe)"


def test_a_checkout_tells_the_commit_and_whether_it_was_changed(tmp_path: Path) -> None:
    package = tmp_path / "edge_app"
    package.mkdir()
    (package / "a.py").write_text("a = 1\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "One"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert commit(package) == head[:12]
    (package / "a.py").write_text("a = 2\n")
    assert commit(package) == f"{head[:12]}-dirty"


def test_elsewhere_it_is_the_version_alone(tmp_path: Path) -> None:
    assert full_version(tmp_path) == __version__
