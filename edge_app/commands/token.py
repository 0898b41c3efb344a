"""`edge-app token`: make, show and remove access tokens."""

import argparse
import os
import time
from pathlib import Path

from edge_app.commands.state_options import folder_path, take_account
from edge_app.errors import InputError
from edge_app.roles import ROLES

EPILOG = """\
A token grants a role: view (read), teach (teach, relabel, undo) or administer (everything). It is shown once: the
device stores only its SHA-256. A new token replaces the role's old one at once and signs out its browsers; the service
need not be restarted.

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
        help="make, show or remove access tokens",
        description="Make, show or remove the tokens with which people and programs access a device.",
        epilog=EPILOG,
    )
    parser.add_argument("action", choices=("make", "rotate", "show", "remove"), help="rotate is the same as make")
    parser.add_argument("role", nargs="?", choices=ROLES, help="role of the token")
    parser.add_argument(
        "--state",
        type=folder_path,
        metavar="DIR",
        help=f"state folder (default: $EDGE_APP_STATE, else {SERVICE_STATE})",
    )
    parser.add_argument("--file", type=Path, metavar="FILE", help="file of the tokens, if [web] sets tokens")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the action; return 0."""
    from edge_app.web.tokens import Tokens

    if (args.role is None) is not (args.action == "show"):
        wanted = "takes no role" if args.role else f"needs a role: {', '.join(ROLES)}"
        raise InputError(f"token {args.action} {wanted}")
    state = args.state or Path(os.environ.get("EDGE_APP_STATE", SERVICE_STATE))
    path = args.file or state / "tokens.json"
    # root would write a file that the service may not read
    take_account(args.command, path.parent)
    # not created: a mistyped --state must not become a folder with a token that opens nothing
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder: give the device's state folder (--state)")
    tokens = Tokens(path)
    if args.action == "show":
        known = tokens.stored()
        for one in known:
            made = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.made_s))
            print(f"{one.role:<10}  made {made}  SHA-256 {one.sha256[:12]}...")
        if not known:
            print(f"no tokens in {path}: make one with `edge-app token make ROLE`")
    elif args.action == "remove":
        print(f"{args.role}: {'removed' if tokens.remove(args.role) else 'no token to remove'}")
    else:
        print(tokens.make(args.role))
    return 0
