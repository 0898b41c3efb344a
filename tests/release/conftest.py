"""The Debian package for this machine, whole, for the ways in; built once a session."""

import os
from pathlib import Path

import pytest

from support import chroot
from support.builds import Builds, build_twice, target_of

SUITE = os.environ.get("EDGE_APP_WAYS_IN") or "bookworm"
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
def packages(way_in: None, tmp_path_factory: pytest.TempPathFactory) -> Builds:
    """Return the packages for the suite."""
    target = target_of(SUITE)
    assert target is not None, f"EDGE_APP_WAYS_IN={SUITE}: there is no package for this release of Debian"
    return build_twice(target, tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="session")
def photographs() -> dict[str, Path]:
    """Class -> a photograph of scikit-image."""
    folder = Path(str(pytest.importorskip("skimage").data_dir))
    return {name: folder / file for name, file in PHOTOGRAPHS.items()}
