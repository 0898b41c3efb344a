"""Who may do what: a token a role, and the browsers that signed in with one.

A token is 256 random bits. The file holds its SHA-256 only: it is shown once, when it is made, and whoever reads a
backup cannot sign in with it. A slow hash would add nothing, as nobody can try 2^256. The sessions of browsers lie in
the same file, hashed too, so that a restart signs nobody out. The file belongs to the service, mode 0600.
"""

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

from edge_app.errors import InputError, StateNotWritable
from edge_app.roles import ROLES, Role

SESSIONS = 64
"""Browsers that may be signed in; the one that signed in first has to do so again."""
PREFIX = "edge-"
MAX_FILE = 1 << 20


class StoredToken(NamedTuple):
    """A token, as the file has it."""

    role: Role
    sha256: str
    made_s: int
    """Seconds since 1970."""


class _Session(NamedTuple):
    sha256: str
    token: str
    """SHA-256 of the token that it was begun with: gone with it."""
    until_s: float


class Tokens:
    """The tokens and sessions in a file; safe to use from any thread. Another process's change is seen at once."""

    def __init__(self, path: Path, *, session_s: float = 30 * 86400.0, wall: Callable[[], float] = time.time) -> None:
        """Nothing is read yet; a file that is missing holds no token."""
        self.path = path
        self._session_s = session_s
        self._wall = wall
        self._lock = threading.Lock()
        self._mark: tuple[int, ...] | None = None
        self._tokens: dict[Role, StoredToken] = {}
        self._sessions: dict[str, _Session] = {}

    def make(self, role: Role) -> str:
        """Make a token, in the place of the role's last one, whose browsers are signed out; return it, once.

        Raises StateNotWritable, InputError.
        """
        token = PREFIX + secrets.token_urlsafe(32)
        with self._lock:
            self._refresh()
            self._drop(role)
            self._tokens[role] = StoredToken(role, hash_of(token), int(self._wall()))
            self._write()
        return token

    def remove(self, role: Role) -> bool:
        """Remove a role's token, and sign its browsers out; whether there was one. Raises StateNotWritable."""
        with self._lock:
            self._refresh()
            there = role in self._tokens
            if there:
                self._drop(role)
                self._write()
        return there

    def known(self) -> list[StoredToken]:
        """Return the tokens that there are. Raises InputError for a file that is not right."""
        with self._lock:
            self._refresh()
            return [self._tokens[role] for role in ROLES if role in self._tokens]

    def role_of(self, token: str) -> Role | None:
        """Return the role of a token, None for a wrong one; takes as long for either."""
        mine = hash_of(token)
        with self._lock:
            self._refresh()
            found: Role | None = None
            for known in self._tokens.values():
                if hmac.compare_digest(known.sha256, mine):
                    found = known.role
            return found

    def begin(self, token: str) -> str | None:
        """Sign a browser in; return the secret of its cookie, None for a wrong token. Raises StateNotWritable."""
        role = self.role_of(token)
        if role is None:
            return None
        secret = secrets.token_urlsafe(32)
        with self._lock:
            now = self._wall()
            self._sessions = {mark: one for mark, one in self._sessions.items() if one.until_s > now}
            while len(self._sessions) >= SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            mark = hash_of(secret)
            self._sessions[mark] = _Session(mark, self._tokens[role].sha256, now + self._session_s)
            self._write()
        return secret

    def session_role(self, secret: str) -> Role | None:
        """Return the role of a browser by the secret of its cookie; None: it is not signed in."""
        with self._lock:
            self._refresh()
            session = self._sessions.get(hash_of(secret))
            if session is None or session.until_s <= self._wall():
                return None
            return next((known.role for known in self._tokens.values() if known.sha256 == session.token), None)

    def end(self, secret: str) -> None:
        """Sign a browser out. Raises StateNotWritable."""
        with self._lock:
            self._refresh()
            if self._sessions.pop(hash_of(secret), None) is not None:
                self._write()

    def _drop(self, role: Role) -> None:
        gone = self._tokens.pop(role, None)
        if gone is not None:
            self._sessions = {mark: one for mark, one in self._sessions.items() if one.token != gone.sha256}

    def _refresh(self) -> None:
        """Read the file when it changed."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._mark, self._tokens, self._sessions = None, {}, {}
            return
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}") from error
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        if mark == self._mark:
            return
        if found.st_mode & 0o077:
            raise InputError(
                f"{self.path} can be read by others (mode {found.st_mode & 0o777:o}): chmod 600 {self.path}"
            )
        if found.st_size > MAX_FILE:
            raise InputError(
                f"{self.path} has {found.st_size} bytes, expected at most {MAX_FILE}: `edge-app token make`"
            )
        try:
            self._take(json.loads(self.path.read_bytes()))
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{self.path} is damaged ({error}): remove it, and make the tokens anew (`edge-app token make ROLE`)"
            ) from error
        self._mark = mark

    def _take(self, table: dict[str, Any]) -> None:
        tokens: dict[Role, StoredToken] = {}
        for name, row in table["tokens"].items():
            if name not in ROLES:
                raise ValueError(f"{name!r} is no role")
            role = cast(Role, name)
            tokens[role] = StoredToken(role, _digest(row["sha256"]), int(row["made_s"]))
        sessions = [_Session(_digest(a), _digest(b), float(until)) for a, b, until in table["sessions"]]
        self._tokens, self._sessions = tokens, {session.sha256: session for session in sessions[-SESSIONS:]}

    def _write(self) -> None:
        table = {
            "tokens": {one.role: {"sha256": one.sha256, "made_s": one.made_s} for one in self._tokens.values()},
            "sessions": [list(session) for session in self._sessions.values()],
        }
        draft = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
        try:
            owner = self.path.stat() if self.path.exists() else self.path.parent.stat()
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                json.dump(table, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            if os.geteuid() == 0:  # made by root for the service, whose folder it is
                os.chown(draft, owner.st_uid, owner.st_gid)
            draft.replace(self.path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StateNotWritable(f"{self.path} cannot be written: {error.strerror or error}") from error
        found = self.path.stat()
        self._mark = (found.st_ino, found.st_mtime_ns, found.st_size)


def hash_of(secret: str) -> str:
    """Return what stands for a token or a cookie where it is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(value: object) -> str:
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ValueError("a SHA-256 is no 64 hexadecimal digits")
    return value
