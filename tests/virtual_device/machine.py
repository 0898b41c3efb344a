"""One boot of the virtual device: QEMU, its disks, and the line on which the guest tells what it does."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

Event = dict[str, Any]

PATIENCE_S = 900.0
"""The longest silence of a guest; a loaded machine makes an emulated one slow."""


class GuestSilent(Exception):
    """The guest said nothing for too long, or QEMU ended."""


class Qemu(NamedTuple):
    """The program QEMU, its options and its environment."""

    program: str
    options: tuple[str, ...]
    environ: Mapping[str, str]
    accelerator: str = "tcg,thread=multi,tb-size=512"

    @classmethod
    def found(cls, tools: Path | None, accelerator: str | None = None) -> Self:
        """Return the system's own QEMU, or the one that was unpacked into `tools`."""
        chosen = {"accelerator": accelerator} if accelerator else {}
        if tools is None:
            return cls("qemu-system-x86_64", (), {}, **chosen)
        libraries = ":".join(str(tools / part) for part in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"))
        firmware = ("-L", str(tools / "usr/share/qemu"), "-L", str(tools / "usr/share/seabios"))
        return cls(str(tools / "usr/bin/qemu-system-x86_64"), firmware, {"LD_LIBRARY_PATH": libraries}, **chosen)


class Disk(NamedTuple):
    """A disk of the guest, /dev/disk/by-id/virtio-NAME; the first one is /dev/vda."""

    name: str
    path: Path
    mode: str = "write"
    """write, read, scratch (written, and forgotten at the end), or logged (each write in a log beside it)."""

    @property
    def log(self) -> Path:
        """Return the file that a logged disk's writes are in."""
        return self.path.with_suffix(".log")

    def options(self) -> list[str]:
        """Return QEMU's options."""
        device = ["-device", f"virtio-blk-pci,drive={self.name},serial={self.name}"]
        if self.mode == "logged":
            with self.log.open("wb") as file:
                file.truncate(1 << 30)  # a hole: what is written takes room
            nodes = [
                f"driver=file,node-name={self.name}-file,filename={self.path}",
                f"driver=file,node-name={self.name}-log,filename={self.log}",
                f"driver=blklogwrites,node-name={self.name},file={self.name}-file,log={self.name}-log,"
                "log-super-update-interval=1",
            ]
            return [*(part for node in nodes for part in ("-blockdev", node)), *device]
        extra = {"write": "", "read": ",read-only=on", "scratch": ",snapshot=on"}[self.mode]
        return ["-drive", f"if=none,id={self.name},file={self.path},format=raw{extra}", *device]


class Machine:
    """A running guest. A context manager, which pulls the plug at its end."""

    def __init__(
        self, qemu: Qemu, kernel: Path, disks: list[Disk], plan: str, folder: Path, *, restored: Path | None = None
    ) -> None:
        """Switch it on; `folder`, new, takes its console and sockets, `restored` is the memory of an earlier pause."""
        folder.mkdir(parents=True)
        self.console = folder / "console.log"
        self._control = folder / "qmp"
        line = folder / "line"
        command = [
            qemu.program, *qemu.options, "-M", "q35", "-accel", qemu.accelerator, "-cpu", "max", "-smp", "2",
            "-m", "1280", "-nodefaults", "-nic", "none", "-display", "none", "-no-reboot",
            "-kernel", str(kernel / "vmlinuz"), "-initrd", str(kernel / "initrd.cpio"), "-append",
            f"console=ttyS0 root=/dev/vda rw quiet mitigations=off panic=-1 oops=panic edge_app.plan={plan}",
            *(part for disk in disks for part in disk.options()), "-device", "virtio-rng-pci",
            "-serial", f"file:{self.console}", "-chardev", f"socket,id=line,path={line},server=on,wait=off",
            "-serial", "chardev:line", "-qmp", f"unix:{self._control},server=on,wait=off",
            *(["-incoming", f"exec:cat {restored}"] if restored else []),
        ]  # fmt: skip
        self._log = (folder / "qemu.log").open("wb")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**qemu.environ, "PATH": "/usr/bin:/bin"},
        )
        self.started = time.monotonic()
        self._line = self._connected(line)
        self._buffer = b""

    def events(self) -> Iterator[Event]:
        """Yield what the guest tells, until QEMU ends. Raises GuestSilent."""
        while True:
            yield from self._heard()
            data = self._receive(PATIENCE_S)
            if data is None:
                raise GuestSilent(f"the guest said nothing for {PATIENCE_S:g} s; {self._last_words()}")
            if not data:
                return
            self._buffer += data

    def events_until(self, end: float) -> Iterator[Event]:
        """Yield what the guest tells until a time of time.monotonic()."""
        while (left_s := end - time.monotonic()) > 0:
            yield from self._heard()
            self._buffer += self._receive(left_s) or b""

    def _heard(self) -> Iterator[Event]:
        while b"\n" in self._buffer:
            text, self._buffer = self._buffer.split(b"\n", 1)
            with suppress(ValueError):  # firmware may write to the line too
                event = json.loads(text)
                if isinstance(event, dict):
                    yield event

    def _receive(self, timeout_s: float) -> bytes | None:
        """Return what came, nothing at the end; None when nothing came in time."""
        self._line.settimeout(max(timeout_s, 0.001))
        try:
            return self._line.recv(65536)
        except TimeoutError:
            return None
        except ConnectionError:
            return b""

    def resume(self) -> None:
        """Let a restored guest go on, once its memory is read."""
        with self._connected(self._control) as control, control.makefile("rw", encoding="utf-8") as file:
            file.readline()
            self._command(file, "qmp_capabilities")
            while self._command(file, "query-status")["status"] == "inmigrate":
                time.sleep(0.05)
            self._command(file, "cont")

    def tell(self, text: str) -> None:
        """Send the guest a line."""
        self._line.sendall(text.encode() + b"\n")

    def suspend(self, memory: Path) -> None:
        """Write the guest's memory to a file, and switch it off; its disks are as they were then."""
        with self._connected(self._control) as control, control.makefile("rw", encoding="utf-8") as file:
            file.readline()
            self._command(file, "qmp_capabilities")
            self._command(file, "stop")
            self._command(file, "migrate-set-parameters", {"max-bandwidth": 1 << 40})
            self._command(file, "migrate", {"uri": f"exec:cat > {memory}"})
            while True:
                state = self._command(file, "query-migrate").get("status")
                if state == "completed":
                    break
                if state in ("failed", "cancelled"):
                    raise GuestSilent(f"QEMU could not write the guest's memory: {state}; {self._last_words()}")
                time.sleep(0.1)
            self._command(file, "quit")
        self.process.wait(60)

    def cut(self) -> None:
        """Pull the plug."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        """Do nothing more."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch it off."""
        self.cut()
        self._line.close()
        self._log.close()

    def _connected(self, path: Path) -> socket.socket:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        for _ in range(600):
            with suppress(FileNotFoundError, ConnectionRefusedError):
                found.connect(str(path))
                return found
            if self.process.poll() is not None:
                raise GuestSilent(f"QEMU ended with status {self.process.returncode}; {self._last_words()}")
            time.sleep(0.05)
        raise GuestSilent(f"QEMU opens no {path}")

    def _command(self, file: Any, name: str, arguments: Mapping[str, object] | None = None) -> dict[str, Any]:
        file.write(json.dumps({"execute": name, "arguments": arguments or {}}) + "\n")
        file.flush()
        for line in file:
            answer: dict[str, Any] = json.loads(line)
            if "error" in answer:
                raise GuestSilent(f"QEMU refuses {name}: {answer['error']}")
            if "return" in answer:
                return dict(answer["return"])
        return {}

    def _last_words(self) -> str:
        self._log.flush()
        words = Path(self._log.name).read_text(errors="replace")[-2000:]
        console = self.console.read_text(errors="replace")[-3000:] if self.console.exists() else ""
        return f"QEMU said: {words or 'nothing'}; its console: {console or 'empty'}"
