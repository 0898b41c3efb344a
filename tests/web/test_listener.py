"""Connections: bounded before the handshake, shared fairly among addresses, and never out of file descriptors."""

import errno
import resource
import socket
import ssl
import subprocess
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from edge_app.web.listener import ClientConnection, ConnectionTable
from support.certificate import self_signed
from support.served import Served, api


def fill(table: ConnectionTable, address: str, count: int, **state: bool) -> list[ClientConnection]:
    """Admit connections from an address, each in this state."""
    found = []
    for _ in range(count):
        connection = table.admit(address)
        assert connection is not None
        vars(connection).update(state)
        found.append(connection)
    return found


def test_one_address_may_hold_half_and_then_displaces_its_own_oldest() -> None:
    table = ConnectionTable(8)
    first, *_ = fill(table, "10.0.0.1", 6)
    assert len(table) == 4
    assert first not in table.connections()
    assert len(fill(table, "10.0.0.2", 4)) == 4
    assert len(table) == 8


def test_an_address_whose_connections_are_all_busy_gets_no_more() -> None:
    table = ConnectionTable(8)
    fill(table, "10.0.0.1", 4, busy=True)
    assert table.admit("10.0.0.1") is None
    assert table.admit("10.0.0.2") is not None


def test_connections_that_never_sent_a_request_go_first() -> None:
    table = ConnectionTable(4)
    used, silent = fill(table, "10.0.0.1", 1, used=True)[0], fill(table, "10.0.0.1", 1)[0]
    fill(table, "10.0.0.1", 1)
    assert used in table.connections()
    assert silent not in table.connections()


def test_a_newcomer_displaces_one_of_whoever_holds_the_most() -> None:
    table = ConnectionTable(6)
    fill(table, "10.0.0.1", 3, busy=True)
    fill(table, "10.0.0.2", 2, busy=True)
    fill(table, "10.0.0.3", 1, busy=True)
    fill(table, "10.0.0.4", 1, busy=True)
    keys = [one.key for one in table.connections()]
    assert sorted(keys) == ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.0.4"]


def test_among_many_addresses_the_longest_idle_makes_room() -> None:
    table = ConnectionTable(4)
    busy = fill(table, "10.0.0.1", 1, busy=True)[0]
    idle = [fill(table, f"10.0.0.{n}", 1)[0] for n in (2, 3, 4)]
    fill(table, "10.0.0.5", 1, busy=True)
    assert table.connections()[0] is busy
    assert idle[0] not in table.connections()
    for n in (6, 7):
        fill(table, f"10.0.0.{n}", 1, busy=True)
    assert table.admit("10.0.0.8") is None


def test_an_ipv6_network_is_one_address_and_a_proxy_is_many() -> None:
    table = ConnectionTable(4, [ip_network("127.0.0.1/32")])
    fill(table, "2001:db8::1", 1)
    fill(table, "2001:db8::2", 1)
    assert {one.key for one in table.connections()} == {"2001:db8::/64"}
    assert len(fill(table, "2001:db8::3", 1)) == 1
    assert len(table) == 2
    fill(table, "127.0.0.1", 2, busy=True)
    fill(table, "127.0.0.1", 1, busy=True)
    assert [one.key for one in table.connections()].count("127.0.0.1") == 3


def connect(served: Served, address: str) -> socket.socket:
    """Connect from one of loopback's many addresses."""
    return socket.create_connection(("127.0.0.1", served.server.port), 10, source_address=(address, 0))


def test_a_crowd_from_one_address_does_not_keep_others_out(serve: Callable[..., Served]) -> None:
    served = serve(max_clients=1)
    crowd = [connect(served, "127.0.0.3") for _ in range(160)]
    for _ in range(5):
        with httpx.Client(base_url=served.server.url, timeout=10) as http:
            assert http.get(api("/session")).status_code == 200
        crowd += [connect(served, "127.0.0.3") for _ in range(20)]
    for one in crowd:
        one.close()


def test_silent_tls_connections_are_bounded_and_given_up(
    serve: Callable[..., Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_app.web.listener.HANDSHAKE_S", 1.0)
    certificate, key = self_signed(tmp_path)
    served = serve(certificate=str(certificate), key=str(key), max_clients=1)
    silent = [connect(served, "127.0.0.3") for _ in range(100)]
    context = ssl.create_default_context(cafile=str(certificate))
    with httpx.Client(base_url=served.server.url, verify=context, timeout=10) as http:
        assert http.get(api("/session")).status_code == 200
    listener = served.server._listener
    assert listener is not None
    assert len(listener._table) <= 38
    for one in silent:
        one.settimeout(10)
        assert one.recv(1) == b""  # displaced at once, or given up after HANDSHAKE_S
        one.close()


def test_descriptors_are_left_for_the_store(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    used = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (used + 64 + 30, 4096))
    served = serve()
    crowd = [connect(served, f"127.0.0.{n}") for n in range(3, 9) for _ in range(20)]
    assert served.control.teach("red").label == "red"
    listener = served.server._listener
    assert listener is not None
    served.device.wait_for(lambda _: len(listener._table) <= 40)
    for one in crowd:
        one.close()


def test_a_system_that_accepts_nothing_is_tried_again(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listener = served.server._listener
    assert listener is not None
    bound, failures = listener._socket, [OSError(errno.EMFILE, "Too many open files")]

    class Exhausted:
        def accept(self) -> tuple[socket.socket, tuple[str, int]]:
            if failures:
                raise failures.pop()
            return bound.accept()

        def fileno(self) -> int:
            return bound.fileno()

    monkeypatch.setattr(listener, "_socket", Exhausted())
    with httpx.Client(base_url=served.server.url, timeout=10) as http:
        assert http.get(api("/session")).status_code == 200
    assert "no connection can be accepted: Too many open files" in caplog.text


@pytest.mark.slow
def test_the_service_survives_a_thousand_silent_tls_connections(tmp_path: Path) -> None:
    """With 1024 descriptors for the process, as systemd gives by default."""
    from support.service_process import running

    certificate, key = self_signed(tmp_path)
    tls = f'certificate = "{certificate}"\nkey = "{key}"\n'
    pids: list[int] = []
    with running(tmp_path, config=tls, pids=pids) as url:
        subprocess.run(["prlimit", "--pid", str(pids[0]), "--nofile=1024:1024"], check=True)
        port = httpx.URL(url).port
        silent = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(1100)]
        context = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(base_url=url, verify=context, timeout=30, headers={"X-Edge-App": "1"}) as http:
            assert http.post(api("/classes/thing/teach")).status_code == 201
        for one in silent:
            one.close()
