"""`edge-app token`: who may reach a device from outside, and do what."""

import argparse
import os
import time
from pathlib import Path

from edge_app.commands.state_options import take_account
from edge_app.errors import InputError
from edge_app.roles import ROLES

EPILOG = """\
A token is for a role: view (look), teach (teach, relabel, undo) or administer (all). It is shown once: the device keeps
only its SHA-256. A new one takes the place of the old one at once, and signs its browsers out; the service need not be
restarted.

examples:
  sudo edge-app token make teach
  edge-app token show --state ~/things
  edge-app token remove view
"""

SERVICE_STATE = Path("/var/lib/edge-app")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "token",
        help="make, show and remove the tokens of a device",
        description="Make, show and remove the tokens by which people and programs reach a device from outside.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=("make", "rotate", "show", "remove"), help="rotate is another word for make")
    parser.add_argument("role", nargs="?", choices=ROLES, help="role of the token")
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help=f"state folder (default: $EDGE_APP_STATE, else {SERVICE_STATE})"
    )
    parser.add_argument("--file", type=Path, metavar="FILE", help="tokens in [web], where it is set")
    return parser


def run(args: argparse.Namespace) -> int:
    """Do it; 0."""
    from edge_app.web.tokens import Tokens

    if (args.role is None) is not (args.action == "show"):
        raise InputError(f"token {args.action}: {'no role is' if args.role else 'a role is'} expected here")
    state = args.state or Path(os.environ.get("EDGE_APP_STATE", SERVICE_STATE))
    path = args.file or state / "tokens.json"
    take_account(args.command, path.parent)
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is no folder: name the device's state folder (--state)")
    tokens = Tokens(path)
    if args.action == "show":
        known = tokens.stored()
        for one in known:
            made = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.made_s))
            print(f"{one.role:<10}  made {made}  SHA-256 {one.sha256[:12]}...")
        if not known:
            print(f"there are no tokens in {path}: `edge-app token make ROLE`")
    elif args.action == "remove":
        print(f"{args.role}: {'removed' if tokens.remove(args.role) else 'there was no token'}")
    else:
        print(tokens.make(args.role))
    return 0
