"""Wheels of all that a device needs, for a Python and a processor that need not be this machine's; fetched by pip.

Versions are pinned in release/versions-PYTHON.txt, so that a release has the same bytes whenever it is built.
`python -m release.wheels` pins the newest ones.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

from release import REPOSITORY

EXTRAS = ("gpio", "heic", "mqtt", "web")
"""Extras that packages and image have."""
MANYLINUX = ("manylinux2014", "manylinux_2_17", "manylinux_2_27", "manylinux_2_28", "manylinux_2_34")
"""Debian 12 has glibc 2.36."""
TESTS = re.compile(r"(^|/)tests?/|(^|/)(test_[^/]*|conftest)\.py$")
"""Files of tests."""
LEFT_OUT = re.compile(rf"{TESTS.pattern}|\.data/(scripts|data)/|/__pycache__/")
"""Files of wheels that are not unpacked."""


class Target(NamedTuple):
    """A Debian release on a processor."""

    suite: str
    """bookworm, trixie."""
    release: int
    """12, 13."""
    python: str
    """Its Python: 3.11, 3.13."""
    architecture: str
    """As Debian names it: amd64, arm64."""

    @property
    def machine(self) -> str:
        """The processor as Python names it."""
        return {"amd64": "x86_64", "arm64": "aarch64"}[self.architecture]


TARGETS = tuple(
    Target(suite, release, python, architecture)
    for suite, release, python in (("bookworm", 12, "3.11"), ("trixie", 13, "3.13"))
    for architecture in ("amd64", "arm64")
)


def requirements() -> list[str]:
    """Return what edge-app needs with the extras of a device."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *(need for name in EXTRAS for need in extras[name])]


def versions_file(python: str) -> Path:
    """Return the file of the pinned versions for a Python."""
    return REPOSITORY / "release" / f"versions-{python}.txt"


def download(target: Target, folder: Path, *, pinned: bool = True) -> list[Path]:
    """Download the wheels into a folder of their own, which keeps those that it has; return them sorted by name."""
    folder.mkdir(parents=True, exist_ok=True)
    options = [part for name in MANYLINUX for part in ("--platform", f"{name}_{target.machine}")]
    options += ["--python-version", target.python, "--implementation", "cp", "--only-binary=:all:"]
    if pinned:
        options += ["--constraint", str(versions_file(target.python))]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", str(folder)]
    subprocess.run([*command, *options, *requirements()], check=True)
    found = sorted(folder.glob("*.whl"))
    return [wheel for wheel in found if not pinned or _pin(wheel) in _pins(target.python)]


def unpack(wheels: list[Path], site: Path) -> None:
    """Unpack wheels into a site-packages folder, without tests and scripts. Their RECORD names what is there."""
    for wheel in wheels:
        with ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            kept = [name for name in names if not LEFT_OUT.search(name)]
            for name in kept:
                target = site / re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
                if name.endswith(".dist-info/RECORD"):
                    lines = target.read_text(encoding="utf-8").splitlines(keepends=True)
                    # a line is PATH,SUM,SIZE
                    kept_lines = [line for line in lines if not LEFT_OUT.search(line.rsplit(",", 2)[0].strip('"'))]
                    target.write_text("".join(kept_lines), encoding="utf-8")


def _pin(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name.lower().replace('_', '-')}=={version}"


def _pins(python: str) -> set[str]:
    lines = versions_file(python).read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def main() -> None:
    """Write the files of pinned versions anew. Each must exist for all processors."""
    for python in sorted({target.python for target in TARGETS}):
        found = []
        for target in TARGETS:
            if target.python == python:
                with tempfile.TemporaryDirectory() as folder:
                    found.append({_pin(wheel) for wheel in download(target, Path(folder), pinned=False)})
        if any(pins != found[0] for pins in found):
            sys.exit(f"Python {python}: not the same versions for all processors: {set.union(*found) - found[0]}")
        head = f"# Wheels in the packages for Python {python}; written by `python -m release.wheels`.\n"
        versions_file(python).write_text(head + "\n".join(sorted(found[0])) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
