"""Debian packages from the machine's own package sources, unpacked without being installed."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap"}
"""Program -> its package."""


class CommandFailed(Exception):
    """A program that the build needs has failed."""


def run(command: Sequence[str | Path], *, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it printed. Raises CommandFailed with its last words."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    done = subprocess.run(
        list(map(str, command)),
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, **(environ or {})},
    )
    if done.returncode:
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise CommandFailed(f"{' '.join(map(str, command))} ended with status {done.returncode}:\n{words}")
    return done.stdout


def refresh_lists() -> None:
    """Fetch the lists of packages where there are none, as in a fresh container."""
    if subprocess.run(["apt-cache", "show", "linux-image-amd64"], check=False, capture_output=True).returncode:
        run(["apt-get", "update", "-qq"])


def versions(names: Sequence[str]) -> str:
    """Return a text that changes when apt would deliver other versions of the packages."""
    found = run(["apt-cache", "policy", *names])
    return "\n".join(line.strip() for line in found.splitlines() if "Candidate:" in line or not line.startswith(" "))


def kernel_version() -> str:
    """Return the version of the distribution's own kernel, as in /lib/modules/VERSION."""
    found = re.search(r"Depends: linux-image-(\S+)", run(["apt-cache", "depends", "linux-image-amd64"]))
    if found is None:
        raise CommandFailed("apt knows no linux-image-amd64: the kernel of the virtual device comes from that package")
    return found.group(1)


def download(names: Sequence[str], folder: Path) -> list[Path]:
    """Download packages alone."""
    run(["apt-get", "download", "-o", "APT::Sandbox::User=root", *names], cwd=folder)
    return sorted(folder.glob("*.deb"))


def download_with_dependencies(names: Sequence[str], folder: Path) -> list[Path]:
    """Download packages and what of their dependencies is not installed; what is installed is left out."""
    (folder / "partial").mkdir()
    options = ["-o", f"Dir::Cache::archives={folder}", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root"]
    run(["apt-get", "install", "-y", "--download-only", "--no-install-recommends", *options, *names])
    return sorted(folder.glob("*.deb"))


def unpack(package: Path, folder: Path) -> None:
    """Unpack a package into a folder."""
    run(["dpkg", "-x", package, folder])


def build_tools(folder: Path, names: Sequence[str]) -> None:
    """Fill the layer of programs that need not be installed."""
    archives = folder / "archives"
    archives.mkdir()
    for package in download_with_dependencies(names, archives):
        unpack(package, folder)
        package.unlink()
