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
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

from edge_app.errors import EdgeAppError, InputError
from edge_app.files import locked, open_regular, write_atomically
from edge_app.roles import ROLES, Role
from edge_app.storage.errors import not_writable

SESSIONS = 64
"""Browsers that may be signed in; with one more the oldest session ends."""
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


class _Content(NamedTuple):
    """The content of the file; immutable."""

    tokens: Mapping[Role, StoredToken]
    sessions: Mapping[str, _Session]
    """By SHA-256, the oldest first."""

    def role_of(self, digest: str) -> Role | None:
        """Return the role of the token with this SHA-256; all are compared, so that the time tells nothing."""
        found: Role | None = None
        for known in self.tokens.values():
            # no early return: the time must not tell which role a token has
            if hmac.compare_digest(known.sha256, digest):
                found = known.role
        return found

    def without(self, role: Role) -> "_Content":
        """Return the content without a role's token and its sessions."""
        gone = self.tokens.get(role)
        tokens = {name: one for name, one in self.tokens.items() if name != role}
        # a session must not outlive the token that it was started with
        sessions = {mark: one for mark, one in self.sessions.items() if gone is None or one.token != gone.sha256}
        return _Content(tokens, sessions)


EMPTY = _Content({}, {})


class Tokens:
    """The tokens and sessions in a file. Safe to use from any thread; sees another process's change at once.

    Reading never waits for a change that is being written. A change locks the file's folder, so that two programs that
    change the file at a time lose neither change.
    """

    def __init__(self, path: Path, *, session_s: float = 30 * 86400.0, wall: Callable[[], float] = time.time) -> None:
        """The file is read when it is first needed; a missing file holds no tokens."""
        self.path = path
        self._session_s = session_s
        self._wall = wall
        # one tuple, replaced as a whole: threads read it without a lock
        self._known: tuple[tuple[int, ...] | None, _Content] = (None, EMPTY)

    def make(self, role: Role) -> str:
        """Make a token for a role and return it; it replaces the role's last token and ends that one's sessions.

        Raises StateNotWritable, InputError.
        """
        token = PREFIX + secrets.token_urlsafe(32)
        with self._changing() as change:
            rest = change.content.without(role)
            stored = StoredToken(role, hash_of(token), int(self._wall()))
            change.content = rest._replace(tokens={**rest.tokens, role: stored})
        return token

    def remove(self, role: Role) -> bool:
        """Remove a role's token and its sessions; return whether there was one. Raises StateNotWritable, InputError."""
        with self._changing() as change:
            there = role in change.content.tokens
            change.content = change.content.without(role)
        return there

    def stored(self) -> list[StoredToken]:
        """Return the stored tokens. Raises InputError for an invalid file."""
        tokens = self._read().tokens
        return [tokens[role] for role in ROLES if role in tokens]

    def role_of(self, token: str) -> Role | None:
        """Return the role of a token, None for a wrong one, in the same time for both. Raises InputError."""
        return self.role_of_digest(hash_of(token))

    def role_of_digest(self, digest: str) -> Role | None:
        """Return the role of a token by its SHA-256 (`hash_of`), None for a wrong one. Raises InputError."""
        return self._read().role_of(digest)

    def start_session(self, token: str) -> str | None:
        """Start a session; return the secret for its cookie, None for a wrong token.

        Raises StateNotWritable, InputError.
        """
        if self.role_of(token) is None:
            return None
        secret, digest = secrets.token_urlsafe(32), hash_of(token)
        with self._changing() as change:
            # asked again under the lock
            if change.content.role_of(digest) is None:
                return None  # removed meanwhile
            now = self._wall()
            sessions = {mark: one for mark, one in change.content.sessions.items() if one.until_s > now}
            while len(sessions) >= SESSIONS:
                del sessions[next(iter(sessions))]
            mark = hash_of(secret)
            sessions[mark] = _Session(mark, digest, now + self._session_s)
            change.content = change.content._replace(sessions=sessions)
        return secret

    def session_role(self, secret: str) -> Role | None:
        """Return the role of a session by the secret in its cookie, None when there is no such session."""
        content = self._read()
        session = content.sessions.get(hash_of(secret))
        if session is None or session.until_s <= self._wall():
            return None
        return content.role_of(session.token)

    def end_session(self, secret: str) -> None:
        """End a session. Raises StateNotWritable, InputError."""
        mark = hash_of(secret)
        with self._changing() as change:
            sessions = {name: one for name, one in change.content.sessions.items() if name != mark}
            change.content = change.content._replace(sessions=sessions)

    @contextmanager
    def _changing(self) -> Iterator["_Change"]:
        """Yield what the file holds, with other programs locked out, and write it when the body has changed it."""
        try:
            with locked(self.path.parent):
                change = _Change(self._read())
                before = change.content
                yield change
                # no write without a change: cards wear
                if change.content != before:
                    write_atomically(self.path, _to_json(change.content))
        except OSError as error:
            raise not_writable(error, f"{self.path} cannot be written") from error

    def _read(self) -> _Content:
        """Return what the file holds; it is read when it has changed. Raises InputError."""
        try:
            found = self.path.stat()
            # every writer replaces the file, so that a change has another inode; ctime also tells a chmod
            mark = (found.st_ino, found.st_ctime_ns, found.st_size)
            known, content = self._known
            if mark == known:
                return content
            # no link is followed: it could name another file
            with open_regular(self.path) as file:
                self._check(os.fstat(file.fileno()))
                # st_size was that of a moment ago
                data = file.read(MAX_FILE + 1)
        except FileNotFoundError:  # an administrator may remove the file to sign everybody out
            self._known = (None, EMPTY)
            return EMPTY
        except OSError as error:
            if isinstance(error, EdgeAppError):
                raise
            raise InputError(f"{self.path} cannot be read: {error.strerror}") from error
        try:
            content = _from_json(data)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise InputError(
                f"{self.path} is damaged ({error}): remove it, and make new tokens (`edge-app token make ROLE`)"
            ) from error
        self._known = (mark, content)
        return content

    def _check(self, found: os.stat_result) -> None:
        if found.st_mode & 0o077:
            mode = f"{found.st_mode & 0o777:o}"
            raise InputError(f"{self.path} can be read by other users (mode {mode}): chmod 600 {self.path}")
        if found.st_size > MAX_FILE:
            raise InputError(
                f"{self.path} has {found.st_size} bytes, expected at most {MAX_FILE}: remove it, and make new tokens "
                "(`edge-app token make ROLE`)"
            )


@dataclass
class _Change:
    content: _Content


def _from_json(data: bytes) -> _Content:
    table: Any = json.loads(data)
    tokens: dict[Role, StoredToken] = {}
    for name, row in table["tokens"].items():
        if name not in ROLES:
            raise ValueError(f"{name!r} is not a role")
        role = cast(Role, name)
        tokens[role] = StoredToken(role, _digest(row["sha256"]), int(row["made_s"]))
    sessions = [_Session(_digest(a), _digest(b), float(until)) for a, b, until in table["sessions"]]
    return _Content(tokens, {session.sha256: session for session in sessions[-SESSIONS:]})


def _to_json(content: _Content) -> bytes:
    table = {
        "tokens": {one.role: {"sha256": one.sha256, "made_s": one.made_s} for one in content.tokens.values()},
        "sessions": [list(session) for session in content.sessions.values()],
    }
    return json.dumps(table, indent=1).encode()


def hash_of(secret: str) -> str:
    """Return the digest under which a token or a session is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(value: object) -> str:
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ValueError("expected a SHA-256 of 64 hexadecimal digits")
    return value
