"""The Debian package without its libraries: files, scripts, versions, the same bytes twice, and what lintian says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_app import __version__
from edge_app.config import load_config
from release import deb
from release.sources import build_wheel
from release.wheels import LEFT_OUT, TARGETS, requirements, versions_file

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    pytest.importorskip("shtab")
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def package(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(own, tmp_path_factory.mktemp("package"))


def build(own: Path, folder: Path) -> Path:
    root = folder / "root"
    root.mkdir(mode=0o755)
    deb.build_tree(TARGETS[0], [], own, root)
    return deb.pack(root, TARGETS[0], folder, deb.debian_version(TARGETS[0]), compression="gzip")


def listed(package: Path) -> dict[str, str]:
    """Path -> mode and owner."""
    lines = subprocess.run(["dpkg-deb", "--contents", package], check=True, capture_output=True, text=True).stdout
    rows = [line.split(None, 5) for line in lines.splitlines()]
    return {row[5].removeprefix(".").split(" -> ")[0]: f"{row[0]} {row[1]}" for row in rows}


@pytest.mark.slow
def test_it_has_everything_in_its_place(package: Path) -> None:
    files = listed(package)
    for path in (
        "/opt/edge-app/bin/edge-app",
        "/opt/edge-app/pyvenv.cfg",
        "/opt/edge-app/lib/python3.11/site-packages/edge_app/cli.py",
        "/usr/bin/edge-app",
        "/usr/lib/systemd/system/edge-app.service",
        "/usr/lib/sysusers.d/edge-app.conf",
        "/usr/lib/tmpfiles.d/edge-app.conf",
        "/usr/lib/udev/rules.d/70-edge-app.rules",
        "/usr/share/bash-completion/completions/edge-app",
        "/usr/share/doc/edge-app/sbom.cdx.json",
        "/usr/share/man/man1/edge-app.1.gz",
    ):
        assert path in files
    assert {about.split()[1] for about in files.values()} == {"root/root"}
    assert not [path for path in files if re.search(r"/tests?/|test_[^/]*\.py$|__pycache__", path)]
    assert not [path for path in files if path.startswith(("/etc/", "/var/"))]  # made at installation, kept by upgrades


@pytest.mark.slow
def test_the_same_bytes_twice(own: Path, package: Path, tmp_path: Path) -> None:
    assert build(own, tmp_path).read_bytes() == package.read_bytes()


def test_the_first_configuration_starts_the_page_on_this_machine_alone(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(deb.configuration(), encoding="utf-8")
    config = load_config(tmp_path / "config.toml", {})
    assert (config.web.enabled, config.web.host, config.camera.uri) == (True, "127.0.0.1", "sim:scene=shapes")


def test_versions_of_debian_releases_are_in_order() -> None:
    versions = [deb.debian_version(target) for target in (TARGETS[0], TARGETS[2])]
    assert versions == [f"{__version__}-1+deb12", f"{__version__}-1+deb13"]
    subprocess.run(["dpkg", "--compare-versions", versions[0], "lt", versions[1]], check=True)


def test_the_scripts_are_shell() -> None:
    for name in deb.SCRIPTS:
        subprocess.run(["sh", "-n", deb.HERE / "debian" / name], check=True)


def test_every_requirement_is_pinned_for_every_python() -> None:
    names = {re.split(r"[<>=!;\[ ]", need)[0].lower() for need in requirements()}
    for target in TARGETS:
        lines = versions_file(target.python).read_text().splitlines()
        assert names <= {line.partition("==")[0] for line in lines}


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("numba/tests/a.py", True),
        ("numpy/conftest.py", True),
        ("a-1.data/scripts/a", True),
        ("numpy/testing/a.py", False),
        ("numba/core/x.py", False),
    ],
)
def test_tests_and_scripts_of_libraries_are_left_out(name: str, left_out: bool) -> None:
    assert bool(LEFT_OUT.search(name)) == left_out


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("lintian") is None, reason="needs lintian")
def test_lintian_finds_no_error(package: Path) -> None:
    root = ["--allow-root"] if os.geteuid() == 0 else []
    done = subprocess.run(
        ["lintian", "--fail-on", "error", *root, str(package)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.stdout.write(done.stdout)
