"""Access control: every request passes these checks before anything else looks at it."""

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
from edge_app.web.limits import Lockout, RateLimiter, client_key, plain_address
from edge_app.web.responses import ApiError
from edge_app.web.tokens import Tokens, hash_of

if TYPE_CHECKING:
    from edge_app.config import WebConfig

RATE, BURST = 200.0, 400.0
"""Requests per second of one client, and how many at once: five open pages in one household stay well below."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# any of these means that a proxy stands between, so that the loopback address is not the client's own
FORWARDING_HEADERS = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip", "via")
# browsers accept the prefix __Host- only over TLS, without a Domain and from this host: no other host can set it
COOKIE, SECURE_COOKIE = "edge_app", "__Host-edge_app"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        # no inline code: a class name that reached the page as HTML could not run. blob: is for the live picture
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def security_headers(ancestors: Sequence[str]) -> dict[str, str]:
    """Return the headers of every response; `ancestors`: sites that may show the page in a frame, or "self"."""
    headers = dict(SECURITY_HEADERS)
    allowed = ["'self'" if one == "self" else one for one in ancestors] or ["'none'"]
    headers["Content-Security-Policy"] += " ".join(allowed)
    if not ancestors:
        headers["X-Frame-Options"] = "DENY"  # for browsers without frame-ancestors; it cannot name sites
    return headers


CHALLENGE = {"WWW-Authenticate": 'Bearer realm="edge-app"'}


class Client(NamedTuple):
    """The sender of a request."""

    role: Role | None
    """None: not signed in."""
    key: str
    """Its address, or for IPv6 its network; see `client_key`."""
    secure: bool
    """Whether the request came over TLS."""
    session: str | None
    """Secret in its session cookie."""
    token: str | None = None
    """SHA-256 of its bearer token."""
    local: bool = False
    """Whether its role is that of programs on this machine, or of those who come through the gateway."""

    def require(self, role: Role) -> None:
        """Raise ApiError unless the client has this role, or one that includes it."""
        if self.role is None:
            message = "sign in, or send a token in the header Authorization: Bearer TOKEN"
            raise ApiError(401, "sign_in", message, headers=CHALLENGE)
        if not allows(self.role, role):
            raise ApiError(403, "role", f"this needs the role {role}, yours is {self.role}")


class AccessPolicy:
    """Decides who may do what; used in the server's event loop only."""

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
        """`clock` returns seconds; `names` are this machine's host names, None for those that the system gives."""
        self.tokens = tokens
        self.lockout = Lockout(clock)
        self._limiter = RateLimiter(rate, burst, clock)
        self._config = config
        self.proxies = [ipaddress.ip_network(one) for one in config.proxies]
        self._gateway = ipaddress.ip_address(config.gateway) if config.gateway else None
        own = machine_names() if names is None else names
        self._names = {*(name.lower() for name in (*own, *config.names)), "localhost"}

    def client(self, scope: Scope, peer: str, headers: Headers) -> Client:
        """Return the sender of a request from the address `peer`. Raises ApiError for a request that is rejected."""
        # the rate comes first: it bounds what every later check costs
        key = client_key(scope["client"][0] if scope.get("client") else peer)
        wait = self._limiter.wait_s(key)
        if wait:
            raise too_many("too many requests", wait)
        host = headers.get("host", "")
        through_gateway = self._is_gateway(peer)
        # before the tokens: after DNS rebinding even the session cookie of a browser is sent. The gateway checks its
        # own names, which are not this device's
        if not through_gateway:
            self._check_host(host)
        secure = scope["scheme"] in ("https", "wss")
        session = session_cookie(headers, secure)
        token = _bearer_token(headers)
        # no check of the site: browsers do not add this header by themselves, so another site's page cannot forge it
        if token is not None:
            return Client(self.check_token(token, key), key, secure, session, hash_of(token))
        self._check_site(scope, host, headers, secure)
        # a session counts before the address: who signed in as "view" on the device stays "view"
        role = None if session is None else self.tokens.session_role(session)
        local = role is None and self._config.loopback_role != "none" and self._is_local(peer, host, headers)
        if local:
            role = cast(Role, self._config.loopback_role)
        elif role is None and through_gateway:
            role, local = cast(Role, self._config.gateway_role), True
        return Client(role, key, secure, session, local=local)

    def still_allows(self, client: Client, role: Role) -> bool:
        """Return whether a client's token or session still has a role; for streams that stay open."""
        # a program on this machine has no token that could be removed
        if client.local:
            return True
        try:
            if client.token is not None:
                # looked up anew each time: a token can be removed while the stream is open
                return allows(self.tokens.role_of_digest(client.token), role)
            return client.session is not None and allows(self.tokens.session_role(client.session), role)
        except EdgeAppError:  # the token file is not valid
            return False

    def charge(self, client: Client, cost: float) -> None:
        """Count an operation as `cost` requests more. Raises ApiError when the client's rate is used up."""
        wait = self._limiter.wait_s(client.key, cost)
        if wait:
            raise too_many("too many requests", wait)

    def check_token(self, token: str, key: str) -> Role:
        """Return the role of a token. Raises ApiError for a wrong token, or while the client is locked out."""
        digest = hash_of(token)
        # before the comparison: guesses during a lockout must tell nothing
        wait = self.lockout.wait_s(key, digest)
        if wait:
            raise too_many("too many wrong tokens", wait)
        role = self.tokens.role_of(token)
        if role is None:
            self.lockout.failed(key)
            raise ApiError(401, "wrong_token", "this token is not known", headers=CHALLENGE)
        self.lockout.trust(key, digest)
        return role

    def _check_host(self, host: str) -> None:
        """Reject a Host that is not this machine's: a site whose name was made to point here (DNS rebinding)."""
        name = _without_port(host).lower().rstrip(".")
        try:
            # an address cannot be rebound: only names are checked
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            if name not in self._names:
                message = f"{name[:80]!r} is not a name of this device: use its address, or add the name to [web] names"
                raise ApiError(403, "host", message) from None

    def _is_gateway(self, peer: str) -> bool:
        """Whether a connection comes from the gateway; `peer` is its address, which no header sets."""
        try:
            return self._gateway is not None and ipaddress.ip_address(peer) == self._gateway
        except ValueError:
            return False

    def _is_local(self, peer: str, host: str, headers: Headers) -> bool:
        """Whether a request comes from a program on this machine, and not through a proxy on it."""
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return (
            address.is_loopback
            and not any(address in network for network in self.proxies)
            and not any(header in headers for header in FORWARDING_HEADERS)
            and _without_port(host).lower() in LOOPBACK_NAMES
        )

    def _check_site(self, scope: Scope, host: str, headers: Headers, secure: bool) -> None:
        """Reject a request that another site's page made the browser send (CSRF, WebSocket hijacking, embedding)."""
        websocket = scope["type"] == "websocket"
        changing = not websocket and scope["method"] not in SAFE_METHODS
        site = headers.get("sec-fetch-site", "same-origin")
        followed = headers.get("sec-fetch-mode") == "navigate" and scope["path"] == "/"  # a link to the page
        # reads too: another site's page must not learn what the camera sees. Older browsers send no Sec-Fetch-Site
        if site not in ("same-origin", "none") and not followed:
            raise ApiError(403, "other_site", "requests from pages of other sites are not accepted")
        origin = headers.get("origin")
        if (websocket or changing) and origin is not None:
            expected = f"{'https' if secure else 'http'}://{host}".lower()
            if origin.lower() != expected:
                message = f"the origin {origin[:80]!r} is not this device's ({expected[:80]!r})"
                raise ApiError(403, "other_site", message)
        # a form cannot send the header, and a script of another site needs a CORS permission that is never given
        if changing and headers.get("x-edge-app") != "1":
            message = "a change needs the header X-Edge-App: 1, which another site's page cannot send"
            raise ApiError(403, "header", message)


class AccessMiddleware:
    """Applies the access policy to every request, and adds the security headers to every response."""

    def __init__(self, app: ASGIApp, policy: AccessPolicy, config: "WebConfig") -> None:
        self._app = app
        self._hsts = f"max-age={config.hsts_days * 86400}" if config.hsts_days else ""
        self._policy = policy
        self._headers = security_headers(config.frame_ancestors)
        inner: ASGIApp = self._check
        trusted = [*config.proxies, *([config.gateway] if config.gateway else [])]
        if trusted:
            # around the checks: they must see the client's address, not the proxy's
            inner = ProxyHeadersMiddleware(inner, trusted_hosts=trusted)  # type: ignore[assignment, arg-type]
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope.get("client"):
            address, port = scope["client"]
            scope["client"] = plain_address(address), port
        # kept before a proxy's headers replace it
        scope["edge_app.peer"] = scope["client"][0] if scope.get("client") else ""
        await self._inner(scope, receive, send)

    async def _check(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        secure = scope["scheme"] in ("https", "wss")

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    # setdefault: a handler may have set its own value
                    own.setdefault(name, value)
                if secure and self._hsts:
                    own.setdefault("Strict-Transport-Security", self._hsts)
            await send(message)

        try:
            scope["edge_app.client"] = self._policy.client(scope, scope["edge_app.peer"], headers)
        except ApiError as error:
            await _reject(error, scope, receive, send_secured)
        except EdgeAppError as error:  # the token file is not valid: nobody gets in until it is
            await _reject(ApiError(503, "tokens", str(error)), scope, receive, send_secured)
        else:
            await self._app(scope, receive, send_secured)


async def _reject(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        # the close is answered to a handshake, so the connect event has to be received first
        await receive()
        # a close frame has room for 123 bytes of reason
        await send({"type": "websocket.close", "code": close_code(error), "reason": error.message[:120]})
    else:
        await error.response()(scope, receive, send)


def close_code(error: ApiError) -> int:
    """Return the WebSocket close code for an error: 44xx for status 4xx, in the range for private use."""
    return 4400 + error.status % 100


def too_many(reason: str, wait_s: float) -> ApiError:
    """Return the error for a client that has to wait."""
    # rounded up: a client that comes back after exactly this time must not be too early
    seconds = max(1, round(wait_s + 0.5))
    return ApiError(429, "too_many", f"{reason}: wait {seconds} s", headers={"Retry-After": str(seconds)})


def session_cookie(headers: Headers, secure: bool) -> str | None:
    """Return the secret in the session cookie."""
    try:
        # SimpleCookie parses all cookies of the host; 4 kB is what browsers allow for one
        cookies: Mapping[str, object] = SimpleCookie(headers.get("cookie", "")[:4096])
    except CookieError:
        return None
    morsel = cookies.get(SECURE_COOKIE if secure else COOKIE)
    return None if morsel is None else str(getattr(morsel, "value", ""))[:200]


def machine_names() -> list[str]:
    """Return this machine's host name, and the name that mDNS gives it."""
    name = socket.gethostname()
    return [name, f"{name.partition('.')[0]}.local"] if name else []


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _bearer_token(headers: Headers) -> str | None:
    """Return the token in the Authorization header; another scheme is for a proxy in front, and not ours.

    Raises ApiError for the scheme Bearer without a token.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    if not token.strip():
        raise ApiError(401, "wrong_token", "expected Authorization: Bearer TOKEN", headers=CHALLENGE)
    return token.strip()[:200]
