"""Rate limit and lockout; their tables have a fixed size."""

import pytest

from edge_app.web.limits import FREE_FAILURES, LONGEST_LOCK_S, Lockout, RateLimiter, client_key, plain_address


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_fills_with_time() -> None:
    clock = Clock()
    limiter = RateLimiter(10, 3, clock)
    assert [limiter.wait_s("a") for _ in range(3)] == [0, 0, 0]
    assert limiter.wait_s("a") == pytest.approx(0.1)
    assert limiter.wait_s("b") == 0
    clock.now += 0.1
    assert limiter.wait_s("a") == 0
    clock.now += 100
    assert [limiter.wait_s("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_guessing_takes_longer_and_longer() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    for _ in range(FREE_FAILURES - 1):
        lockout.failed("a")
    assert lockout.wait_s("a") == 0
    locks = []
    for _ in range(12):
        lockout.failed("a")
        locks.append(lockout.wait_s("a"))
        clock.now += locks[-1]
        assert lockout.wait_s("a") == 0
    assert locks[:3] == [30, 60, 120]
    assert locks[-1] == LONGEST_LOCK_S
    assert lockout.wait_s("b") == 0
    lockout.trust("a", "digest")
    lockout.failed("a")
    assert lockout.wait_s("a") == LONGEST_LOCK_S
    assert lockout.wait_s("a", "digest") == 0


def test_failures_are_forgiven_after_a_day() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    for _ in range(FREE_FAILURES):
        lockout.failed("a")
    clock.now += 25 * 3600
    lockout.failed("a")
    assert lockout.wait_s("a") == 0


def test_the_tables_are_bounded() -> None:
    clock = Clock()
    limiter, lockout = RateLimiter(10, 3, clock, clients=100), Lockout(clock, clients=100)
    for number in range(5000):
        limiter.wait_s(str(number))
        lockout.failed(str(number))
    assert (len(limiter), len(lockout)) == (100, 100)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not an address", "not an address"),
    ],
)
def test_an_ipv6_network_is_one_client(address: str, key: str) -> None:
    assert client_key(address) == key


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("10.0.0.1", "10.0.0.1"),
        ("a socket", "a socket"),
    ],
)
def test_an_ipv4_client_of_an_ipv6_socket_has_its_ipv4_address(address: str, plain: str) -> None:
    assert plain_address(address) == plain
