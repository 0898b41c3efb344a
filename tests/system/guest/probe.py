"""Tries what a program in the service's place might try, and prints what came of each: done, or the error's name.

usage: probe.py PID CHIP, the service's process and a GPIO chip.
"""

import ctypes
import errno
import json
import mmap
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH = 16
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
OUTSIDE = ("192.0.2.7", 9)
"""An address behind an interface that exists, and that nobody allowed; RFC 5737."""


def _call(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write(path: str) -> None:
    file = Path(path) / "edge-app-probe"
    file.write_text("x")
    file.unlink()


def _open(path: str, flags: int = os.O_RDWR) -> None:
    os.close(os.open(path, flags))


def _send(kind: int, address: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, kind) as found:
        found.sendto(b"x", address)


def _open_socket(family: int, kind: int, protocol: int = 0) -> None:
    socket.socket(family, kind, protocol).close()


def _trace() -> None:
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    try:
        _call(LIBC.ptrace(PTRACE_ATTACH, child, None, None))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _in_child(call: Callable[[], object]) -> None:
    """Do what changes a process for good in a child."""
    child = os.fork()
    if child == 0:
        status = 0
        try:
            call()
        except OSError as error:
            status = error.errno or 255
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise OSError(status, os.strerror(status))


def _set_user_id() -> None:
    file = Path("/var/lib/edge-app/edge-app-probe")
    file.touch()
    try:
        file.chmod(0o4755)
    finally:
        file.unlink()


def _see(path: str) -> None:
    if not os.listdir(path):
        raise OSError(errno.ENOENT, "empty")


def _device_node() -> None:
    path = "/var/lib/edge-app/edge-app-node"
    os.mknod(path, 0o600 | 0o060000, os.makedev(254, 0))
    os.unlink(path)


def _memory_that_runs() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _signal(pid: int) -> None:
    os.kill(pid, 0)


def attempts(pid: int, chip: str) -> dict[str, Callable[[], object]]:
    """Return what is tried, by name."""
    places = ("/etc", "/usr/bin", "/opt/edge-app", "/var/lib", "/boot", "/root", "/home")
    return {
        **{f"write {place}": lambda place=place: _write(place) for place in places},
        "see what is in /root": lambda: _see("/root"),
        "see other users' processes": lambda: os.stat("/proc/1/status"),
        "signal the first process": lambda: _signal(1),
        "open /dev/mem": lambda: _open("/dev/mem", os.O_RDONLY),
        "open /dev/kmsg": lambda: _open("/dev/kmsg", os.O_RDONLY),
        "open the disk": lambda: _open("/dev/vda", os.O_RDONLY),
        "open the host's line": lambda: _open("/dev/ttyS1", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY),
        "make a device node": _device_node,
        "make a set-user-id file": _set_user_id,
        "send a datagram into the network": lambda: _send(socket.SOCK_DGRAM, OUTSIDE),
        "open a raw socket": lambda: _open_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "open a packet socket": lambda: _open_socket(socket.AF_PACKET, socket.SOCK_RAW),
        "trace a process": _trace,
        "make a user namespace": lambda: _in_child(lambda: _call(LIBC.unshare(CLONE_NEWUSER))),
        "make a mount namespace": lambda: _in_child(lambda: _call(LIBC.unshare(CLONE_NEWNS))),
        "mount": lambda: _in_child(
            lambda: _call(LIBC.mount(b"none", b"/mnt", b"tmpfs", 0, None)) or LIBC.umount(b"/mnt")
        ),
        "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
        "set the host's name": lambda: socket.sethostname(socket.gethostname()),
        "become root": lambda: _in_child(lambda: os.setuid(0)),
        "run with real-time priority": lambda: _in_child(
            lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        ),
        "change a kernel setting": lambda: _open("/proc/sys/kernel/printk", os.O_WRONLY),
        "change a control group": lambda: _open("/sys/fs/cgroup/cgroup.subtree_control", os.O_WRONLY),
        "change a device through sysfs": lambda: _open("/sys/bus/platform/drivers/vivid/unbind", os.O_WRONLY),
        "needed: write the state": lambda: _write("/var/lib/edge-app"),
        "needed: write the cache": lambda: _write("/var/cache/edge-app"),
        "needed: write /tmp": lambda: _write("/tmp"),
        "needed: open the camera": lambda: _open("/dev/video0"),
        "needed: open the chip": lambda: _open(chip),
        "needed: read the processor's features": lambda: _open("/proc/cpuinfo", os.O_RDONLY),
        "needed: run compiled memory": _memory_that_runs,
        "needed: send a datagram to this machine": lambda: _send(socket.SOCK_DGRAM, ("127.0.0.1", 9)),
        "needed: talk to the service manager": lambda: _open_socket(socket.AF_UNIX, socket.SOCK_DGRAM),
        "needed: signal oneself": lambda: _signal(os.getpid()),
    }


def main() -> None:
    """Try all, print one line of JSON."""
    answers = {}
    for name, attempt in attempts(int(sys.argv[1]), sys.argv[2]).items():
        try:
            attempt()
            answers[name] = "done"
        except OSError as error:
            answers[name] = errno.errorcode.get(error.errno or 0, str(error))
        except ValueError as error:
            answers[name] = str(error)
    print("PROBE", json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
