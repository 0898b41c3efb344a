"""Replace a file in one step: another program, and a power cut, see the old content or the new, never half of it.

A folder is opened once, and what happens in it goes through its descriptor; a symbolic link in a file's place is never
followed. So nobody who may write the folder can turn the write towards another file.
"""

import codecs
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edge_app.errors import InputError

PRIVATE = 0o600
"""Mode of a file that only its owner reads."""
GROUP_READABLE, GROUP_FOLDER = 0o640, 0o750
"""Modes of a file and of a folder that the owner's group reads too: of what was taught, for `classify` and backups."""
READABLE = 0o644
"""Mode of a file that other accounts read too: models for the service's account, units for systemd."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
DRAFT_END = ".part"
# flock has no timeout: it is tried again and again
LOCK_POLL_S = 0.02
MAX_LINKS = 40
"""Links on the way of one path, as the kernel allows."""


def expanded(path: str | Path) -> Path:
    """Return a path with its "~" or "~NAME" replaced by the home folder. Raises InputError when there is none."""
    try:
        found = Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path}: there is no such account, or it has no home folder; give the whole path") from error
    if found != Path(path):
        home = Path(Path(path).parts[0]).expanduser()
        if not home.is_dir():
            raise InputError(f"{path}: the home folder {home} does not exist; give the whole path")
    return found


def write_atomically(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """Replace the file at `path` by `content`. Raises OSError; then the old file is unchanged."""
    with replacing(path, mode=mode) as file:
        file.write(content)


def read_text(path: Path) -> str:
    """Return the text of a file that people edit: UTF-8, with or without a byte order mark.

    Raises OSError, and ValueError for another encoding.
    """
    content = path.read_bytes()
    # editors on Windows save so: decoding would fail with a message about byte 0xff
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("it is encoded as UTF-16: save it as UTF-8")
    return content.decode("utf-8-sig")


@contextmanager
def replacing(path: Path, *, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """Yield a file to write to; it takes the place of `path` when the body ends without an error.

    The file has exactly `mode`, whatever the umask, and is durable when this returns. Root writes for the owner of the
    folder. Raises OSError; then the old file is unchanged.
    """
    folder = open_folder(path.parent)
    try:
        # first: on a full disk they may take the room that is needed
        _remove_abandoned(folder, path.name)
        draft, descriptor = _new_draft(folder, path.name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _hand_to_owner(descriptor, folder, path.name)
                with suppress(PermissionError):  # FAT has no modes
                    os.fchmod(descriptor, mode)
                yield file
                file.flush()
                # before the rename: otherwise a power cut may leave the name with an empty file
                os.fsync(descriptor)
                # while the draft is open, and so locked: nobody takes it for abandoned
                os.rename(draft, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft, dir_fd=folder)
            raise
        # the name is content of the folder
        os.fsync(folder)
    finally:
        os.close(folder)


def open_folder(path: Path) -> int:
    """Return a descriptor of the folder at `path`, for the `dir_fd` of other calls. Raises OSError.

    Root opens every component by itself, and raises PermissionError for a link where another account could have put
    it: that account could point it anywhere.
    """
    if os.geteuid() != 0:
        # as a user links do no harm: they reach what the user may reach anyway
        return os.open(path, _FOLDER & ~os.O_NOFOLLOW)
    owners: set[int] = set()

    def check(found: os.stat_result) -> None:
        owners.add(found.st_uid)
        if stat.S_ISLNK(found.st_mode) and owners != {0}:
            raise PermissionError(errno.EPERM, "root does not follow a link that another account can change", str(path))

    return _walk(path, check)


def foreign_owner(path: Path) -> os.stat_result | None:
    """Return the first component of `path`, from the root, that is not owned by root; None: there is none.

    Its owner decides what `path` names. A component that is missing ends the search.
    """
    found_first: list[os.stat_result] = []

    def check(found: os.stat_result) -> None:
        if found.st_uid != 0:
            found_first.append(found)
            raise NotADirectoryError  # look no further

    with suppress(FileNotFoundError, NotADirectoryError):
        os.close(_walk(path, check))
    return found_first[0] if found_first else None


def _walk(path: Path, check: Callable[[os.stat_result], None]) -> int:
    """Open the components of `path` one after the other; return the descriptor of the last one, a folder.

    `check` is called with each component, also with links, before it is entered; it may raise.
    """
    # not resolve(): it would follow links without a look at who owns them
    names = list(path.absolute().parts[1:])
    folder, links = os.open("/", _FOLDER), 0
    try:
        while names:
            name = names.pop(0)
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            check(found)
            start, inner = folder, name
            if stat.S_ISLNK(found.st_mode):
                links += 1
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
                target = Path(os.readlink(name, dir_fd=folder))
                inner = "/" if target.is_absolute() else "."
                # what the link names comes before the rest of the path
                names[:0] = [part for part in target.parts if part != "/"]
            folder = os.open(inner, _FOLDER, dir_fd=start)
            os.close(start)
    except BaseException:
        os.close(folder)
        raise
    return folder


def sync_folder(path: Path) -> None:
    """Make renames and new names in the folder at `path` survive a power cut. Raises OSError."""
    descriptor = open_folder(path)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path, wait_s: float = 5.0) -> Iterator[None]:
    """Keep other programs that lock the same folder out: for a file that is read, changed and written back.

    The lock is flock(2) on the folder itself, so that there is no lock file to delete. Raises TimeoutError when it
    cannot be had within `wait_s`, and OSError.
    """
    descriptor = open_folder(folder)
    try:
        end = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise TimeoutError(f"{folder} has been locked by another program for {wait_s:g} s") from None
                time.sleep(LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read. Raises OSError, also for a symbolic link, a folder, a pipe or a device."""
    # O_NONBLOCK: opening a named pipe would wait for a writer
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file


def open_to_read(path: str | Path) -> BinaryIO:
    """Open a file that somebody named, or one that a link leads to; a named pipe is refused, not waited for.

    Raises InputError, naming it, also for a folder, a pipe or a device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a zero byte in the path
        raise InputError(f"{str(path)!r} is not a path: {error}") from error
    # after opening: between a check of the path and opening it, the file could be exchanged
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        way_out = "" if stat.S_ISDIR(mode) else ": save the content to one first"
        raise InputError(f"{path} is a {_kind(mode)}, expected a file{way_out}")
    return os.fdopen(descriptor, "rb")


def append_line(path: Path, line: bytes, *, mode: int) -> None:
    """Append a line to a regular file, which is made with `mode` where it is missing: all of it, or nothing.

    Raises OSError, also for a pipe or a device.
    """
    # O_NONBLOCK: opening a named pipe would wait for a reader
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        # one write: lines of several programs do not mix
        if os.write(descriptor, line) < len(line):
            os.ftruncate(descriptor, found.st_size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(descriptor)


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "folder"),
        (stat.S_ISFIFO, "named pipe"),
        (stat.S_ISSOCK, "socket"),
        (stat.S_ISCHR, "device"),
        (stat.S_ISBLK, "device"),
    ):
        if test(mode):
            return name
    return "special file"


def _new_draft(folder: int, name: str) -> tuple[str, int]:
    """Create a locked file for the next content of `name`; return its name and descriptor.

    The lock tells a draft that is being written from one whose writer was killed (`_remove_abandoned`).
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        draft = f".{name}.{secrets.token_hex(4)}{DRAFT_END}"
        descriptor = os.open(draft, flags, PRIVATE, dir_fd=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)  # another writer took it for abandoned, and removes it
            continue
        except OSError:  # a file system without locks: no draft is removed there
            return draft, descriptor
        if os.fstat(descriptor).st_nlink:
            return draft, descriptor
        os.close(descriptor)  # removed between its creation and the lock


def _remove_abandoned(folder: int, name: str) -> None:
    """Remove the drafts of `name` that killed writers left."""
    for entry in os.listdir(folder):
        if not (entry.startswith(f".{name}.") and entry.endswith(DRAFT_END)):
            continue
        with suppress(OSError):
            descriptor = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            try:
                # fails for a draft that is being written: its writer holds the lock
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(entry, dir_fd=folder)
            finally:
                os.close(descriptor)


def _hand_to_owner(descriptor: int, folder: int, name: str) -> None:
    """Give a file that root created to the owner of its folder, whose programs have to replace it later.

    In a folder of root's own, which nobody else can change, the owner of the file that is replaced keeps it.
    """
    if os.geteuid() != 0:
        return
    owner = os.fstat(folder)
    if owner.st_uid == 0:
        with suppress(FileNotFoundError):
            owner = os.stat(name, dir_fd=folder, follow_symlinks=False)
    os.fchown(descriptor, owner.st_uid, owner.st_gid)
