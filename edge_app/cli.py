"""The command line: parses arguments and runs one command. Only this module exits the process."""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from edge_app.commands.state_options import enter_group, take_account
from edge_app.errors import EdgeAppError
from edge_app.text import PrintableStream
from edge_app.version import full_version

COMMANDS = (
    "demo",
    "run",
    "check_config",
    "install_service",
    "status",
    "watch",
    "token",
    "teach",
    "classify",
    "examples",
    "history",
    "undo",
    "relabel",
    "forget",
    "rename",
    "merge",
    "export",
    "import_",
    "groups",
    "backup",
    "restore",
    "rebuild",
    "consolidate",
    "recover",
    "evaluate",
    "bench",
    "models",
    "spikes",
    "warmup",
    "info",
    "doctor",
)
"""Modules of edge_app.commands, in the order of the help text."""

STAY_ROOT = ("install-service", "export", "backup", "restore")
"""Commands that write to a place of root's, and take the owner's account themselves where they read his folder."""

LIVE = "edge_app.app"
"""Imported by the live device only."""

EPILOG = """\
exit status:
  0  done
  1  any other error that edge-app can explain
  2  wrong usage, or invalid input
  3  encoder model not found, altered, or not the one that the state was taught with
  4  a required library is not installed
  5  the stored state is damaged
  6  another process holds the state folder
  7  the state folder cannot be written
  8  a device (camera, buttons, lights) cannot be opened
  9  the camera stopped delivering usable frames
  10  a part of the running program failed; the line above names it
  130  interrupted

examples:
  edge-app demo
  edge-app teach --state ~/things mug mug1.jpg mug2.jpg
  edge-app classify --state ~/things what-is-this.jpg
"""


class CommandParser(argparse.ArgumentParser):
    """A parser whose epilog is printed as it stands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, **options})


class PrintVersion(argparse.Action):
    """Prints the version, with the commit, which is looked for only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:  # noqa: A002
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print, and end with status 0."""
        print(f"edge-app {full_version()}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands. Imports none of their libraries."""
    parser = CommandParser(
        prog="edge-app",
        description="A camera that learns: hold something up, press a button, and the device knows it from then on.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action=PrintVersion, help="print version and commit, and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    # every command's module, of which none imports its libraries at the top: --help must be quick
    for name in COMMANDS:
        module = importlib.import_module(f"edge_app.commands.{name}")
        module.add_parser(subparsers).set_defaults(run=module.run)
    return parser


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. Errors are printed to stderr, without a traceback."""
    args = build_parser().parse_args(argv)
    if args.command != "demo":  # which writes colours
        _write_safely()
    try:
        # before the command reads or writes anything below these folders
        _leave_root(args)
        enter_group(args)
        status: int = args.run(args)
    except EdgeAppError as error:
        print(f"edge-app {args.command}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        # 128 + SIGINT, as shells have it
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader is gone (`| head`): keeps the interpreter from complaining at exit
        return 0
    return status


def _write_safely() -> None:
    """Let nothing that is printed command the terminal: names of files and texts of other devices are among it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, PrintableStream(stream))


def _leave_root(args: argparse.Namespace) -> None:
    """Have root work as the owner of the state folder, and of the folder of compiled kernels, which it would run."""
    if os.geteuid() != 0 or args.command in STAY_ROOT:
        return
    for folder in (getattr(args, "state", None), os.environ.get("NUMBA_CACHE_DIR")):
        if folder:
            take_account(args.command, Path(folder))


def _leave_at_once(status: int) -> NoReturn:
    """End the process without Python's clean-up; everything that matters is closed by now.

    On a small board the clean-up of the live device's libraries takes seconds; and a stage that hangs in native code
    and returns during it aborts the process.
    """
    with contextlib.suppress(OSError, ValueError):  # the reader is gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def main() -> None:
    """Entry point of the console script."""
    status = run()
    if LIVE in sys.modules:
        _leave_at_once(status)
    sys.exit(status)


if __name__ == "__main__":
    main()
