"""`edge-app check-config`: whether a configuration file is right."""

import argparse
import os
from pathlib import Path

EPILOG = """\
Nothing is opened: what the file names (camera, model, folder) may still be missing on this machine.

examples:
  edge-app check-config /etc/edge-app/config.toml
  edge-app check-config --show my.toml
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "check-config",
        help="check a configuration file",
        description="Read a configuration file as `edge-app run` does, and say what is wrong with it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--show", action="store_true", help="print all values, the defaults too, as TOML")
    parser.add_argument("file", metavar="FILE", type=Path, help="configuration file")
    return parser


def run(args: argparse.Namespace) -> int:
    """Check the file; 0, or InputError."""
    from edge_app.config import load_config

    config = load_config(args.file, os.environ)
    if args.show:
        import tomli_w

        print(tomli_w.dumps(config.to_table()), end="")
    else:
        print(f"{args.file}: right")
    return 0
