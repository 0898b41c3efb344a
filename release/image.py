"""The container image, built by buildah from a Debian that mmdebstrap makes: no registry is needed.

`python -m release.image PACKAGE.deb OUT` builds it from a Debian 12 package for this processor.
"""

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from edge_app import __version__
from release import REPOSITORY
from release.sources import epoch

HERE = REPOSITORY / "release" / "container"
SUITE = "bookworm"
BASE_PACKAGES = "python3.11-minimal,libpython3.11-stdlib,libstdc++6"
TRIMMED = (
    *("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"),
    *("/usr/share/bash-completion/*", "/usr/share/zoneinfo/*"),
)
NAME = f"localhost/edge-app:{__version__}"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


class Builder:
    """buildah with a storage of its own below `folder`; nothing of it stays outside."""

    def __init__(self, folder: Path) -> None:
        self._options = ["--root", str(folder / "storage"), "--runroot", str(folder / "run")]

    def run(self, *arguments: str | Path) -> str:
        """Run buildah and return what it printed. Raises CalledProcessError."""
        command = ["buildah", *self._options, *map(str, arguments)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def base(self, archive: Path) -> str:
        """Make an image of a root file system's archive and return its name."""
        name = f"localhost/debian:{SUITE}"
        container = self.run("from", "scratch")
        self.run("add", container, archive, "/")
        self.run("commit", "--quiet", "--rm", "--timestamp", str(epoch()), container, name)
        return name

    def image(self, package: Path, base: str) -> str:
        """Build the image from a Debian package and return its name."""
        with tempfile.TemporaryDirectory(dir=package.parent) as folder:
            os.link(package, Path(folder) / package.name)
            shutil.copy(HERE / "config.toml", folder)
            options = ["--isolation", "chroot", "--format", "docker", "--timestamp", str(epoch()), "--pull-never"]
            values = {"SOURCE_DATE_EPOCH": epoch(), "BASE": base, "PACKAGE": package.name}
            arguments = [part for name, value in values.items() for part in ("--build-arg", f"{name}={value}")]
            arguments += ["--tag", NAME]
            self.run("build", "--quiet", *options, *arguments, "--file", HERE / "Containerfile", folder)
        return NAME


def own_architecture() -> str:
    """Return this processor as Debian names it: an image is built for it alone."""
    return MACHINES[platform.machine()]


def base_archive(path: Path) -> Path:
    """Write a small Debian with Python to an archive, the same bytes for the same packages."""
    options = [part for pattern in TRIMMED for part in ("--dpkgopt", f"path-exclude={pattern}")]
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", *options, f"--include={BASE_PACKAGES}"]
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch())}
    subprocess.run([*command, "--dpkgopt=force-unsafe-io", SUITE, str(path)], check=True, env=environ)
    return path


def build_image(out: Path, package: Path) -> Path:
    """Build the image and write it as an archive, for `docker load` and `podman load`; return the archive."""
    target = out / f"edge-app-{__version__}-{own_architecture()}.docker.tar"
    with tempfile.TemporaryDirectory(prefix="edge-app-image-", dir=out) as folder:
        builder = Builder(Path(folder))
        base = builder.base(base_archive(Path(folder) / "base.tar"))
        pushed = Path(folder) / "pushed.tar"
        builder.run("push", "--quiet", builder.image(package, base), f"docker-archive:{pushed}:edge-app:{__version__}")
        write_archive(pushed, target)
    return target


def write_archive(pushed: Path, target: Path) -> None:
    """Write an archive of buildah's anew, without the random names of the containers that it built in."""
    with tarfile.open(pushed) as source, tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        (manifest,) = json.load(source.extractfile("manifest.json"))  # type: ignore[arg-type]
        settings = json.load(source.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        for name in ("container", "container_config", "parent"):
            settings.pop(name, None)
        settings["config"]["Hostname"] = ""
        content = json.dumps(settings, sort_keys=True).encode()
        manifest["Config"] = f"{hashlib.sha256(content).hexdigest()}.json"
        for layer in manifest["Layers"]:
            archive.addfile(source.getmember(layer), source.extractfile(layer))
        for name, data in ((manifest["Config"], content), ("manifest.json", json.dumps([manifest]).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


if __name__ == "__main__":
    print(build_image(Path(sys.argv[2]), Path(sys.argv[1])))
