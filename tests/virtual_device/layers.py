"""A cache of what takes long to build, each layer in a folder that is named after the digest of what it depends on."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from virtual_device import REPOSITORY

KEPT = 2
"""Versions of a layer that are kept."""


def default_folder() -> Path:
    """Return the cache's folder: $EDGE_APP_VM_CACHE, or .cache/virtual-device in the checkout."""
    return Path(os.environ.get("EDGE_APP_VM_CACHE") or REPOSITORY / ".cache" / "virtual-device").absolute()


def digest(parts: Iterable[str | bytes | Path]) -> str:
    """Return the digest of texts, bytes, and the contents of files."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:16]


class Cache:
    """The layers in a folder."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self.folder = folder
        self._tell = tell
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs from building at the same time."""
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def layer(self, name: str, parts: Iterable[str | bytes | Path], build: Callable[[Path], None]) -> Path:
        """Return the folder of a layer, built by `build` into an empty folder where it is not there; all or nothing."""
        target = self.folder / f"{name}-{digest(parts)}"
        if target.is_dir():
            os.utime(target)
            self._tell(f"{name}: kept")
            return target
        self._tell(f"{name}: building")
        fresh = target.with_name(f"{target.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        build(fresh)
        os.utime(fresh)  # whatever was unpacked may have set it back by years
        fresh.rename(target)
        self._forget_old(name)
        return target

    def _forget_old(self, name: str) -> None:
        layers = [path for path in self.folder.glob(f"{name}-*") if path.is_dir()]
        for path in sorted(layers, key=lambda path: path.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(path)
