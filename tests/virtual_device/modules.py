"""Kernel modules: which ones a module needs, in the order in which they are loaded."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path


class Modules:
    """The modules below /lib/modules/VERSION of an unpacked kernel package."""

    def __init__(self, root: Path, version: str) -> None:
        self.root = root
        self.base = root / "lib" / "modules" / version
        self._files = {_name(path): path for path in self.base.rglob("*.ko*")}
        builtin = (self.base / "modules.builtin").read_text().splitlines()
        self._builtin = {_name(Path(line)) for line in builtin}

    def __contains__(self, name: str) -> bool:
        return name.replace("-", "_") in self._files

    def closure(self, names: Iterable[str]) -> list[Path]:
        """Return the modules and all that they need, each after what it needs. Raises KeyError for an unknown one."""
        order: list[Path] = []
        for name in names:
            self._add(name, order)
        return order

    def copy(self, names: Iterable[str], target: Path) -> list[Path]:
        """Copy modules with what they need to the same place below another root; return where they are now."""
        copied = []
        for path in self.closure(names):
            place = target / path.relative_to(self.root)
            place.parent.mkdir(parents=True, exist_ok=True)
            copied.append(Path(shutil.copy(path, place)))
        for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            shutil.copy(self.base / name, target / self.base.relative_to(self.root) / name)
        return copied

    def _add(self, name: str, order: list[Path]) -> None:
        key = name.replace("-", "_")
        if key in self._builtin:
            return
        path = self._files.get(key)
        if path is None:
            if key.startswith("crypto_"):  # an algorithm, which one of several modules provides
                return
            raise KeyError(f"the kernel has no module {name}")
        if path in order:
            return
        for needed in _needs(path.read_bytes()):
            self._add(needed, order)
        order.append(path)


def _name(path: Path) -> str:
    return path.name.split(".ko")[0].replace("-", "_")


def _needs(data: bytes) -> list[str]:
    found = [part for text in re.findall(rb"\0depends=([^\0]*)\0", data) for part in text.decode().split(",") if part]
    return found + [part for text in re.findall(rb"\0softdep=pre: ([^\0]*)\0", data) for part in text.decode().split()]
