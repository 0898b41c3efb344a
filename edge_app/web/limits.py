"""How much one client may ask, and what happens to those who guess: tables of fixed size, whoever comes."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

CLIENTS = 1024
"""Addresses that are remembered; the one that was silent longest is forgotten for a new one."""
FREE_FAILURES = 5
"""Wrong tokens before a client is locked out."""
FIRST_LOCK_S, LONGEST_LOCK_S = 30.0, 3600.0
FORGIVEN_S = 24 * 3600.0
"""Without another wrong token, a client's failures are forgotten."""


def client_key(address: str) -> str:
    """Return what stands for a client: its IPv4 address, or its IPv6 network of 64 bits, which one host may fill."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


class _Bucket(NamedTuple):
    tokens: float
    time_s: float


class RateLimiter:
    """A token bucket a client: `rate` a second, `burst` at once."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float], clients: int = CLIENTS) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._clients = clients
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, key: str, cost: float = 1.0) -> float:
        """Take `cost` and return 0; or, when there is not enough, the seconds until there will be."""
        now = self._clock()
        bucket = self._buckets.pop(key, _Bucket(self._burst, now))
        tokens = min(self._burst, bucket.tokens + (now - bucket.time_s) * self._rate)
        wait = 0.0 if tokens >= cost else (cost - tokens) / self._rate
        self._buckets[key] = _Bucket(tokens if wait else tokens - cost, now)
        while len(self._buckets) > self._clients:
            self._buckets.popitem(last=False)
        return wait

    def __len__(self) -> int:
        """Return how many clients are remembered."""
        return len(self._buckets)


class _Guesser(NamedTuple):
    failures: int
    last_s: float


class Lockout:
    """Who sent wrong tokens, and until when nothing of theirs is looked at: 30 s, 60 s, ... an hour."""

    def __init__(self, clock: Callable[[], float], clients: int = CLIENTS) -> None:
        self._clock = clock
        self._clients = clients
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()
        self._trusted: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait_s(self, key: str, mark: str = "") -> float:
        """Return the seconds for which a client is still locked out; 0: it is not.

        `mark` stands for the token it sends: one that was right before from there is looked at all the same, so that
        who guesses locks out none of those who share an address with them.
        """
        if (key, mark) in self._trusted:
            return 0.0
        guesser = self._guessers.get(key)
        if guesser is None or guesser.failures < FREE_FAILURES:
            return 0.0
        lock = min(FIRST_LOCK_S * 2.0 ** min(guesser.failures - FREE_FAILURES, 20), LONGEST_LOCK_S)
        return max(0.0, guesser.last_s + lock - self._clock())

    def failed(self, key: str) -> None:
        """Note a wrong token."""
        now = self._clock()
        guesser = self._guessers.pop(key, _Guesser(0, now))
        failures = 0 if now - guesser.last_s > FORGIVEN_S else guesser.failures
        self._guessers[key] = _Guesser(failures + 1, now)
        while len(self._guessers) > self._clients:
            self._guessers.popitem(last=False)

    def succeeded(self, key: str, mark: str = "") -> None:
        """Forget a client's failures, and remember that this token was right."""
        self._guessers.pop(key, None)
        if mark:
            self._trusted[key, mark] = None
            self._trusted.move_to_end((key, mark))
            while len(self._trusted) > self._clients:
                self._trusted.popitem(last=False)

    def __len__(self) -> int:
        """Return how many clients are remembered."""
        return len(self._guessers)
