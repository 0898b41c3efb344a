"""Child processes: what they deliver, what they say when they fail, how they end."""

import os
import sys
import time

import pytest

from edge_app.devices.child import Child


def python(code: str) -> Child:
    return Child([sys.executable, "-c", code])


def read(child: Child, count: int) -> bytes:
    buffer = bytearray(count)
    filled = 0
    for _ in range(1000):
        filled += child.read_into(memoryview(buffer)[filled:], 1.0) or 0
        if filled == count:
            return bytes(buffer)
    raise AssertionError(f"{filled} of {count} bytes")


def test_bytes_come_whole_and_silence_is_none() -> None:
    child = python("import sys, time; sys.stdout.buffer.write(b'x' * 300000); sys.stdout.flush(); time.sleep(60)")
    assert read(child, 300000) == b"x" * 300000
    assert child.read_into(memoryview(bytearray(8)), 0.05) is None
    child.close()


def test_the_end_is_told_with_the_last_words() -> None:
    child = python("import sys; sys.stderr.write('much\\n' * 5000 + 'the reason\\n'); sys.exit(3)")
    with pytest.raises(EOFError):
        read(child, 1)
    assert child.last_words()[-1] == "the reason"
    assert len("".join(child.last_words())) <= 2000
    child.close()


def test_a_child_that_talks_without_end_does_not_fill_its_pipe() -> None:
    child = python("import sys; sys.stderr.write('warning\\n' * 20000); sys.stdout.write('ok'); sys.stdout.flush()")
    assert read(child, 2) == b"ok"
    child.close()


def test_one_that_will_not_end_is_killed() -> None:
    child = python("import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(60)")
    assert read(child, 3) == b"on\n"
    start = time.monotonic()
    child.close()
    assert time.monotonic() - start < 5.0
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_its_input_ends_when_it_is_closed() -> None:
    child = python("import sys; print('on', flush=True); sys.stdin.read(); print('end', flush=True)")
    assert read(child, 3) == b"on\n"
    child._process.stdin.close()
    assert read(child, 4) == b"end\n"
    child.close()
    child.ask_to_end()


def test_a_program_that_is_not_there_is_an_oserror() -> None:
    with pytest.raises(OSError, match="no-such-program"):
        Child(["/no-such-program"])
