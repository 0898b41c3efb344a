"""The virtual device from the machine's own package sources, layer by layer, cached."""

import shutil
from pathlib import Path
from typing import NamedTuple

from virtual_device import GUEST, REPOSITORY, image, kernel, packages, wheels
from virtual_device.layers import Cache
from virtual_device.machine import Disk, Qemu

STATE_SIZE = "160M"
"""Of the disk that the state is on: small, so that it is soon full, but the history leaves 64 MB free."""


class Device(NamedTuple):
    """The files to boot from."""

    qemu: Qemu
    kernel: Path
    """Folder with vmlinuz and initrd.cpio."""
    root: Path
    """The root disk; written."""
    state: Path
    """The disk that the state is on; written."""
    material: Path
    """Folder that the guest sees read-only under /opt/material."""

    def disks(self, material: Path, *more: Disk, keep: bool = True) -> list[Disk]:
        """Return the disks of a boot; what is written to them is kept, or not."""
        mode = "write" if keep else "scratch"
        return [
            Disk("root", self.root, mode),
            Disk("material", material, "read"),
            Disk("state", self.state, mode),
            *more,
        ]


def build(cache: Cache, scratch: Path, *, accelerator: str | None = None) -> Device:
    """Return a device with fresh disks in `scratch`. Raises CommandFailed."""
    with cache.locked():
        packages.refresh_lists()
        tools = _tools(cache)
        version = packages.kernel_version()
        kernel_layer = cache.layer("kernel", kernel.parts(version), lambda to: kernel.build(to, version))
        python = wheels.guest_python(packages.versions(["python3"]))
        needed = [python, *wheels.requirements(), *wheels.TEST_TOOLS, *wheels.pins(python), Path(wheels.__file__)]
        wheelhouse = cache.layer("wheels", needed, lambda to: wheels.download(to, python))
        mmdebstrap = shutil.which("mmdebstrap") or f"{tools}/usr/bin/mmdebstrap"
        root_parts = [kernel_layer.name, wheelhouse.name, Path(image.__file__), packages.versions(image.GUEST_PACKAGES)]
        root = cache.layer(
            "root", root_parts, lambda to: image.build_root(to, kernel_layer, wheelhouse / "wheels", mmdebstrap)
        )
        fresh = scratch / "root.img"
        packages.run(["cp", "--sparse=always", root / "root.img", fresh])
    image.make_disk(scratch / "state.img", STATE_SIZE)
    qemu = Qemu.found(None if shutil.which("qemu-system-x86_64") else tools, accelerator)
    return Device(qemu, kernel_layer, fresh, scratch / "state.img", _material(scratch))


def _tools(cache: Cache) -> Path | None:
    """Return the layer of programs that this system lacks; None when it has them all."""
    lacking = [package for program, package in packages.TOOLS.items() if shutil.which(program) is None]
    if not lacking:
        return None
    parts = [packages.versions(lacking), Path(packages.__file__)]
    return cache.layer("tools", parts, lambda to: packages.build_tools(to, lacking))


def _material(scratch: Path) -> Path:
    """Return the folder of what changes with the checkout: the wheel, the guest's programs, the drivers' suites."""
    folder = scratch / "material"
    folder.mkdir()
    wheels.build_own(folder)
    shutil.copytree(GUEST, folder / "guest", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("devices", "support"):
        shutil.copytree(
            REPOSITORY / "tests" / name, folder / "tests" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(REPOSITORY / "tests" / "conftest.py", folder / "tests" / "conftest.py")
    shutil.copy(REPOSITORY / "pyproject.toml", folder / "pyproject.toml")
    return folder
