"""Root takes the account of a folder's owner before it works in that folder.

Whoever owns a folder can replace any name in it by a link while root works there by path. As the owner, root reaches no
more through such a link than the owner does. Only the right to read (CAP_DAC_READ_SEARCH) is kept: for pictures in the
caller's home, and for this program where only root can read it.
"""

import ctypes
import json
import os
import pwd
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge_app import errors
from edge_app.errors import EdgeAppError, InputError
from edge_app.files import foreign_owner

PR_SET_KEEPCAPS = 8
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_READ_SEARCH = 1 << 2
OF_ROOT = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME")


def become_owner(folder: Path) -> str | None:
    """As root, take the account of the owner of `folder` for good; return its name, None if nothing changed.

    The owner is that of the first component of the path that is not root's: it decides what the rest of the path
    names. Nothing changes for another user, nor where all of the path is root's. Raises InputError when the system
    does not allow it.
    """
    if os.geteuid() != 0:
        return None
    found = foreign_owner(folder)
    if found is None:
        return None
    name, group, groups = _account(found.st_uid, found.st_gid)
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        # capabilities are dropped with root's user id unless this is set
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # groups first: after the user id has changed they may not be set any more
        os.setgroups(groups)
        os.setresgid(group, group, group)
        # all three ids: with the saved one, root could be taken back
        os.setresuid(found.st_uid, found.st_uid, found.st_uid)
    except OSError as error:
        raise InputError(
            f"{folder} belongs to {name}, and root cannot take that account here ({error.strerror}): run it as {name}"
        ) from error
    _keep_reading(libc)
    return name


def as_owner(folder: Path, work: Callable[[], int]) -> int:
    """Return the result of `work`, done in the account that `become_owner` takes, while this process stays root.

    For work whose result goes to a place of root's. Raises what `work` raises, if it is an EdgeAppError.
    """
    if os.geteuid() != 0 or foreign_owner(folder) is None:
        return work()
    reader, writer = os.pipe()
    # a child, because an account that was taken cannot be given back
    child = os.fork()
    if child == 0:
        os.close(reader)
        _tell(writer, folder, work)
    # otherwise the pipe would never end for the reader
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read(1 << 16)
    os.waitpid(child, 0)
    if not answer:
        raise InputError(f"the process that worked in {folder} was killed")
    kind, value = json.loads(answer)
    if kind == "done":
        return int(value)
    raise getattr(errors, kind, EdgeAppError)(value)


def _tell(writer: int, folder: Path, work: Callable[[], int]) -> None:
    """Do the work in the child and write its outcome; never returns."""
    status = 1
    try:
        become_owner(folder)
        answer: list[object] = ["done", work()]
        status = 0
    except EdgeAppError as error:
        answer = [type(error).__name__, str(error)]
    except BaseException as error:  # noqa: BLE001 the parent reports it
        answer = ["EdgeAppError", repr(error)]
    os.write(writer, json.dumps(answer).encode()[: 1 << 16])
    # not sys.exit: the child must not run the parent's clean-up
    os._exit(status)


def _account(uid: int, gid: int) -> tuple[str, int, list[int]]:
    """Return name, group and groups of an account, and set the variables that name its home instead of root's."""
    for variable in OF_ROOT:
        # they name folders of root's, which the owner may not write
        os.environ.pop(variable, None)
    with suppress(KeyError):
        account = pwd.getpwuid(uid)
        os.environ.update(HOME=account.pw_dir, USER=account.pw_name, LOGNAME=account.pw_name)
        return account.pw_name, account.pw_gid, os.getgrouplist(account.pw_name, account.pw_gid)
    os.environ.update(HOME="/", USER=str(uid), LOGNAME=str(uid))
    return f"the account {uid}", gid, [gid]


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _keep_reading(libc: ctypes.CDLL) -> None:
    """Drop all capabilities but that to read; a container that never had it keeps none."""
    header = _Header(CAPABILITY_VERSION_3, 0)
    for kept in (CAP_DAC_READ_SEARCH, 0):
        # two sets of 32 bits each in version 3 of the call
        data = (_Data * 2)(_Data(kept, kept, 0), _Data(0, 0, 0))
        if libc.capset(ctypes.byref(header), data) == 0:
            return
    raise InputError("root's capabilities cannot be given up here: run it as the folder's owner")
