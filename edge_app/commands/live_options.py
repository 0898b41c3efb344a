"""Shared by commands that connect to a running service."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_app.client import DeviceClient


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """Add --url, --place, --token-file and --ca."""
    parser.add_argument(
        "--url",
        metavar="URL",
        default=os.environ.get("EDGE_APP_URL"),
        help="address of the service (default: $EDGE_APP_URL, else http://127.0.0.1:8765)",
    )
    parser.add_argument(
        "--place", metavar="NAME", help="place of a service with several (default: the first of [[places]])"
    )
    parser.add_argument(
        # a file, not the token: other users of the machine see the arguments of processes
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file that holds a token (default: $EDGE_APP_TOKEN)",
    )
    parser.add_argument(
        "--ca", type=Path, metavar="FILE", help="certificate to trust, for a service with a self-signed certificate"
    )


def open_device(args: argparse.Namespace) -> "DeviceClient":
    """Return the client of the service that `args` name. Raises InputError."""
    from edge_app.client import URL, DeviceClient, read_token

    return DeviceClient(args.url or URL, read_token(args.token_file), args.ca, args.place)
