"""Shell completion for bash and zsh, written from the command line's parsers by shtab.

`python -m release.completion bash FILE` writes it.
"""

import argparse
import sys
from pathlib import Path

import shtab

from edge_app.cli import build_parser
from release.man_page import commands

SHELLS = ("bash", "zsh")
FOLDERS = ("DIR", "FOLDER")


def completion(shell: str) -> str:
    """Return the script for a shell of SHELLS. Arguments that are paths complete to files or folders."""
    parser = build_parser()
    for one in (parser, *commands(parser).values()):
        for action in one._actions:
            if action.type is Path or action.metavar in ("FILE", *FOLDERS):
                _complete(action)
    return shtab.complete(parser, shell=shell)


def _complete(action: argparse.Action) -> None:
    action.complete = shtab.DIRECTORY if action.metavar in FOLDERS else shtab.FILE  # type: ignore[attr-defined]


def main() -> None:
    """Write a script."""
    shell, file = sys.argv[1:]
    Path(file).write_text(completion(shell), encoding="utf-8")


if __name__ == "__main__":
    main()
