"""A Debian root file system, in which packages are installed and used; what is run is kept as a transcript."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BASE = ("procps", "python3", "systemd", "udev")
BOOTED = (*BASE, "dbus", "systemd-sysv")
BOOT_S = 120
NOISE = ("INFO: Created TensorFlow", "Selecting previously", "Preparing to unpack", "(Reading database", "debconf: ")
"""Beginnings of lines that say nothing of edge-app."""
BOUND = ("proc", "dev", "sys")


class Chroot:
    """A root file system; `transcript` has every command with its output and seconds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.transcript: list[str] = []

    def run(self, *command: str, user: str = "root", **environ: str) -> str:
        """Run a command without network, and return what it printed. Raises AssertionError if it fails."""
        start = time.monotonic()
        clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [*self.entering(user), *command],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=clean | environ,
            timeout=400,
        )
        prompt = "#" if user == "root" else "$"
        took = f"   [{time.monotonic() - start:.0f} s]"
        self.transcript.append(f"{prompt} {' '.join(command)}{took}\n{done.stdout}".rstrip())
        assert done.returncode == 0, self.transcript[-1]
        return done.stdout

    def entering(self, user: str) -> list[str]:
        """Return the beginning of a command that runs another in the root file system."""
        return ["unshare", "--net", "chroot", f"--userspec={user}", str(self.root)]

    def write_transcript(self, name: str) -> None:
        """Write the transcript to build/ways-in/NAME.txt, and with KEEP=1 into its place in docs/ways-in.md."""
        lines = "\n".join(self.transcript).splitlines()
        text = "\n".join(line for line in lines if not line.startswith(NOISE)) + "\n"
        path = REPOSITORY / "build" / "ways-in" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if os.environ.get("KEEP"):
            page = REPOSITORY / "docs" / "ways-in.md"
            marks = rf"(<!-- {name}, by make test-ways-in KEEP=1 -->\n).*?(<!-- end -->)"
            filled, count = re.subn(
                marks, lambda match: f"{match[1]}```\n{text}```\n{match[2]}", page.read_text(), flags=re.DOTALL
            )
            assert count == 1, f"{page} has lost the marks of {name}"
            page.write_text(filled)


class Booted(Chroot):
    """A root file system with a systemd of its own, in a container without network."""

    def __init__(self, root: Path, init: int) -> None:
        super().__init__(root)
        self._init = init

    def entering(self, user: str) -> list[str]:
        """Return the beginning of a command that runs another in the container; `user` is root, or one of its users."""
        command = ["nsenter", f"--target={self._init}", "--all"]
        return command if user == "root" else [*command, "runuser", f"--user={user}", "--"]


def base_root(suite: str, packages: tuple[str, ...] = BASE) -> Path:
    """Return the folder of a Debian root file system that is kept in .cache; made by mmdebstrap where it is missing."""
    folder = REPOSITORY / ".cache" / "chroot" / "-".join((suite, *packages))
    if not folder.is_dir():
        fresh = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        command = ["mmdebstrap", "-q", "--mode=root", "--variant=minbase", "--dpkgopt=force-unsafe-io"]
        subprocess.run([*command, f"--include={','.join(packages)}", suite, str(fresh)], check=True, timeout=400)
        fresh.rename(folder)
    return folder


@contextmanager
def chroot(suite: str, scratch: Path) -> Iterator[Chroot]:
    """Yield a fresh copy of a root file system with /proc, /dev and /sys in it; unmounted and removed at the end."""
    root = scratch / f"{suite}-root"
    subprocess.run(["cp", "-a", "--reflink=auto", str(base_root(suite)), str(root)], check=True)
    mounted = []
    try:
        for name in BOUND:
            subprocess.run(["mount", "--rbind", f"/{name}", str(root / name)], check=True)
            mounted.append(root / name)
            subprocess.run(["mount", "--make-rslave", str(root / name)], check=True)
        yield Chroot(root)
    finally:
        done = [subprocess.run(["umount", "-R", "-l", path], check=False).returncode for path in reversed(mounted)]
        if not any(done):  # never remove what is still mounted
            shutil.rmtree(root, ignore_errors=True)


@contextmanager
def booted(suite: str, scratch: Path) -> Iterator[Booted]:
    """Boot a fresh copy of a root file system, and yield it when its systemd is ready; removed at the end.

    Skips the test where none can be booted.
    """
    root, address = scratch / f"{suite}-booted", scratch / "ready"
    subprocess.run(["cp", "-a", "--reflink=auto", str(base_root(suite, BOOTED)), str(root)], check=True)
    # --register, --keep-unit: this machine may have no systemd; --notify-ready: READY=1 when the one inside is up
    command = ["systemd-nspawn", "--quiet", f"--directory={root}", "--boot", "--private-network", "--notify-ready=yes"]
    command += ["--register=no", "--keep-unit", "--console=pipe"]
    log = scratch / "boot.log"
    with log.open("wb") as output, closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(address))
        manager.settimeout(BOOT_S)
        environ = os.environ | {"NOTIFY_SOCKET": str(address)}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environ)
        try:
            try:
                while b"READY=1" not in manager.recv(4096).split(b"\n"):
                    pass
            except TimeoutError:
                # before anything of edge-app is in it: a machine that allows no such containers
                told = log.read_text(errors="replace")[-500:]
                pytest.skip(f"no systemd can be booted here; systemd-nspawn said: {told}")
            # nobody reads it any more: a full socket would stop systemd-nspawn, and all that is in it
            manager.close()
            init = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
            yield Booted(root, int(init))
        finally:
            # an orderly shutdown of the container
            process.terminate()
            try:
                process.wait(BOOT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(root, ignore_errors=True)


def missing() -> str | None:
    """Return what this machine lacks for a root file system, None if nothing."""
    if os.geteuid() != 0:
        return "needs root"
    lacking = [name for name in ("mmdebstrap", "dpkg-deb") if shutil.which(name) is None]
    return f"needs {', '.join(lacking)}" if lacking else None
