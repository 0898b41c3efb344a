"""Programs that the machine needs which builds and runs a virtual device, and how to install them."""

import os
import platform
import shutil
import sys

PROGRAMS = {
    "apt-get": "a Debian or Ubuntu system: the kernel and the guest come from its own package sources",
    "gcc": "apt-get install gcc",
    "make": "apt-get install make",
    "mke2fs": "apt-get install e2fsprogs",
    "xz": "apt-get install xz-utils",
}
"""Program -> where it comes from. QEMU and mmdebstrap are unpacked into the cache where they are missing."""

SKIPPED = 77
"""The exit status of a run that could not take place; as with automake."""


def missing() -> list[str]:
    """Return what is missing, each with the way to get it; empty when all is there."""
    found = []
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        found.append(f"an x86-64 Linux system (this is {sys.platform} on {platform.machine()})")
    elif os.geteuid() != 0:
        found.append("root, to make the guest's file system with its owners and devices: sudo make test-system")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found += [f"{name}: {source}" for name, source in PROGRAMS.items() if shutil.which(name, path=path) is None]
    return found
