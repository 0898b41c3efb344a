"""The distribution's own kernel, an initrd that finds the root disk, and gpio-sim, which no Debian 12 kernel has."""

import shutil
import subprocess
from pathlib import Path

from virtual_device.modules import Modules
from virtual_device.packages import download, run, unpack, versions

ROOT_MODULES = ("crc32c_generic", "virtio_pci", "virtio_blk", "ext4")
"""The drivers needed to mount the root disk."""
GUEST_MODULES = (*ROOT_MODULES, "virtio_rng", "vivid", "configfs", "autofs4", "dummy")

INIT = """\
#!/bin/busybox sh
b=/bin/busybox; $b mount -t proc none /proc; $b mount -t devtmpfs none /dev
while read m; do $b insmod /m/$m || echo "insmod $m failed"; done < /m/order
i=0; while [ ! -b /dev/vda ] && [ $i -lt 300 ]; do $b sleep 0.1; i=$((i+1)); done
$b mount -t ext4 -o rw,noatime /dev/vda /r || exec $b poweroff -f
$b umount /proc; $b mount --move /dev /r/dev; exec $b switch_root /r /sbin/init
"""


def packages_of(version: str) -> list[str]:
    """Return the packages that the layer is made of, for a kernel version such as 6.1.0-50-amd64."""
    series = ".".join(version.split(".")[:2])
    common = version.removesuffix("-amd64") + "-common"
    names = [f"linux-image-{version}", f"linux-headers-{version}", f"linux-headers-{common}"]
    return [*names, f"linux-kbuild-{series}", f"linux-source-{series}", "busybox-static"]


def parts(version: str) -> list[str | Path]:
    """Return what the layer depends on."""
    return [version, versions(packages_of(version)), Path(__file__), Path(__file__).with_name("modules.py")]


def build(folder: Path, version: str) -> None:
    """Fill the layer: vmlinuz, initrd.cpio, and root/ with the modules for the guest."""
    work = folder / "work"
    work.mkdir()
    packages = {path.name.split("_")[0]: path for path in download(packages_of(version), work)}
    image = work / "image"
    unpack(packages[f"linux-image-{version}"], image)
    modules = Modules(image, version)
    shutil.copy(image / "boot" / f"vmlinuz-{version}", folder / "vmlinuz")
    root = folder / "root"
    modules.copy(GUEST_MODULES, root)
    if "gpio-sim" in modules:
        modules.copy(["gpio-sim"], root)
    else:
        extra = root / "lib" / "modules" / version / "extra"
        extra.mkdir()
        shutil.copy(_gpio_sim(packages, work, version), extra)
    unpack(packages["busybox-static"], work / "busybox")
    busybox = work / "busybox" / "bin" / "busybox"
    _initrd(folder / "initrd.cpio", modules.closure(ROOT_MODULES), busybox, work / "initrd")
    shutil.rmtree(work)


def _gpio_sim(packages: dict[str, Path], work: Path, version: str) -> Path:
    """Build gpio-sim, with the interrupt simulator that it needs, from the source of the same version."""
    headers = work / "headers"
    for name, package in packages.items():
        if name.startswith(("linux-headers-", "linux-kbuild-")):
            unpack(package, headers)
    tree = headers / "usr" / "src" / f"linux-headers-{version}"
    makefile = tree / "Makefile"
    makefile.write_text(makefile.read_text().replace("include /usr/src", f"include {headers}/usr/src"))
    source = work / "gpio-sim"
    source.mkdir()
    _take_source(next(path for name, path in packages.items() if name.startswith("linux-source-")), source)
    (source / "gpio-sim.c").rename(source / "gpio-sim-main.c")
    simulator = source / "irq_sim.c"  # irq_to_desc is not exported to modules
    text = simulator.read_text()
    simulator.write_text(text.replace("handle_simple_irq(irq_to_desc(irqnum));", "generic_handle_irq_safe(irqnum);"))
    (source / "Makefile").write_text("obj-m := gpio-sim.o\ngpio-sim-y := gpio-sim-main.o irq_sim.o\n")
    run(["make", "-s", "-C", tree, f"M={source}", "modules"])
    module = source / "gpio-sim.ko"
    run(["strip", "--strip-debug", module])
    return module


def _take_source(package: Path, target: Path) -> None:
    wanted = ("*/drivers/gpio/gpio-sim.c", "*/drivers/gpio/gpiolib.h", "*/kernel/irq/irq_sim.c")
    archive = run(["dpkg-deb", "--contents", package])
    name = next(line.split()[-1] for line in archive.splitlines() if line.endswith(".tar.xz"))
    patterns = " ".join(f"'{pattern}'" for pattern in wanted)
    script = (
        f"set -o pipefail; dpkg-deb --fsys-tarfile {package} | tar -xO {name} | xz -dc -T0 | "
        f"tar -x -C {target} --strip-components=3 --wildcards {patterns}"
    )
    run(["bash", "-c", script])


def _initrd(target: Path, modules: list[Path], busybox: Path, work: Path) -> None:
    for name in ("bin", "m", "proc", "sys", "dev", "r"):
        (work / name).mkdir(parents=True)
    shutil.copy(busybox, work / "bin" / "busybox")
    for module in modules:
        shutil.copy(module, work / "m")
    (work / "m" / "order").write_text("".join(f"{module.name}\n" for module in modules))
    init = work / "init"
    init.write_text(INIT)
    init.chmod(0o755)
    names = sorted(str(path.relative_to(work)) for path in work.rglob("*"))
    with target.open("wb") as file:
        command = [str(busybox), "cpio", "-o", "-H", "newc", "-R", "0:0"]
        subprocess.run(
            command, cwd=work, input="\n".join(names).encode(), stdout=file, stderr=subprocess.DEVNULL, check=True
        )
