"""The door: every request passes here first. Names of this machine, rates, tokens, other sites' pages, headers."""

import ipaddress
import socket
from collections.abc import Callable, Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, NamedTuple, cast

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from edge_app.errors import EdgeAppError
from edge_app.roles import Role, allows
from edge_app.web.answers import ApiError
from edge_app.web.limits import Lockout, RateLimiter, client_key
from edge_app.web.tokens import Tokens, hash_of

if TYPE_CHECKING:
    from edge_app.config import WebConfig

RATE, BURST = 200.0, 400.0
"""Requests a second of one client, and at once: five pages of one household are well below."""
SAFE = ("GET", "HEAD", "OPTIONS")
FORWARDING = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip", "via")
COOKIE, SECURE_COOKIE = "edge_app", "__Host-edge_app"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
HSTS = "max-age=31536000"


class Client(NamedTuple):
    """Who sent a request."""

    role: Role | None
    key: str
    """Stands for the client's address."""
    secure: bool
    """Whether the request came over TLS."""
    session: str | None
    """Secret of its cookie."""

    def must(self, needed: Role) -> None:
        """Raise Refused unless the visitor may do what a role may."""
        if self.role is None:
            raise ApiError(
                401,
                "sign_in",
                "a token is needed: sign in, or send Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": 'Bearer realm="edge-app"'},
            )
        if not allows(self.role, needed):
            raise ApiError(403, "role", f"this needs the role {needed}, yours is {self.role}")


class AccessPolicy:
    """What the door decides by; one for all requests, used in the server's thread alone."""

    def __init__(
        self,
        config: "WebConfig",
        tokens: Tokens,
        clock: Callable[[], float],
        *,
        names: Sequence[str] | None = None,
        rate: float = RATE,
        burst: float = BURST,
    ) -> None:
        """`names` are this machine's own names; None: what the system says."""
        self.tokens = tokens
        self.lockout = Lockout(clock)
        self._limiter = RateLimiter(rate, burst, clock)
        self._config = config
        self._proxies = [ipaddress.ip_network(one) for one in config.proxies]
        own = machine_names() if names is None else names
        self._names = {*(name.lower() for name in (*own, *config.names)), "localhost"}

    def visitor(self, scope: Scope, peer: str, headers: Headers) -> Client:
        """Return who sent a request. Raises Refused for what must not come in."""
        client = scope["client"][0] if scope.get("client") else peer
        key = client_key(client)
        wait = self._limiter.wait_s(key)
        if wait:
            raise too_many("too many requests", wait)
        host = headers.get("host", "")
        self._check_host(host)
        bearer = self._bearer(headers, key)
        secure = scope["scheme"] in ("https", "wss")
        session = cookie_of(headers, secure)
        role = bearer
        if role is None and session is not None:
            role = self.tokens.session_role(session)
        if role is None and self._local(peer, host, headers) and self._config.loopback_role != "none":
            role = cast(Role, self._config.loopback_role)
        if bearer is None:
            self._check_site(scope, host, headers, secure)
        return Client(role, key, secure, session)

    def check_token(self, token: str, key: str) -> Role:
        """Return the role of a token. Raises Refused for a wrong one, and for everything of who guesses."""
        mark = hash_of(token)
        wait = self.lockout.wait_s(key, mark)
        if wait:
            raise too_many("too many wrong tokens", wait)
        role = self.tokens.role_of(token)
        if role is None:
            self.lockout.failed(key)
            raise ApiError(
                401, "wrong_token", "this token is not known", headers={"WWW-Authenticate": 'Bearer realm="edge-app"'}
            )
        self.lockout.succeeded(key, mark)
        return role

    def _bearer(self, headers: Headers, key: str) -> Role | None:
        given = headers.get("authorization")
        if given is None:
            return None
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise ApiError(
                401,
                "wrong_token",
                "expected Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": 'Bearer realm="edge-app"'},
            )
        return self.check_token(token.strip()[:200], key)

    def _check_host(self, host: str) -> None:
        """Refuse a name that is not this machine's: a page of a site whose name was made to point here (rebinding)."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and not host.endswith("]") else host
        name = name.lower().rstrip(".")
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            if name not in self._names:
                raise ApiError(
                    403,
                    "host",
                    f"{name[:80]!r} is no name of this machine: use its address, or list the name in [web] names",
                ) from None

    def _local(self, peer: str, host: str, headers: Headers) -> bool:
        """Whether a request comes from this machine itself, and not through a proxy on it."""
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and not host.endswith("]") else host
        return (
            address.is_loopback
            and not any(address in network for network in self._proxies)
            and not any(header in headers for header in FORWARDING)
            and name.lower() in LOOPBACK_NAMES
        )

    def _check_site(self, scope: Scope, host: str, headers: Headers, secure: bool) -> None:
        """Refuse what another site's page had the browser send (CSRF, WebSocket hijacking, embedding)."""
        socket_ = scope["type"] == "websocket"
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none") and not (
            headers.get("sec-fetch-mode") == "navigate" and scope["path"] == "/"
        ):
            raise ApiError(403, "other_site", "another site's page may not speak to this device")
        if (socket_ or scope["method"] not in SAFE) and origin is not None:
            wanted = f"{'https' if secure else 'http'}://{host}".lower()
            if origin.lower() != wanted:
                raise ApiError(403, "other_site", f"the origin {origin[:80]!r} is not this device's ({wanted[:80]!r})")
        if not socket_ and scope["method"] not in SAFE and headers.get("x-edge-app") != "1":
            raise ApiError(
                403, "header", "a change needs the header X-Edge-App: 1, which another site's page cannot send"
            )


class AccessMiddleware:
    """The middleware around all else."""

    def __init__(self, app: ASGIApp, gate: AccessPolicy, proxies: Sequence[str]) -> None:
        self._app = app
        self._gate = gate
        inner: ASGIApp = self._enter
        if proxies:
            inner = ProxyHeadersMiddleware(inner, trusted_hosts=list(proxies))  # type: ignore[assignment, arg-type]
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        # before a proxy's word is taken for it
        scope["edge_app.peer"] = scope["client"][0] if scope.get("client") else ""
        await self._inner(scope, receive, send)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        secure = scope["scheme"] in ("https", "wss")

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    own.setdefault(name, value)
                if secure:
                    own.setdefault("Strict-Transport-Security", HSTS)
            await send(message)

        try:
            scope["edge_app.visitor"] = self._gate.visitor(scope, scope["edge_app.peer"], headers)
        except ApiError as refused:
            await _refuse(refused, scope, receive, guarded)
            return
        except EdgeAppError as error:  # the file of the tokens: nobody comes in until it is right
            await _refuse(ApiError(503, "tokens", str(error)), scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)


async def _refuse(refused: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4400 + refused.status % 100, "reason": refused.message[:120]})
    else:
        await refused.response()(scope, receive, send)


def too_many(what: str, wait_s: float) -> ApiError:
    """Return the answer to who asks too much."""
    seconds = max(1, round(wait_s + 0.5))
    return ApiError(429, "too_many", f"{what}: wait {seconds} s", headers={"Retry-After": str(seconds)})


def cookie_of(headers: Headers, secure: bool) -> str | None:
    """Return the secret of the session's cookie."""
    try:
        cookies: Mapping[str, object] = SimpleCookie(headers.get("cookie", "")[:4096])
    except CookieError:
        return None
    morsel = cookies.get(SECURE_COOKIE if secure else COOKIE)
    return None if morsel is None else str(getattr(morsel, "value", ""))[:200]


def machine_names() -> list[str]:
    """Return the names of this machine: its own, and the one that mDNS gives it."""
    name = socket.gethostname()
    return [name, f"{name.partition('.')[0]}.local"] if name else []
