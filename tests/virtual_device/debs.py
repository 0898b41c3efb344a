"""The disk with two builds of the Debian package."""

import shutil
import tarfile
from pathlib import Path
from subprocess import CalledProcessError

from release.wheels import Target
from support.builds import build_twice
from virtual_device.image import make_disk
from virtual_device.packages import CommandFailed, run

SIZE = "1200M"
BYTECODE = "bytecode.tar"
"""The modules compiled natively; the package's script leaves what is up to date, and an emulated processor is slow."""


def make_packages_disk(image: Path, target: Target) -> None:
    """Make it: both builds, and the bytecode where this machine has the guest's Python. Raises CommandFailed."""
    folder = image.with_suffix("")
    try:
        builds = build_twice(target, folder)
    except CalledProcessError as error:
        raise CommandFailed(f"the Debian package cannot be built: {error}") from error
    python = shutil.which(f"python{target.python}")
    if python is not None:
        _compile(python, builds.now, folder)
    for name, package in builds._asdict().items():
        package.rename(folder / f"{name}.deb")
    make_disk(image, SIZE, folder)
    shutil.rmtree(folder)


def _compile(python: str, package: Path, folder: Path) -> None:
    tree = folder / "tree"
    run(["dpkg-deb", "--extract", package, tree])
    run([python, "-m", "compileall", "-q", "-s", tree, "-p", "/", tree / "opt"])
    with tarfile.open(folder / BYTECODE, "w") as archive:
        for place in tree.rglob("__pycache__"):
            archive.add(place, str(place.relative_to(tree)))
    shutil.rmtree(tree)
