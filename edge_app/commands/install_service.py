"""`edge-app install-service`: install edge-app as a systemd service."""

import argparse
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edge_app.errors import EdgeAppError, InputError
from edge_app.files import READABLE, open_folder, write_atomically
from edge_app.privileges import become_owner

EPILOG = """\
An existing configuration is kept; running the command again updates the other files. docs/service.md describes the
unit.

examples:
  edge-app install-service --dry-run
  sudo /opt/edge-app/bin/edge-app install-service
"""

USER = "edge-app"
STATE = Path("/var/lib/edge-app")
CACHE = Path("/var/cache/edge-app")
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 hidden from the unit, not written
"""Folders that ProtectHome and PrivateTmp hide from the service."""
TOKENS = "tokens.json"


class InstallFailed(EdgeAppError, OSError):
    """A file could not be written, or a system command failed. install-service may be run again."""


class InstalledFile(NamedTuple):
    """A file to write."""

    source: str
    target: Path
    kept: bool = False
    """An existing file is not replaced."""


# in the order in which they are needed: the user exists before the unit and the rule that name it
FILES = (
    InstalledFile("edge-app.sysusers", Path("/etc/sysusers.d/edge-app.conf")),
    InstalledFile("70-edge-app.rules", Path("/etc/udev/rules.d/70-edge-app.rules")),
    InstalledFile("edge-app.service", Path("/etc/systemd/system/edge-app.service")),
    InstalledFile("config.toml", Path("/etc/edge-app/config.toml"), kept=True),
)
NETWORK = InstalledFile("network.conf", Path("/etc/systemd/system/edge-app.service.d/network.conf"))
JETSON = InstalledFile("jetson.conf", Path("/etc/systemd/system/edge-app.service.d/jetson.conf"))


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "install-service",
        help="install edge-app as a systemd service",
        description="Write user, unit, udev rule and example configuration, and compile the kernels for that user.",
        epilog=EPILOG,
    )
    parser.add_argument("--dry-run", action="store_true", help="print the steps without doing them")
    parser.add_argument(
        "--network", action="store_true", help="let the service use the network (cameras, brokers, browsers)"
    )
    parser.add_argument(
        "--jetson",
        action="store_true",
        help="let the service use a Jetson's CSI camera (the default if the configuration names gst:jetson-csi)",
    )
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="write the files below this folder, and run no commands"
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Install; return 0. Raises EdgeAppError."""
    files = [*FILES, *([NETWORK] if args.network else [])]
    if args.jetson or _jetson_camera(_target(FILES[-1], args.root)):
        files.append(JETSON)
    commands = [] if args.root else _commands()
    if args.dry_run:
        for file in files:
            print(f"write {_target(file, args.root)}{' unless it exists' if file.kept else ''}")
        for command in commands:
            print(f"run   {' '.join(command)}")
        if not args.root:
            print(f"make  {STATE} and {CACHE}, for {USER}")
            print(f"run   {' '.join(_warmup())}, as {USER}")
            print(f"make  a token for the page, shown once, unless {STATE / TOKENS} has one")
        return 0
    if not args.root:
        # the environment, the interpreter that it links to, and the package, which may be a checkout elsewhere
        for place in (Path(sys.prefix), Path(sys.executable).resolve(), Path(__file__).resolve()):
            _check_place(place, os.geteuid())
    for file in files:
        _write(file, args.root)
    if args.root:
        return 0
    # the user first: the folders are given to it
    _run(commands[0])
    _make_folders()
    for command in commands[1:]:
        _run(command)
    # as the service's user: the cache is its own, and root must not run what another account can write
    _run(_warmup(), user=USER)
    # last, because root becomes the service's user for good there
    first_token(STATE)
    print(f"installed; now: edit {FILES[-1].target}, then systemctl enable --now edge-app")
    return 0


def _jetson_camera(config: Path) -> bool:
    """Return whether an existing configuration names a camera for which the unit needs the drop-in."""
    from edge_app.config import load_config
    from edge_app.doctor.software import needs_argus

    if not config.is_file():
        return False
    try:
        cameras = load_config(config, {}).cameras_in_use().values()
        return any(needs_argus(one.uri) for one in cameras)
    except EdgeAppError as error:  # the file is kept, and the service will report the same
        print(f"cannot find the camera in {config}: {error}", file=sys.stderr)
        return False


def first_token(folder: Path) -> None:
    """Make and print the token for the page on other machines, unless there is one."""
    from edge_app.web.tokens import Tokens

    become_owner(folder)
    # an existing token is kept: a second run must not sign out everybody
    tokens = Tokens(folder / TOKENS)
    if not tokens.stored():
        print(f"token for the page and the API, role administer, shown only now: {tokens.make('administer')}")


def unit_text(python: str) -> str:
    """Return the unit for a Python with edge-app. Raises InputError for a path that a unit cannot contain."""
    # in ExecStart= systemd splits at blanks, unquotes, and expands % and $
    if not Path(python).is_absolute() or set(python) & set(" \t\"'\\%$;"):
        raise InputError(
            f"{python!r} cannot stand in a systemd unit: install edge-app under a path without special characters"
        )
    return source_of("edge-app.service").read_text(encoding="utf-8").replace("@PYTHON@", python)


def source_of(name: str) -> Path:
    """Return the path of a shipped file: in the package, or in a checkout beside it. Raises InputError."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "systemd", package.parent / "systemd"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{name} is missing from the installed package: install edge-app again")


def _check_place(place: Path, user: int) -> None:
    """Raise InputError unless the user may install, and the service can read `place`."""
    # the user is an argument so that tests need no root
    if user != 0:
        raise InputError("install-service writes below /etc: run it as root (sudo), or with --dry-run")
    if any(place.is_relative_to(hidden) for hidden in HIDDEN):
        raise InputError(
            f"the service cannot read {place}: install edge-app in /opt/edge-app with the system's Python "
            "(/usr/bin/python3 -m venv /opt/edge-app; /opt/edge-app/bin/pip install SOURCE, a checkout or a wheel of "
            "edge-app), and run install-service from there"
        )


def _target(file: InstalledFile, root: Path | None) -> Path:
    return file.target if root is None else root / file.target.relative_to("/")


def _write(file: InstalledFile, root: Path | None) -> None:
    target = _target(file, root)
    if file.kept and target.exists():
        print(f"kept  {target}")
        return
    text = (
        unit_text(sys.executable)
        if file.source == "edge-app.service"
        else source_of(file.source).read_text(encoding="utf-8")
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, text.encode(), mode=READABLE)
    except OSError as error:
        raise InstallFailed(f"{target} cannot be written: {error.strerror or error}") from error
    print(f"wrote {target}")


def _commands() -> list[list[str]]:
    """Return the commands by which systemd and udev load the files; the first creates the user."""
    found = [["systemd-sysusers", str(FILES[0].target)]]
    if Path("/run/systemd/system").is_dir():  # otherwise this is an image being built
        found += [
            ["udevadm", "control", "--reload"],
            ["udevadm", "trigger", "--subsystem-match=gpio", "--subsystem-match=dma_heap"],
            ["systemctl", "daemon-reload"],
        ]
    return found


def _warmup() -> list[str]:
    return [sys.executable, "-m", "edge_app", "warmup"]


def _make_folders() -> None:
    for folder, mode in ((STATE, 0o750), (CACHE, 0o755)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # by descriptor: the service's user may own the parent, and could put a link in the folder's place meanwhile
            account, descriptor = pwd.getpwnam(USER), open_folder(folder)
            try:
                os.fchown(descriptor, account.pw_uid, account.pw_gid)
                os.fchmod(descriptor, mode)
            finally:
                os.close(descriptor)
        except (OSError, LookupError) as error:
            raise InstallFailed(f"{folder} cannot be made for {USER}: {error}") from error


def _run(command: Sequence[str], user: str | None = None) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise InstallFailed(f"{command[0]} is not installed: this needs systemd")
    # as in the unit, so that the service finds the kernels that are compiled here
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(CACHE), "HOME": str(STATE)} if user else None
    # without a list the child would keep root's supplementary groups
    groups: Sequence[str] | None = [] if user else None
    print(f"run   {' '.join(command)}{f', as {user}' if user else ''}", flush=True)
    try:
        done = subprocess.run(  # noqa: S603 the programs are named above
            # "/" because the user may not enter root's current folder
            [program, *command[1:]],
            check=False,
            env=environ,
            user=user,
            group=user,
            extra_groups=groups,
            cwd="/",
        )
    except OSError as error:  # for example, the user may not run this Python
        raise InstallFailed(f"{' '.join(command)} cannot be run by {user or 'root'}: {error.strerror}") from error
    if done.returncode:
        raise InstallFailed(f"{' '.join(command)} failed with status {done.returncode}; its message is above")
