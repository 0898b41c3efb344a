"""From an empty Debian to a decision by the Debian package: installed, used, upgraded, removed, purged."""

import json
import re
import shutil
import urllib.request
from pathlib import Path

import pytest

from edge_app import __version__
from support import chroot as roots
from support.builds import Builds
from support.service_process import serving
from virtual_device.image import suite as guest_suite

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("way_in")]


def test_it_installs_teaches_decides_upgrades_and_goes(
    suite: str, packages: Builds, photographs: dict[str, Path], tmp_path: Path
) -> None:
    with roots.chroot(suite, tmp_path) as system:
        earlier, now = _brought(system, packages)
        for name, picture in photographs.items():
            shutil.copy(picture, system.root / "tmp" / f"{name}.png")
        _not_over_another_environment(system, earlier)
        system.transcript.clear()
        _install(system, earlier)
        _teach_and_decide(system)
        _serve_the_page(system)
        _upgrade(system, now)
        _remove(system)
        system.write_transcript(f"deb-{suite}")


@pytest.mark.skipif(shutil.which("systemd-nspawn") is None, reason="needs systemd-nspawn, of systemd-container")
def test_its_service_starts_survives_an_upgrade_and_goes(
    suite: str, packages: Builds, photographs: dict[str, Path], tmp_path: Path
) -> None:
    if suite == guest_suite():
        pytest.skip("the virtual device runs this release of Debian, and has it as scenarios: `make test-system`")
    with roots.booted(suite, tmp_path) as system:
        for name, picture in photographs.items():
            (system.root / "srv" / "things" / name).mkdir(parents=True)
            shutil.copy(picture, system.root / "srv" / "things" / name)
        earlier, now = _brought(system, packages)
        apt = ("apt-get", "-y", "-qq", "-oDpkg::Use-Pty=0")
        system.run(*apt, "install", "--no-install-recommends", earlier)
        first = _service(system)
        system.run("edge-app", "teach", "--live", "--folder", "/srv/things")
        system.run(*apt, "install", now)
        assert _service(system) != first
        assert json.loads(system.run("edge-app", "status", "--json"))["classes"] == ["cat", "cup"]
        system.run(*apt, "remove", "edge-app")
        assert "LoadState=not-found" in system.run("systemctl", "show", "--property=LoadState", "edge-app")
        assert list((system.root / "var/lib/edge-app").iterdir())
        system.run(*apt, "purge", "edge-app")
        assert not (system.root / "var/lib/edge-app").exists()
        system.write_transcript(f"service-{suite}")


def _brought(system: roots.Chroot, packages: Builds) -> list[str]:
    """Copy the packages into the root file system; return their paths in it, the earlier one first."""
    for package in packages:
        shutil.copy(package, system.root / "srv")
    return [f"/srv/{package.name}" for package in packages]


def _service(system: roots.Chroot) -> str:
    """Return the process of the service, which runs."""
    told = system.run("systemctl", "show", "--property=ActiveState,MainPID,StatusText,NRestarts", "edge-app")
    assert "ActiveState=active" in told
    assert "NRestarts=0" in told
    return re.findall(r"MainPID=(\d+)", told)[0]


def _not_over_another_environment(system: roots.Chroot, package: str) -> None:
    other = system.root / "opt" / "edge-app"
    other.mkdir()
    (other / "pyvenv.cfg").touch()
    with pytest.raises(AssertionError, match="was not installed by this package"):
        system.run("dpkg", "--install", package)
    system.run("dpkg", "--purge", "edge-app")
    shutil.rmtree(other)


def _install(system: roots.Chroot, package: str) -> None:
    system.run("apt-get", "install", "-y", "-qq", "-oDpkg::Use-Pty=0", "--no-install-recommends", package)
    assert f"edge-app {__version__}" in system.run("edge-app", "--version")
    system.run("systemd-analyze", "verify", "--recursive-errors=no", "/usr/lib/systemd/system/edge-app.service")
    assert (system.root / "etc/systemd/system/multi-user.target.wants/edge-app.service").is_symlink()
    assert system.run("stat", "-c", "%U %a", "/var/lib/edge-app", "/var/cache/edge-app").split("\n")[:2] == [
        "edge-app 750",
        "edge-app 755",
    ]
    system.run("edge-app", "check-config", "/etc/edge-app/config.toml")


def _command(system: roots.Chroot, *arguments: str) -> str:
    cache = {"NUMBA_CACHE_DIR": "/var/cache/edge-app"}
    return system.run("edge-app", *arguments, user="edge-app", **cache)


def _teach_and_decide(system: roots.Chroot) -> None:
    for name in ("cup", "cat"):
        _command(system, "teach", "--state", "/var/lib/edge-app", name, f"/tmp/{name}.png")
    assert _decisions(system) == ["cup", "cat"]


def _decisions(system: roots.Chroot) -> list[str]:
    pictures = ("/tmp/cup.png", "/tmp/cat.png")
    text = _command(system, "classify", "--state", "/var/lib/edge-app", *pictures)
    return re.findall(r"^/tmp/\w+\.png +(\w+)", text, re.MULTILINE)


def _serve_the_page(system: roots.Chroot) -> None:
    """Run what the unit runs, as its user, and ask the page for a decision."""
    config = (system.root / "etc/edge-app/config.toml").read_text()
    (system.root / "tmp/config.toml").write_text(config.replace("#port = 8765", "port = 0"))
    environ = {"STATE_DIRECTORY": "/var/lib/edge-app", "NUMBA_CACHE_DIR": "/var/cache/edge-app"}
    environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    command = ["/opt/edge-app/bin/python3", "-m", "edge_app", "run", "--config", "/tmp/config.toml"]
    with (
        serving(["chroot", "--userspec=edge-app", system.root, *command], environ=environ) as url,
        urllib.request.urlopen(f"{url.rstrip('/')}/api/v1/state", timeout=10) as answer,
    ):
        state = json.load(answer)
    system.transcript.append(f"$ {' '.join(command)}\n(the page at {url} tells: {state['health']})")
    assert state["classes"] == ["cup", "cat"]


def _upgrade(system: roots.Chroot, package: str) -> None:
    (system.root / "etc/edge-app/config.toml").write_text("[web]\nenabled = true\n# of the owner\n")
    system.run("apt-get", "install", "-y", "-qq", "-oDpkg::Use-Pty=0", package)
    assert "# of the owner" in (system.root / "etc/edge-app/config.toml").read_text()
    assert _decisions(system) == ["cup", "cat"]


def _remove(system: roots.Chroot) -> None:
    system.run("apt-get", "remove", "-y", "-qq", "-oDpkg::Use-Pty=0", "edge-app")
    assert not (system.root / "opt/edge-app").exists()
    assert not (system.root / "usr/bin/edge-app").is_symlink()
    assert list((system.root / "var/lib/edge-app").iterdir())
    system.run("apt-get", "purge", "-y", "-qq", "-oDpkg::Use-Pty=0", "edge-app")
    for path in ("var/lib/edge-app", "var/cache/edge-app", "etc/edge-app"):
        assert not (system.root / path).exists()
