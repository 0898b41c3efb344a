"""Tokens, one per role, and the sessions of browsers that signed in with one.

A token is 256 random bits. The file holds only its SHA-256, so a token is shown once, when it is made, and a copy of
the file does not let anyone sign in; a slow hash would add nothing, as 2^256 tokens cannot be tried. The sessions are
in the same file, hashed too, so that a restart signs nobody out. The file belongs to the service, mode 0600.
"""

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from edge_app.errors import EdgeAppError, InputError, StateNotWritable
from edge_app.files import locked, open_regular, write_atomically
from edge_app.roles import ROLES, Role

SESSIONS = 64
"""How many browsers may be signed in; one more, and the oldest session ends."""
PREFIX = "edge-"
MAX_FILE = 1 << 20
"""Bytes of the file."""


class StoredToken(NamedTuple):
    """A token as it is stored."""

    role: Role
    sha256: str
    made_s: int
    """Seconds since 1970."""


class _Session(NamedTuple):
    sha256: str
    token: str
    """SHA-256 of the token that it was started with; the session ends with it."""
    until_s: float


class Tokens:
    """The tokens and sessions in a file. Safe to use from any thread; sees another process's change at once."""

    def __init__(self, path: Path, *, session_s: float = 30 * 86400.0, wall: Callable[[], float] = time.time) -> None:
        """The file is read when it is first needed; a missing file holds no tokens."""
        self.path = path
        self._session_s = session_s
        self._wall = wall
        self._lock = threading.Lock()
        self._mark: tuple[int, ...] | None = None
        self._tokens: dict[Role, StoredToken] = {}
        self._sessions: dict[str, _Session] = {}

    def make(self, role: Role) -> str:
        """Make a token for a role and return it; it replaces the role's last token and ends that one's sessions.

        Raises StateNotWritable, InputError.
        """
        token = PREFIX + secrets.token_urlsafe(32)
        with self._changing():
            self._drop(role)
            self._tokens[role] = StoredToken(role, hash_of(token), int(self._wall()))
        return token

    def remove(self, role: Role) -> bool:
        """Remove a role's token and its sessions; return whether there was one. Raises StateNotWritable."""
        with self._changing():
            there = role in self._tokens
            self._drop(role)
        return there

    def stored(self) -> list[StoredToken]:
        """Return the stored tokens. Raises InputError for an invalid file."""
        with self._lock:
            self._refresh()
            return [self._tokens[role] for role in ROLES if role in self._tokens]

    def role_of(self, token: str) -> Role | None:
        """Return the role of a token, None for a wrong one, in the same time for both."""
        mine = hash_of(token)
        with self._lock:
            self._refresh()
            found: Role | None = None
            for known in self._tokens.values():
                if hmac.compare_digest(known.sha256, mine):
                    found = known.role
            return found

    def start_session(self, token: str) -> str | None:
        """Start a session; return the secret for its cookie, None for a wrong token. Raises StateNotWritable."""
        if self.role_of(token) is None:
            return None
        secret, mine = secrets.token_urlsafe(32), hash_of(token)
        with self._changing():
            if not any(hmac.compare_digest(known.sha256, mine) for known in self._tokens.values()):
                return None  # removed meanwhile
            now = self._wall()
            self._sessions = {mark: one for mark, one in self._sessions.items() if one.until_s > now}
            while len(self._sessions) >= SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            mark = hash_of(secret)
            self._sessions[mark] = _Session(mark, mine, now + self._session_s)
        return secret

    def session_role(self, secret: str) -> Role | None:
        """Return the role of a session by the secret in its cookie, None when there is no such session."""
        with self._lock:
            self._refresh()
            session = self._sessions.get(hash_of(secret))
            if session is None or session.until_s <= self._wall():
                return None
            return next((known.role for known in self._tokens.values() if known.sha256 == session.token), None)

    def end_session(self, secret: str) -> None:
        """End a session. Raises StateNotWritable."""
        with self._changing():
            self._sessions.pop(hash_of(secret), None)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Read the file, have it changed, and write it if it was, while no other program can do the same.

        Raises StateNotWritable, InputError.
        """
        try:
            with self._lock, locked(self.path.parent):
                self._refresh()
                before = self._table()
                try:
                    yield
                    if self._table() != before:
                        self._write()
                except BaseException:
                    self._mark = ()  # what is in memory is not what is stored: read again
                    raise
        except OSError as error:
            if isinstance(error, EdgeAppError):
                raise
            raise StateNotWritable(f"{self.path} cannot be written: {error.strerror or error}") from error

    def _drop(self, role: Role) -> None:
        gone = self._tokens.pop(role, None)
        if gone is not None:
            self._sessions = {mark: one for mark, one in self._sessions.items() if one.token != gone.sha256}

    def _refresh(self) -> None:
        """Read the file if it has changed."""
        try:
            found = self.path.lstat()
            if _mark(found) == self._mark:
                return
            with open_regular(self.path) as file:
                found = os.fstat(file.fileno())
                self._check(found)
                content = file.read(MAX_FILE)
        except FileNotFoundError:
            self._mark, self._tokens, self._sessions = None, {}, {}
            return
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror}") from error
        try:
            self._take(json.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{self.path} is damaged ({error}): remove it, and make new tokens (`edge-app token make ROLE`)"
            ) from error
        self._mark = _mark(found)

    def _check(self, found: os.stat_result) -> None:
        if found.st_mode & 0o077:
            raise InputError(
                f"{self.path} can be read by other users (mode {found.st_mode & 0o777:o}): chmod 600 {self.path}"
            )
        if found.st_size > MAX_FILE:
            raise InputError(
                f"{self.path} has {found.st_size} bytes, expected at most {MAX_FILE}: `edge-app token make`"
            )

    def _take(self, table: dict[str, Any]) -> None:
        tokens: dict[Role, StoredToken] = {}
        for name, row in table["tokens"].items():
            if name not in ROLES:
                raise ValueError(f"{name!r} is not a role")
            role = cast(Role, name)
            tokens[role] = StoredToken(role, _digest(row["sha256"]), int(row["made_s"]))
        sessions = [_Session(_digest(a), _digest(b), float(until)) for a, b, until in table["sessions"]]
        self._tokens, self._sessions = tokens, {session.sha256: session for session in sessions[-SESSIONS:]}

    def _table(self) -> dict[str, Any]:
        return {
            "tokens": {one.role: {"sha256": one.sha256, "made_s": one.made_s} for one in self._tokens.values()},
            "sessions": [list(session) for session in self._sessions.values()],
        }

    def _write(self) -> None:
        write_atomically(self.path, json.dumps(self._table(), indent=1).encode())
        self._mark = _mark(self.path.lstat())


def _mark(found: os.stat_result) -> tuple[int, ...]:
    """Return what changes when the file is replaced."""
    return found.st_ino, found.st_mtime_ns, found.st_size


def hash_of(secret: str) -> str:
    """Return the digest under which a token or a session is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(value: object) -> str:
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ValueError("expected a SHA-256 of 64 hexadecimal digits")
    return value
