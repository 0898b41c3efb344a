"""Files replaced in one step: whole or unchanged, private, owned by the folder's owner, and never through a link."""

import fcntl
import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_app import files
from edge_app.errors import InputError
from edge_app.files import append_line, locked, open_regular, open_to_read, read_text, replacing, write_atomically

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change owners")
NOBODY = 65534


class FullDisk(io.FileIO):
    """A file that takes half of what is written to it."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w")

    def write(self, data: bytes) -> int:  # type: ignore[override]
        super().write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_has_the_mode_that_was_asked_for_whatever_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o666)
    with umask(mask):
        write_atomically(path, b"new", mode=mode)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == mode
    assert os.listdir(tmp_path) == ["file"]


def test_the_draft_is_private_from_its_creation(tmp_path: Path) -> None:
    with umask(0), replacing(tmp_path / "file", mode=0o600) as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("step", ["write", "fchmod", "fsync", "rename"])
def test_a_write_that_fails_at_any_step_leaves_the_old_file_and_no_draft(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if step == "write":
        monkeypatch.setattr(os, "fdopen", lambda descriptor, _: FullDisk(descriptor))
    else:
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_file_and_folder_are_synced_around_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, os.rename

    def noted_sync(descriptor: int) -> None:
        steps.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        sync(descriptor)

    def noted_rename(*names: str, **where: int) -> None:
        steps.append("rename")
        rename(*names, **where)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "rename", noted_rename)
    write_atomically(tmp_path / "file", b"new")
    assert steps == ["file", "rename", "folder"]


def test_drafts_of_killed_writers_go_with_the_next_write_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "file"
    code = "import sys, time; from pathlib import Path; from edge_app.files import replacing\n"
    code += "with replacing(Path(sys.argv[1])) as file: print('open', flush=True); sys.stdin.read()"
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
    assert len(os.listdir(tmp_path)) == 2
    writers[0].send_signal(signal.SIGKILL)
    writers[0].wait()
    (tmp_path / ".other.abc.part").write_bytes(b"of another file")
    write_atomically(path, b"new")
    assert len(os.listdir(tmp_path)) == 3
    assert writers[1].communicate()[0] == b""
    assert writers[1].returncode == 0
    assert sorted(os.listdir(tmp_path)) == [".other.abc.part", "file"]
    for writer in writers:
        writer.stdin and writer.stdin.close()
        writer.stdout and writer.stdout.close()


def test_a_draft_that_is_taken_for_abandoned_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, calls = fcntl.flock, []

    def late(descriptor: int, how: int) -> None:
        if not calls:  # another writer cleans up first
            calls.append(descriptor)
            folder = files.open_folder(tmp_path)
            files._remove_abandoned(folder, "file")
            os.close(folder)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    write_atomically(tmp_path / "file", b"new")
    assert calls
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_link_in_the_place_of_the_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    link = tmp_path / "file"
    link.symlink_to(victim)
    write_atomically(link, b"new")
    assert victim.read_bytes() == b"untouched"
    assert not link.is_symlink()


@ROOT_ONLY
def test_root_writes_for_the_owner_of_the_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    write_atomically(tmp_path / "file", b"new")
    found = (tmp_path / "file").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (NOBODY, NOBODY, 0o600)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "missing"])
def test_only_a_regular_file_is_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "link":
        (tmp_path / "target").write_bytes(b"x")
        path.symlink_to("target")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(OSError, match=r"regular|links|No such|directory"):
        open_regular(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere", "cannot be read: No such file"),
        ("folder", "is a folder, expected a file"),
        ("pipe", "is a named pipe, expected a file"),
        ("a" * 300, "cannot be read: File name too long"),
        ("a\0b", "is not a path: .*null"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_reason(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=reason):
        open_to_read(tmp_path / name)


def test_a_file_is_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    with open_to_read(tmp_path / "link") as file:
        assert file.read() == b"content"


def test_writers_of_a_folder_take_turns(tmp_path: Path) -> None:
    """Each of eight processes adds its numbers to one file; none is lost."""
    path = tmp_path / "numbers"
    write_atomically(path, b"")
    code = """
import sys
from pathlib import Path
from edge_app.files import append_line, locked, write_atomically
path = Path(sys.argv[1])
for number in range(25):
    with locked(path.parent, 60):
        write_atomically(path, path.read_bytes() + b"%d\\n" % number)
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(8)]
    assert [writer.wait(60) for writer in writers] == [0] * 8
    numbers = [int(line) for line in path.read_text().split()]
    assert sorted(numbers) == sorted(list(range(25)) * 8)
    assert os.listdir(tmp_path) == ["numbers"]


def test_a_lock_that_cannot_be_had_is_given_up(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(TimeoutError, match="locked by another program"), locked(tmp_path, 0.0):
        pass


def test_text_is_utf_8_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "text"
    for content in (b"caf\xc3\xa9\n", b"\xef\xbb\xbfcaf\xc3\xa9\n"):
        path.write_bytes(content)
        assert read_text(path) == "caf\u00e9\n"
    path.write_bytes("caf\u00e9".encode("utf-16"))
    with pytest.raises(ValueError, match="encoded as UTF-16: save it as UTF-8"):
        read_text(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match="utf-8"):
        read_text(path)


def test_a_line_is_appended_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "log"
    append_line(path, b"first\n", mode=0o640)
    append_line(path, b"second\n", mode=0o600)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"first\nsecond\n", 0o640)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 4, hard))  # room for half of it
    try:
        with pytest.raises(OSError, match="No space left"):
            append_line(path, b"the third\n", mode=0o640)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"first\nsecond\n"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="not a regular file"):
        append_line(tmp_path / "pipe", b"x\n", mode=0o640)
    os.close(reader)
