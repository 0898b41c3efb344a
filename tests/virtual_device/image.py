"""The guest's root file system: Debian with systemd, and an environment with what edge-app needs, but not edge-app."""

import os
import shutil
from pathlib import Path

from virtual_device.packages import run
from virtual_device.wheels import TEST_TOOLS, requirements

GUEST_PACKAGES = (
    *("systemd", "systemd-sysv", "udev", "kmod", "python3", "python3-venv", "e2fsprogs", "iproute2"),
    "procps",  # a dependency of the Debian package
)
SIZE = "1700M"
OFFLINE = {"PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "PIP_NO_INDEX": "1"}
QUIET = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "e2scrub_reap.service"),
    *("dpkg-db-backup.timer", "fstrim.timer", "serial-getty@ttyS0.service", "getty-static.service", "getty.target"),
    *("systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "modprobe@fuse.service"),
    *("sys-fs-fuse-connections.mount", "systemd-networkd-wait-online.service"),
)
"""Units that a device for tests has no use for, and that take time."""

FSTAB = """\
/dev/vda / ext4 rw,noatime 0 1
/dev/disk/by-id/virtio-material /opt/material ext4 ro 0 0
/dev/disk/by-id/virtio-state /var/lib/edge-app ext4 rw,noatime 0 0
"""

AGENT = """\
[Unit]
Description=Scenarios of the virtual device
RequiresMountsFor=/opt/material
Wants=systemd-udev-settle.service
After=multi-user.target systemd-udev-settle.service
[Service]
ExecStart=/usr/bin/python3 -B -u /opt/material/guest/agent.py
ExecStopPost=/usr/bin/systemctl --no-block poweroff
StandardOutput=journal+console
StandardError=journal+console
Environment=PYTHONDONTWRITEBYTECODE=1
[Install]
WantedBy=graphical.target
"""

DEVICES = """\
[Unit]
Description=The camera and the lines that are soldered to the virtual device
DefaultDependencies=no
RequiresMountsFor=/opt/material
Before=basic.target systemd-udev-settle.service
After=systemd-udevd.service sys-kernel-config.mount
Wants=sys-kernel-config.mount
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/python3 -B /opt/material/guest/devices.py
[Install]
WantedBy=basic.target
"""

EMERGENCY = "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/systemctl -ff poweroff\n"
"""A guest that does not come up ends at once."""


def build_root(folder: Path, kernel: Path, wheelhouse: Path, mmdebstrap: str) -> None:
    """Fill the layer: root.img."""
    root = folder / "root"
    run([
        mmdebstrap, "-q", "--mode=root", "--variant=minbase", "--dpkgopt=force-unsafe-io",
        f"--include={','.join(GUEST_PACKAGES)}", suite(), root, *_sources(),
    ])  # fmt: skip
    _environment(root, wheelhouse)
    shutil.copytree(kernel / "root", root, dirs_exist_ok=True)
    version = next((kernel / "root" / "lib" / "modules").iterdir()).name
    run(["chroot", root, "/sbin/depmod", version])
    _configure(root)
    for name in ("doc", "man", "locale"):
        shutil.rmtree(root / "usr" / "share" / name, ignore_errors=True)
    shutil.rmtree(root / "var" / "cache" / "apt", ignore_errors=True)
    make_disk(folder / "root.img", SIZE, root)
    shutil.rmtree(root)


def make_disk(path: Path, size: str, content: Path | None = None) -> None:
    """Make an ext4 file system with a folder's content in a file."""
    path.unlink(missing_ok=True)
    run(["mke2fs", "-q", "-t", "ext4", "-m", "0", *(["-d", content] if content else []), path, size])


def suite() -> str:
    """Return the release of Debian that this machine and the guest have, such as bookworm."""
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return "stable"


def _sources() -> list[str]:
    """Return where this machine's own packages come from: the first package source that apt has."""
    listed = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]).splitlines()
    return listed[:1]


def _environment(root: Path, wheelhouse: Path) -> None:
    """Make /opt/edge-app with all that edge-app needs, and /opt/test-tools; by pip, from the wheelhouse alone."""
    place = root / "tmp" / "wheels"
    shutil.copytree(wheelhouse, place)
    pip = ["-q", "--disable-pip-version-check", "--no-index", "--find-links", "/tmp/wheels"]
    environ = {key: "" for key in os.environ if key.startswith("PIP_")} | OFFLINE
    run(["chroot", root, "/usr/bin/python3", "-m", "venv", "/opt/edge-app"])
    run(["chroot", root, "/opt/edge-app/bin/pip", "install", *pip, *requirements()], environ=environ)
    target = ["--target", "/opt/test-tools"]
    run(["chroot", root, "/opt/edge-app/bin/pip", "install", *pip, *target, *TEST_TOOLS], environ=environ)
    shutil.rmtree(place)


def _configure(root: Path) -> None:
    (root / "etc" / "machine-id").write_text("")
    (root / "etc" / "hostname").write_text("virtual-device\n")
    (root / "etc" / "fstab").write_text(FSTAB)
    for folder in ("opt/material", "var/lib/edge-app"):
        (root / folder).mkdir(parents=True)
    units = root / "etc" / "systemd" / "system"
    for name, text in (("scenarios", AGENT), ("devices", DEVICES), ("emergency", EMERGENCY)):
        (units / f"{name}.service").write_text(text)
    run(["chroot", root, "systemctl", "-q", "enable", "scenarios.service", "devices.service"])
    run(["chroot", root, "systemctl", "-q", "set-default", "graphical.target"])
    for unit in QUIET:
        run(["chroot", root, "systemctl", "-q", "mask", unit])
