"""Wheels: of edge-app as it is in the checkout, and of what it needs in the guest, fetched as pip is set up here."""

import re
import sys
import tomllib
from pathlib import Path

from release.wheels import versions_file
from virtual_device import REPOSITORY
from virtual_device.packages import run

EXTRAS = ("gpio", "web", "mqtt")
"""The optional dependencies that a device may use; the guest has all of them."""
TEST_TOOLS = ("pytest>=8",)
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64")


def requirements() -> list[str]:
    """Return what edge-app needs on a device, as pyproject.toml says."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *(need for name in EXTRAS for need in extras.get(name, ()))]


def pins(python: str) -> list[Path]:
    """Return the file of the versions that the Debian package has for a Python; empty if it has none for this one.

    With the same versions the package uses the kernels that were compiled for the wheel.
    """
    file = versions_file(python)
    return [file] if file.is_file() else []


def download(folder: Path, python: str) -> None:
    """Download the wheels of all that is needed, for a Python such as 3.11."""
    (folder / "wheels").mkdir()
    options = [part for platform in PLATFORMS for part in ("--platform", platform)]
    options += ["--python-version", python.replace(".", ""), "--implementation", "cp", "--only-binary=:all:"]
    options += [part for file in pins(python) for part in ("--constraint", str(file))]
    run(
        [sys.executable, "-m", "pip", "download", "-q", "-d", folder / "wheels", *options, *requirements(), *TEST_TOOLS]
    )


def build_own(folder: Path) -> Path:
    """Build edge-app's wheel from the checkout and return its path."""
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", folder, REPOSITORY])
    return next(folder.glob("edge_app-*.whl"))


def guest_python(policy: str) -> str:
    """Return the guest's version of Python, 3.11, from what apt says of the package python3."""
    found = re.search(r"Candidate: (\d+\.\d+)", policy)
    if found is None:
        raise LookupError(f"apt does not say which python3 it has: {policy}")
    return found.group(1)
