"""The state folders of a device's groups of places.

STATE                   what one group has learnt; of a device without [[places]], the only one
STATE/groups/NAME       what another group has learnt
STATE/group.json        the name of the group in STATE itself

A state of a device without [[places]] belongs to the first group that is configured later.
"""

import json
import logging
import shlex
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from edge_app.checks import Table, checked
from edge_app.config.places import MAIN_GROUP
from edge_app.config.values import SECTION_NAME
from edge_app.errors import EdgeAppError, InputError, StateCorrupt
from edge_app.files import GROUP_FOLDER, write_atomically
from edge_app.storage.errors import os_errors
from edge_app.storage.folder import FolderLock, database_path
from edge_app.storage.restore import STATE
from edge_app.storage.store import Store
from edge_app.text import DIFFER_IN_FORM, alike, composed

FOLDER, REMOVED, NAME_FILE = "groups", "removed-groups", "group.json"


def group_folders(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Return the state folder of each group of [[places]], and remember which is in `folder` itself."""
    here, below = name_of(folder), _folders_below(folder)
    if here not in names:
        # nobody has claimed what lies there: the first group does, unless it has a folder of its own
        claims = names[0] not in below and (here is None or not database_path(folder).is_file())
        if claims:
            here = names[0]
            _remember(folder, here)
    check_groups(folder, names)
    return {name: folder if name == here else below.get(name, folder / FOLDER / name) for name in names}


def check_groups(folder: Path, names: Iterable[str]) -> None:
    """Raise InputError for a new group whose name differs only in form from that of a stored one."""
    known = stored_groups(folder)
    for name in names:
        if name not in known and (other := _alike(name, known)) is not None:
            raise InputError(
                f"group {name!r}: what the group {other!r} has learnt is stored, and the names {DIFFER_IN_FORM}: "
                f"name that group, or first `edge-app groups rename --state {folder} {shlex.join([other, name])}`"
            )


def _alike(name: str, known: Iterable[str]) -> str | None:
    return next((other for other in known if alike(other) == alike(name)), None)


def _folders_below(folder: Path) -> dict[str, Path]:
    """Return the folders of groups by their names, whether or not something is stored there."""
    found: dict[str, Path] = {}
    with suppress(OSError):
        for one in (folder / FOLDER).iterdir():
            # a copy from a Mac may have decomposed the name; one that is as it should be counts
            name = composed(one.name)
            if one.is_dir() and (name not in found or name == one.name):
                found[name] = one
    return found


def name_of(folder: Path) -> str | None:
    """Return the name of the group in a state folder itself; None if it has none. Raises StateCorrupt."""
    path = folder / NAME_FILE
    try:
        return Table(json.loads(path.read_bytes())).read("name", SECTION_NAME)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        # not None: the first group that is configured would take over what another one has learnt
        raise StateCorrupt(
            f"{path} has the name of the group in {folder}, and cannot be read ({error}): "
            'write {"name": "NAME"} into it, with the name that the group had'
        ) from error


def groups_below(folder: Path) -> dict[str, Path]:
    """Return the groups with a folder of their own that something is stored of, and their folders."""
    return {name: one for name, one in sorted(_folders_below(folder).items()) if _has_database(one)}


def _has_database(folder: Path) -> bool:
    try:
        return database_path(folder).is_file()
    except OSError:  # a folder of another user: who opens the database learns why not
        return True


def stored_groups(folder: Path) -> dict[str, Path]:
    """Return the groups that something is stored of, in alphabetical order, and the folder of each.

    Raises StateCorrupt if the name of the one in `folder` itself cannot be read; `groups_below` has the others.
    """
    found = groups_below(folder)
    if database_path(folder).is_file():
        found[_name_here(folder, found)] = folder
    return dict(sorted(found.items()))


def _name_here(folder: Path, others: Collection[str]) -> str:
    """Return the name of the group in a state folder itself; without one, a name that no other group has."""
    here = name_of(folder)
    if here is not None:
        return here
    names = (MAIN_GROUP, *(f"{MAIN_GROUP}-{number}" for number in range(2, len(others) + 3)))
    return next(name for name in names if name not in others)


def find_group(folder: Path, name: str) -> Path:
    """Return the state folder of a group that something is stored of. Raises InputError."""
    known, name = stored_groups(folder), composed(name)
    if name not in known:
        raise InputError(f"no group {name!r} in {folder}, expected one of: {', '.join(known) or 'there are none'}")
    return known[name]


def folder_of(folder: Path, name: str) -> Path:
    """Return the state folder of a group, whether or not something is stored there. Raises InputError."""
    known = stored_groups(folder)
    # its name becomes that of a folder
    name = checked("group", name, SECTION_NAME)
    check_groups(folder, [name])
    return known.get(name, folder if name == _name_here(folder, known) else folder / FOLDER / name)


def rename_group(folder: Path, name: str, to: str) -> None:
    """Give a group another name; the device must not run. Raises InputError, StateBusy, StateNotWritable."""
    source, name = find_group(folder, name), composed(name)
    to = checked("group", to, SECTION_NAME)
    target = folder / FOLDER / to
    # another form of its own name is another name
    others = {*_folders_below(folder), *stored_groups(folder)} - ({name} if to != name else set())
    if (other := _alike(to, others)) is not None:
        how = "" if other == to else f", and the names {DIFFER_IN_FORM}"
        raise InputError(f"there is a group {other!r} already{how}: choose another name, or remove that group first")
    lock = FolderLock(source)
    try:
        if source == folder:
            _write_name(folder, to)
        else:
            with os_errors(folder, f"rename the group {name}"):
                source.rename(target)
    finally:
        lock.release()


def remove_group(folder: Path, name: str) -> Path:
    """Move what a group has learnt aside and return where; the device must not run.

    Raises InputError, StateBusy, StateCorrupt, StateNotWritable.
    """
    source = find_group(folder, name)
    number = 1
    while (aside := folder / REMOVED / f"{name}-{number}").exists():
        number += 1
    lock = FolderLock(source)
    try:
        with os_errors(folder, f"remove the group {name}"):
            aside.parent.mkdir(mode=GROUP_FOLDER, exist_ok=True)
            if source != folder:
                source.rename(aside)
                return aside
            # folds the write-ahead log into the database, which then moves with one step
            Store.open(database_path(folder)).close()
            aside.mkdir(mode=GROUP_FOLDER)
            for part in (*STATE, NAME_FILE):
                if (folder / part).exists():
                    (folder / part).rename(aside / part)
    finally:
        lock.release()
    return aside


def _remember(folder: Path, name: str) -> None:
    try:
        _write_name(folder, name)
    except EdgeAppError as error:  # a full disk: it is claimed again at the next start
        logging.getLogger(__name__).warning("%s", error)


def _write_name(folder: Path, name: str) -> None:
    with os_errors(folder, f"write {NAME_FILE}"):
        folder.mkdir(mode=GROUP_FOLDER, parents=True, exist_ok=True)
        write_atomically(folder / NAME_FILE, json.dumps({"name": name}, ensure_ascii=False).encode())
