"""The command line: parses arguments, runs one command, and is the only place that exits the process."""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from edge_app import __version__
from edge_app.commands.state_options import take_account
from edge_app.errors import EdgeAppError

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
    "undo",
    "relabel",
    "forget",
    "rename",
    "merge",
    "export",
    "import_",
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

STAY_ROOT = ("install-service", "export")
"""Commands that write to a place of root's, and take the owner's account themselves where they read his folder."""

LIVE = "edge_app.app"
"""The module that the live device alone imports."""

EPILOG = """\
exit status:
  0  done
  1  an error that edge-app can explain, none of those below
  2  wrong usage, or bad input
  3  encoder model not found, altered, or not the one that the state was taught with
  4  a library that the action needs is not installed
  5  stored state is damaged
  6  another process holds the state folder
  7  the state folder cannot be written
  8  a device (camera, buttons, lights) cannot be used
  9  the camera stopped working and could not be mended
  10  a part of the running program failed; the line before says which
  130  interrupted

examples:
  edge-app demo
  edge-app teach --state ~/things mug mug1.jpg mug2.jpg
  edge-app classify --state ~/things what-is-this.jpg
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; imports no command's libraries."""
    parser = argparse.ArgumentParser(
        prog="edge-app",
        description="A camera that learns: hold something up, press a button, and the device knows it from then on.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edge-app {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"edge_app.commands.{name}")
        module.add_parser(subparsers).set_defaults(run=module.run)
    return parser


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; errors are printed to stderr, never as a traceback."""
    args = build_parser().parse_args(argv)
    try:
        _leave_root(args)
        status: int = args.run(args)
    except EdgeAppError as error:
        print(f"edge-app {args.command}: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away (`| head`): the interpreter must not complain about it at exit
        return 0
    return status


def _leave_root(args: argparse.Namespace) -> None:
    """Have root work as the owner of the state folder, and of the folder of compiled kernels, which it would run."""
    if os.geteuid() != 0 or args.command in STAY_ROOT:
        return
    for folder in (getattr(args, "state", None), os.environ.get("NUMBA_CACHE_DIR")):
        if folder:
            take_account(args.command, Path(folder))


def _leave_at_once(status: int) -> NoReturn:
    """End the process without Python's farewell; all that matters is closed by now.

    Taking the live device's libraries apart costs a small board seconds of a stop; and a stage that hangs in native
    code, and comes back meanwhile, aborts the process.
    """
    with contextlib.suppress(OSError, ValueError):  # a reader that went away
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
