"""The machine of a measurement: processor, board, versions, memory. Linux only; unreadable values are None."""

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "numpy",
    "numba",
    "llvmlite",
    "opencv-python-headless",
    "pillow",
    "ai-edge-litert",
    "tflite-runtime",
    "scikit-learn",
    "matplotlib",
)
CPUINFO = Path("/proc/cpuinfo")
BOARD = Path("/proc/device-tree/model")
STATUS = Path("/proc/self/status")
IMPLEMENTERS = {"0x41": "ARM", "0x4e": "NVIDIA", "0x61": "Apple", "0xc0": "Ampere"}
ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd42": "Cortex-A78AE",
    "0xd4f": "Neoverse-V2",
}


SIMD = (
    *("sse4_1", "avx", "avx2", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8"),
    *("asimd", "asimddp", "i8mm", "sve", "sve2", "sme", "sme2"),
)
"""Vector extensions by which numerical libraries choose their kernels, named as in /proc/cpuinfo."""


def describe() -> dict[str, Any]:
    """Return JSON values: `cpu`, `simd`, `cores`, `memory_mb`, `board`, `system`, `python`, `packages`."""
    return {
        "cpu": cpu_name(),
        "simd": simd(),
        # those that this process may use: a container may have fewer than the machine
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20),
        "board": board(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the installed `PACKAGES`."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu_name() -> str:
    """Return the processor's name: as x86 kernels report it, or from the part number of ARM kernels."""
    try:
        text = CPUINFO.read_text(encoding="ascii", errors="replace")
    except OSError:
        return platform.machine()
    fields = dict(re.findall(r"^([^\n:]*?)\s*:[ \t]*(.*)$", text, re.MULTILINE))
    # kernels for ARM have no such line
    if fields.get("model name"):
        return str(fields["model name"])
    part, maker = fields.get("CPU part", ""), fields.get("CPU implementer", "")
    if part:
        return f"{IMPLEMENTERS.get(maker, maker)} {ARM_PARTS.get(part, part)}"
    return platform.machine()


def simd() -> tuple[str, ...]:
    """Return the processor's extensions among `SIMD`; empty if the kernel does not report them."""
    try:
        text = CPUINFO.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return tuple(name for name in SIMD if name in found.group(1).split()) if found else ()


def board() -> str | None:
    """Return the board's name from its device tree ("Raspberry Pi 5 Model B Rev 1.0"); None on a PC."""
    try:
        return BOARD.read_bytes().rstrip(b"\0").decode("utf-8", "replace") or None
    except OSError:
        return None


def memory_mb() -> dict[str, float | None]:
    """Return this process's resident memory, current and highest, {"rss", "peak"} in MB (2^20 bytes)."""
    try:
        text = STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return {"rss": None, "peak": None}
    found = {key: int(value) / 1024 for key, value in re.findall(r"^(VmRSS|VmHWM):\s*(\d+) kB", text, re.MULTILINE)}
    return {"rss": found.get("VmRSS"), "peak": found.get("VmHWM")}
