"""One POST request over HTTP or HTTPS, with a checked address, a checked certificate and a time limit.

http.client of the standard library, not a larger client: the address that was checked has to be the one that is
connected to, or a name could resolve to a private address the second time.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from edge_app.errors import EdgeAppError

NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses as an IPv6 network sees them (RFC 6052)."""
REDIRECTS = (307, 308)
"""Statuses that repeat the same request elsewhere; the others would turn it into a GET."""

Resolve = Callable[[str, int], list[str]]
"""Host and port -> addresses. Raises OSError."""


class WebhookFailed(EdgeAppError, OSError):
    """A message could not be sent, or the receiver did not answer."""


class Answer(NamedTuple):
    """The receiver's answer."""

    status: int
    retry_after_s: float | None
    """The wait that the receiver asks for; None: it asks for none."""


class Policy(NamedTuple):
    """The limits of a request."""

    allow_private: bool = False
    redirects: int = 0
    timeout_s: float = 10.0
    ca_file: str | None = None
    """Certificate authority; None: the system's."""


def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a host, each once. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Return whether an address is one of the public internet, also if it wraps an IPv4 address."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        found = inner or found
    return found.is_global and not found.is_multicast


def post(url: str, body: bytes, headers: Mapping[str, str], policy: Policy, *, resolve: Resolve = resolved) -> Answer:
    """Send a body and return the answer. Its content is not read.

    Raises WebhookFailed, without the path of the address, which may be a secret.
    """
    left = policy.redirects
    while True:
        where = urlsplit(url)
        host = where.hostname or ""
        try:
            answer = _post_once(url, body, headers, policy, resolve)
        except WebhookFailed:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise WebhookFailed(f"{where.scheme}://{where.netloc}: {_reason(error)}") from error
        if answer.status not in REDIRECTS or answer.location is None or left == 0:
            return Answer(answer.status, answer.retry_after_s)
        left -= 1
        url = urljoin(url, answer.location)
        after = urlsplit(url)
        if after.scheme not in ("http", "https") or (where.scheme == "https" and after.scheme == "http"):
            raise WebhookFailed(f"{host} redirects to {after.scheme}://{after.hostname}, which is not followed")
        if after.netloc != where.netloc:
            # a token is for the receiver that was configured
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}


class _Raw(NamedTuple):
    status: int
    retry_after_s: float | None
    location: str | None


def _post_once(url: str, body: bytes, headers: Mapping[str, str], policy: Policy, resolve: Resolve) -> _Raw:
    where = urlsplit(url)
    tls = where.scheme == "https"
    host, port = where.hostname or "", where.port or (443 if tls else 80)
    connection = _Connection(host, port, _allowed(host, port, policy, resolve), policy, tls=tls)
    # each wait has a limit of its own, and a receiver could answer byte by byte
    timer = threading.Timer(policy.timeout_s, connection.cut)
    timer.daemon = True
    timer.start()
    try:
        target = (where.path or "/") + (f"?{where.query}" if where.query else "")
        connection.request("POST", target, body, {**headers, "Connection": "close"})
        answer = connection.getresponse()
        if connection.late:  # cut within the header, which then looks complete
            raise TimeoutError
        return _Raw(answer.status, _seconds(answer.getheader("Retry-After")), answer.getheader("Location"))
    except (OSError, http.client.HTTPException) as error:
        if connection.late:
            raise WebhookFailed(f"{host}: no answer within {policy.timeout_s:g} s") from error
        raise
    finally:
        timer.cancel()
        connection.close()


class _Connection(http.client.HTTPConnection):
    """A connection to one of the addresses that were checked; the host's name is for Host and the certificate."""

    def __init__(self, host: str, port: int, addresses: Sequence[str], policy: Policy, *, tls: bool) -> None:
        super().__init__(host, port, timeout=policy.timeout_s)
        if tls:
            self.default_port = 443
        self._addresses = addresses
        self._context = ssl.create_default_context(cafile=policy.ca_file) if tls else None
        self._plain: socket.socket | None = None
        self.late = False
        """Whether it was cut."""

    def connect(self) -> None:
        """Connect, and begin TLS. Raises OSError."""
        self.sock = self._plain = self._connected()
        if self._context is not None:
            self.sock = self._context.wrap_socket(self._plain, server_hostname=self.host)
        if self.late:
            raise TimeoutError("timed out")

    def _connected(self) -> socket.socket:
        """Connect to the first address that answers: a network may route one kind and not the other."""
        for address in self._addresses[:-1]:
            with suppress(OSError):
                return socket.create_connection((address, self.port), self.timeout)
        return socket.create_connection((self._addresses[-1], self.port), self.timeout)

    def cut(self) -> None:
        """End the connection from another thread, so that what waits on it fails."""
        self.late = True
        for one in (self.sock, self._plain):
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


def _allowed(host: str, port: int, policy: Policy, resolve: Resolve) -> list[str]:
    """Return the addresses that may be connected to. Raises WebhookFailed where the policy allows none."""
    addresses = resolve(host, port)
    allowed = [one for one in addresses if is_public(one) or (policy.allow_private and _is_one_machine(one))]
    if allowed:
        return allowed
    raise WebhookFailed(
        f"{host} has the address {', '.join(addresses) or '(none)'}, which is not public: set allow_private = true for "
        "a receiver on this machine or in the local network"
    )


def _is_one_machine(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    return not (found.is_multicast or found.is_unspecified)


def _seconds(text: str | None) -> float | None:
    # a date is the other form; clocks of small devices are often wrong
    return float(text) if text is not None and text.isdecimal() and len(text) < 6 else None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, http.client.HTTPException):
        return f"the answer is not HTTP ({type(error).__name__})"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
