"""From an empty Debian to a decision by the image: built by buildah, run as its user on a read-only root."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from edge_app.config import load_config
from release import image
from support import chroot as roots
from support.builds import Builds
from support.service_process import serving

CONTAINER = roots.REPOSITORY / "release" / "container"
USER = "10001:10001"

READ_ONLY = """
set -e
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
mount -t tmpfs tmpfs "$1/tmp"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind "$2" "$1/var/lib/edge-app"
mount --bind "$3" "$1/var/cache/edge-app"
root=$1
shift 3
exec /usr/sbin/chroot --userspec=10001:10001 "$root" "$@"
"""
"""What an engine does with `read_only: true`, two volumes and a tmpfs, in a mount namespace of its own."""


def test_compose_and_containerfile_agree() -> None:
    camera = yaml.safe_load((CONTAINER / "compose.yaml").read_text())["services"]["camera"]
    text = (CONTAINER / "Containerfile").read_text()
    assert camera["image"] == image.NAME.removeprefix("localhost/")
    assert camera["read_only"]
    assert camera["cap_drop"] == ["ALL"]
    assert camera["ports"] == ["127.0.0.1:8765:8765"]
    for volume in camera["volumes"]:
        assert f'"{volume.partition(":")[2]}"' in text
    assert f"USER {USER}" in text
    assert f"CMD {json.dumps(camera['healthcheck']['test'][1:])}" in text
    assert load_config(CONTAINER / "config.toml", {}).web.host == "0.0.0.0"


@pytest.fixture
def built(way_in: None, suite: str, packages: Builds, tmp_path: Path) -> Iterator[tuple[image.Builder, Path]]:
    """The image's builder and its root file system, mounted."""
    if suite != image.SUITE:
        pytest.skip(f"the image is made of {image.SUITE}")
    if shutil.which("buildah") is None:
        pytest.skip("needs buildah")
    builder = image.Builder(tmp_path)
    name = builder.image(packages.now, builder.base(image.base_archive(tmp_path / "base.tar")))
    container = builder.run("from", "--pull-never", name)
    try:
        yield builder, Path(builder.run("mount", container))
    finally:
        builder.run("umount", "--all")
        builder.run("rm", "--all")
        subprocess.run(["umount", str(tmp_path / "storage" / "overlay")], check=False)


@pytest.mark.slow
def test_it_runs_without_rights_on_a_read_only_root(
    built: tuple[image.Builder, Path], photographs: dict[str, Path], tmp_path: Path
) -> None:
    builder, root = built
    settings = json.loads(builder.run("inspect", "--type", "image", image.NAME))["Docker"]["config"]
    assert settings["User"] == USER
    assert settings["Healthcheck"]["Test"] == ["CMD", "edge-app", "status"]
    volumes = [tmp_path / "state", tmp_path / "cache"]
    for volume in volumes:
        volume.mkdir()
        shutil.chown(volume, 10001, 10001)
    for name, picture in photographs.items():
        shutil.copy(picture, volumes[0] / f"{name}.png")
    environ = dict(entry.split("=", 1) for entry in settings["Env"])
    inside = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(root), *map(str, volumes)]
    transcript = roots.Chroot(root)

    def app(*arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [*inside, "edge-app", *arguments], env=environ, capture_output=True, text=True, check=False, timeout=300
        )
        told = re.sub(r"(?m)^edge-\S{40,}$", "(a token)", done.stdout)
        transcript.transcript.append(f"$ edge-app {' '.join(arguments)}\n{told}{done.stderr}".rstrip())
        assert done.returncode == status, transcript.transcript[-1]
        return done.stdout

    for name in photographs:
        app("teach", name, f"/var/lib/edge-app/{name}.png")
    decisions = app("classify", *(f"/var/lib/edge-app/{name}.png" for name in photographs))
    assert re.findall(r"/(\w+)\.png +(\w+)", decisions) == [(name, name) for name in photographs]
    token = app("token", "make", "view").split()[-1]
    config = (CONTAINER / "config.toml").read_text().replace("[web]\n", "[web]\nport = 0\n")
    (volumes[0] / "config.toml").write_text(config)
    with serving([*inside, "edge-app", "run", "--config", "/var/lib/edge-app/config.toml"], environ=environ) as url:
        port = url.rstrip("/").rpartition(":")[2]
        address = f"http://127.0.0.1:{port}"
        assert "cat     1 examples" in app("status", "--url", address), "what the healthcheck asks"
        request = urllib.request.Request(f"{address}/api/v1/state", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["classes"] == ["cup", "cat"]
    size = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_symlink() and path.is_file())
    transcript.transcript.append(f"(files of the image: {size / 1e6:.0f} MB)")
    transcript.write_transcript("image")
