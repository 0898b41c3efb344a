"""The archive of the image: the same bytes whatever container buildah made it in."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from release.image import write_archive

LAYERS = {"first.tar": b"Debian", "second.tar": b"edge-app"}


def pushed(path: Path, container: str) -> Path:
    """Write what buildah pushes, from a container of this name."""
    own: dict[str, Any] = {"Hostname": container, "User": "10001:10001", "Healthcheck": {"Test": ["CMD", "edge-app"]}}
    settings = {"container": container, "container_config": own, "config": own, "parent": f"sha256:{container}"}
    settings["created"] = "2026-11-30T01:17:39Z"
    config = json.dumps(settings).encode()
    manifest = [{"Config": f"{container}.json", "RepoTags": ["edge-app:1"], "Layers": list(LAYERS)}]
    files = {**LAYERS, f"{container}.json": config, "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_the_names_of_containers_leave_no_trace(tmp_path: Path) -> None:
    archives = []
    for container in ("fe6cc481f536", "33796de7f038"):
        write_archive(pushed(tmp_path / "pushed.tar", container), tmp_path / "image.tar")
        archives.append((tmp_path / "image.tar").read_bytes())
    assert archives[0] == archives[1]


def test_layers_and_settings_are_kept(tmp_path: Path) -> None:
    write_archive(pushed(tmp_path / "pushed.tar", "fe6cc481f536"), tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    (manifest,) = json.loads(files["manifest.json"])
    assert manifest["RepoTags"] == ["edge-app:1"]
    assert {name: files[name] for name in manifest["Layers"]} == LAYERS
    assert manifest["Config"] == f"{hashlib.sha256(files[manifest['Config']]).hexdigest()}.json"
    settings = json.loads(files[manifest["Config"]])
    assert settings["created"] == "2026-11-30T01:17:39Z"
    assert settings["config"]["Healthcheck"] == {"Test": ["CMD", "edge-app"]}
