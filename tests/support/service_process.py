"""Runs `edge-app run` in a process of its own, with a simulated camera and the real encoder and classifier."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

READY_S = 180
"""The longest that a device may take to its first decision, kernels compiled included."""


@contextmanager
def running(
    folder: Path, *, camera: str = "sim:scene=shapes,fps=15", config: str = "", pids: list[int] | None = None
) -> Iterator[str]:
    """Run `edge-app run` with its page on a free port; yield the page's address. Its process id is added to `pids`."""
    file = folder / "config.toml"
    file.write_text(f"[web]\nenabled = true\nport = 0\n{config}")
    (folder / "state").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "edge_app", "run", "--config", str(file), "--state", str(folder / "state")]
    with serving([*command, "--camera", camera, "--buttons", "sim:"], pids=pids) as url:
        yield url


@contextmanager
def serving(
    command: Sequence[str | Path], *, pids: list[int] | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run a command that is `edge-app run` with a page; yield the page's address once the device decides."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ)
    assert process.stderr is not None
    if pids is not None:
        pids.append(process.pid)
    lines: list[str] = []
    url: list[str] = []
    ready = threading.Event()

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            found = re.search(r"page url=(\S+)", line)
            url.extend(found.groups() if found else ())
            if url and " ready" in line:
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert ready.wait(READY_S), "".join(lines)
        assert url, "".join(lines)
        yield url[0]
        assert process.poll() is None, "".join(lines)
    finally:
        process.terminate()
        try:
            status = process.wait(20)
        finally:
            process.kill()
            process.wait()
            reader.join(10)
            process.stderr.close()
    assert status == 0, "".join(lines)
    assert not [line for line in lines if "Traceback" in line], "".join(lines)


def make_token(folder: Path, role: str) -> str:
    """Make a token with the command, for a program that runs in `folder`."""
    command = [sys.executable, "-m", "edge_app", "token", "make", role, "--state", str(folder / "state")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
