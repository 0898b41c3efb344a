"""A child process that delivers bytes on its standard output, and its last words when it fails."""

import contextlib
import os
import selectors
import subprocess
from collections.abc import Sequence

SYSTEM_PYTHON = "/usr/bin/python3"
"""Runs the helpers of cameras whose libraries belong to the system's Python."""
STOP_S = 1.0
"""Seconds between SIGTERM and SIGKILL."""
WORDS = 2000
"""How much of its standard error is kept, in bytes."""


class Child:
    """A running child. Its standard input is a pipe that closes when this process ends, however it ends."""

    def __init__(self, command: Sequence[str], *, keep: Sequence[int] = ()) -> None:
        """Start `command`; it inherits the file descriptors `keep`. Raises OSError when it cannot be started."""
        self._process = subprocess.Popen(  # noqa: S603  words of the configuration, no shell
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # unbuffered: bytes that a buffer held back would hide from the selector
            bufsize=0,
            pass_fds=keep,
            process_group=0,  # a Ctrl-C on the terminal is for the program, which then ends its children in order
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out = self._process.stdout.fileno()
        self._err = self._process.stderr.fileno()
        self._words = b""
        self._selector = selectors.DefaultSelector()
        for descriptor in (self._out, self._err):
            # a selector may report a pipe that then has nothing to read
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """Return the process's number."""
        return self._process.pid

    def read_into(self, buffer: memoryview, timeout_s: float) -> int | None:
        """Put what has come into `buffer`; return how many bytes, or None when nothing came in time.

        Raises EOFError when the child has closed its output.
        """
        ready = [key.fd for key, _ in self._selector.select(timeout_s)]
        # also read while waiting for frames: a child blocks when its pipe of error messages is full
        if self._err in ready and not self._listen():
            self._selector.unregister(self._err)
        if self._out not in ready:
            # something came, though no frame: the child is alive
            return 0 if ready else None
        count = os.readv(self._out, [buffer])
        if not count:
            raise EOFError
        return count

    def _listen(self) -> bytes:
        data = os.read(self._err, WORDS)
        # the end says why it failed
        self._words = (self._words + data)[-WORDS:]
        return data

    def last_words(self) -> list[str]:
        """Return the last lines of its standard error, waiting a moment for a child that is about to end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        with contextlib.suppress(BlockingIOError):
            while self._listen():
                pass
        return [line.strip() for line in self._words.decode(errors="replace").splitlines() if line.strip()]

    def ask_to_end(self) -> None:
        """Send SIGTERM; safe from any thread, and after the end."""
        self._process.terminate()

    def close(self) -> None:
        """End the child, by force if need be, and release the pipes."""
        self._process.terminate()
        try:
            # SIGTERM first: the child can release the camera
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
