"""The Debian package for this machine, whole, for the ways in; built once a session."""

import os
import shutil
from pathlib import Path

import pytest

from release import deb
from release.wheels import TARGETS, download
from support import chroot

SUITE = os.environ.get("EDGE_APP_WAYS_IN") or "bookworm"
TARGET = next(target for target in TARGETS if (target.suite, target.architecture) == (SUITE, "amd64"))
EARLIER = deb.debian_version(TARGET, "0.0.9")
PHOTOGRAPHS = {"cup": "coffee.png", "cat": "chelsea.png"}


@pytest.fixture(scope="session")
def way_in() -> None:
    """Skip unless the ways in are to be tested: they need root, minutes, and one of them at a time."""
    if not os.environ.get("EDGE_APP_WAYS_IN"):
        pytest.skip("`make test-ways-in` runs it")
    lacking = chroot.missing()
    if lacking:
        pytest.skip(lacking)


@pytest.fixture(scope="session")
def suite() -> str:
    """Debian's release that the ways in begin with: EDGE_APP_WAYS_IN."""
    return SUITE


@pytest.fixture(scope="session")
def packages(way_in: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Version -> package: one that counts as the previous build, and this one."""
    from release.sources import build_wheel

    folder = tmp_path_factory.mktemp("deb")
    wheels = download(TARGET, chroot.REPOSITORY / ".cache" / "release" / f"{TARGET.suite}-{TARGET.architecture}")
    root = folder / "root"
    root.mkdir(mode=0o755)
    deb.build_tree(TARGET, wheels, build_wheel(folder), root)
    versions = (EARLIER, deb.debian_version(TARGET))
    found = {version: deb.pack(root, TARGET, folder, version, compression="none") for version in versions}
    shutil.rmtree(root)
    return found


@pytest.fixture(scope="session")
def photographs() -> dict[str, Path]:
    """Class -> a photograph of scikit-image."""
    folder = Path(str(pytest.importorskip("skimage").data_dir))
    return {name: folder / file for name, file in PHOTOGRAPHS.items()}
