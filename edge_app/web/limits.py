"""Limits per client: the rate of its requests, and a lockout after wrong tokens. All tables have a fixed size."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

# bounded, because an attacker chooses how many addresses he uses
CLIENTS = 1024
"""Clients that are remembered; the one that was silent longest is dropped for a new one."""
FREE_FAILURES = 5
"""Wrong tokens before a client is locked out."""
# a person who mistyped waits half a minute; a program gets 24 guesses a day
FIRST_LOCK_S, LONGEST_LOCK_S = 30.0, 3600.0
FORGIVEN_S = 24 * 3600.0
"""A client's failures are forgotten after so long without another."""


def plain_address(address: str) -> str:
    """Return an address without its zone, and IPv4 as such where it came over an IPv6 socket (::ffff:192.0.2.1)."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        # a UNIX socket's path, or nonsense in a proxy's header
        return address[:64]
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def client_key(address: str) -> str:
    """Return the key of a client: its IPv4 address, or its IPv6 /64 network, all of which one host may use."""
    plain = plain_address(address)
    try:
        found = ipaddress.ip_address(plain)
    except ValueError:
        return plain
    return plain if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


class _Bucket(NamedTuple):
    tokens: float
    time_s: float


class RateLimiter:
    """One token bucket per client: `rate` requests per second, `burst` at once."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float], clients: int = CLIENTS) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._clients = clients
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, key: str, cost: float = 1.0) -> float:
        """Take `cost` and return 0; when too little is left, take nothing and return the seconds to wait."""
        now = self._clock()
        # popped and put back, so that the order of the table is that of the last use
        bucket = self._buckets.pop(key, _Bucket(self._burst, now))
        tokens = min(self._burst, bucket.tokens + (now - bucket.time_s) * self._rate)
        wait = 0.0 if tokens >= cost else (cost - tokens) / self._rate
        self._buckets[key] = _Bucket(tokens if wait else tokens - cost, now)
        while len(self._buckets) > self._clients:
            self._buckets.popitem(last=False)
        return wait

    def __len__(self) -> int:
        """Return the number of clients that are remembered."""
        return len(self._buckets)


class _Failures(NamedTuple):
    number: int
    last_s: float


class Lockout:
    """Locks out clients that send wrong tokens: for 30 s, 60 s, ... up to an hour."""

    def __init__(self, clock: Callable[[], float], clients: int = CLIENTS) -> None:
        self._clock = clock
        self._clients = clients
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._trusted: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait_s(self, key: str, digest: str = "") -> float:
        """Return the seconds for which a client is still locked out, 0 when it is not.

        `digest` stands for the token that it sends. A token that was right from this client before is accepted during
        a lockout, so that someone who guesses does not lock out others who share the address.
        """
        if (key, digest) in self._trusted:
            return 0.0
        failed = self._failures.get(key)
        if failed is None or failed.number < FREE_FAILURES:
            return 0.0
        # the exponent is bounded too: a float overflows at 2^1024
        lock = min(FIRST_LOCK_S * 2.0 ** min(failed.number - FREE_FAILURES, 20), LONGEST_LOCK_S)
        return max(0.0, failed.last_s + lock - self._clock())

    def failed(self, key: str) -> None:
        """Record a wrong token."""
        now = self._clock()
        failed = self._failures.pop(key, _Failures(0, now))
        failures = 0 if now - failed.last_s > FORGIVEN_S else failed.number
        self._failures[key] = _Failures(failures + 1, now)
        while len(self._failures) > self._clients:
            self._failures.popitem(last=False)

    def trust(self, key: str, digest: str) -> None:
        """Record that a token was right. The failures stay: a right token must not allow endless guesses."""
        self._trusted[key, digest] = None
        # a client that is in use must not be the one that is dropped
        self._trusted.move_to_end((key, digest))
        while len(self._trusted) > self._clients:
            self._trusted.popitem(last=False)

    def __len__(self) -> int:
        """Return the number of clients that are remembered."""
        return len(self._failures)
