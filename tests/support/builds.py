"""Two builds of the Debian package for the machine's processor, between which an upgrade is tried."""

import shutil
from pathlib import Path
from typing import NamedTuple

from release import REPOSITORY, deb
from release.sources import build_wheel
from release.wheels import TARGETS, Target, download


class Builds(NamedTuple):
    """The packages."""

    earlier: Path
    """The same files under a lower version: it counts as the previous build."""
    now: Path


def target_of(suite: str) -> Target | None:
    """Return what is built for a Debian release on amd64; None if there is no package for it."""
    return next((target for target in TARGETS if (target.suite, target.architecture) == (suite, "amd64")), None)


def build_twice(target: Target, folder: Path) -> Builds:
    """Build both into a folder, uncompressed. Raises CalledProcessError."""
    wheels = download(target, REPOSITORY / ".cache" / "release" / f"{target.suite}-{target.architecture}")
    root = folder / "root"
    root.mkdir(parents=True, mode=0o755)
    deb.build_tree(target, wheels, build_wheel(folder), root)
    versions = (deb.debian_version(target, "0.0.9"), deb.debian_version(target))
    builds = Builds(*(deb.pack(root, target, folder, version, compression="none") for version in versions))
    shutil.rmtree(root)
    return builds
