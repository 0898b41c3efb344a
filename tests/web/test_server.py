"""The server: TLS, the address, start and stop, and clients that hang up."""

import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from edge_app.config import WebConfig
from edge_app.errors import DeviceError, InputError
from edge_app.web.server import WebServer, port_user
from support.certificate import self_signed
from support.device import Device
from support.served import Served, api
from support.simple_network import open_learner


def test_tls_with_certificate_files(tmp_path: Path, serve: Callable[..., Served]) -> None:
    certificate, key = self_signed(tmp_path)
    served = serve(certificate=str(certificate), key=str(key), loopback_role="none")
    token = served.server.tokens.make("view")
    with served.client(verify=ssl.create_default_context(cafile=str(certificate))) as http:
        signed = http.post(api("/session"), json={"token": token})
        assert "__Host-edge_app=" in signed.headers["set-cookie"]
        assert "Secure" in signed.headers["set-cookie"]
        assert http.get(api("/state")).json()["role"] == "view"
        assert "strict-transport-security" not in http.get("/").headers  # other ports of the host may use plain HTTP
    with pytest.raises(httpx.TransportError):
        httpx.get(served.server.url.replace("https", "http"))


def test_hsts_is_sent_when_asked_for(tmp_path: Path, serve: Callable[..., Served]) -> None:
    certificate, key = self_signed(tmp_path)
    served = serve(certificate=str(certificate), key=str(key), hsts_days=2)
    with served.client(verify=ssl.create_default_context(cafile=str(certificate))) as http:
        assert http.get("/").headers["strict-transport-security"] == "max-age=172800"


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("x")
    config = WebConfig(enabled=True, port=0, certificate=str(tmp_path / "c.pem"), key=str(tmp_path / "c.pem"))
    with (
        open_learner(tmp_path) as learner,
        Device(tmp_path, learner) as device,
        pytest.raises(InputError, match=r"c\.pem.* cannot be used for TLS"),
    ):
        WebServer({"camera": device.control}, device.places, config, tmp_path / "t.json")


def test_an_address_that_cannot_be_bound_is_named_with_the_reason(served: Served, tmp_path: Path) -> None:
    taken = WebConfig(enabled=True, port=served.server.port)
    with pytest.raises(
        DeviceError, match=rf"127\.0\.0\.1 port \d+ cannot be used: the program .*process {os.getpid()}"
    ):
        WebServer({"camera": served.control}, served.device.places, taken, tmp_path / "t.json")
    elsewhere = WebConfig(enabled=True, host="203.0.113.7", port=0, plain_http=True)
    with pytest.raises(DeviceError, match=r"this machine has no such address"):
        WebServer({"camera": served.control}, served.device.places, elsewhere, tmp_path / "t.json")


def test_an_ipv6_socket_knows_this_machine_over_ipv4_too(serve: Callable[..., Served]) -> None:
    served = serve(host="::", plain_http=True)
    for host in ("127.0.0.1", "[::1]"):
        answer = httpx.get(f"http://{host}:{served.server.port}/api/v1/session", timeout=10)
        assert answer.json() == {"role": "administer"}


def test_a_port_of_another_users_program_is_only_called_taken(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    line = "0: 0100007F:223D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 4711 1 0 100 0 0 10 0"
    (tmp_path / "net" / "tcp").write_text(f"sl local_address ...\n{line}\n")
    assert port_user(4, 0x223D, tmp_path) == "another program"
    (tmp_path / "99" / "fd").mkdir(parents=True)
    (tmp_path / "99" / "fd" / "3").symlink_to("socket:[4711]")
    (tmp_path / "99" / "comm").write_text("nginx\n")
    assert port_user(4, 0x223D, tmp_path) == "the program 'nginx' (process 99)"
    assert port_user(4, 0x223E, tmp_path) == "another program"


def test_tokens_that_are_damaged_keep_it_from_starting_and_later_let_nobody_in(served: Served, tmp_path: Path) -> None:
    served.tokens.write_text("{")
    served.tokens.chmod(0o600)
    with served.client("edge-x") as http:
        answer = http.get(api("/state"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "tokens")
    with pytest.raises(InputError, match="is damaged"):
        WebServer({"camera": served.control}, served.device.places, WebConfig(enabled=True, port=0), served.tokens)


def test_a_stop_ends_what_flows(serve: Callable[..., Served]) -> None:
    served = serve()
    ended = threading.Event()

    def follow() -> None:
        with served.client() as http, served.events(http) as events:
            for _ in events:
                began.set()
        ended.set()

    began = threading.Event()
    thread = threading.Thread(target=follow)
    thread.start()
    assert began.wait(30)
    served.server.close()
    assert ended.wait(10)
    thread.join()
    served.server.close()


def test_a_server_that_cannot_begin_says_so(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("a mistake")

    monkeypatch.setattr("edge_app.web.site.Site", fails)
    with WebServer(
        {"camera": served.control}, served.device.places, WebConfig(enabled=True, port=0), tmp_path / "t.json"
    ) as server:
        with pytest.raises(DeviceError, match="could not be started: a mistake"):
            server.start()
        assert isinstance(server.failure, ValueError)
    assert "have stopped" in caplog.text


def test_an_idle_connection_is_let_go_and_half_a_request_too(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_app.web.protocol.HEAD_S", 0.2)
    served = serve()
    for sent in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"):
        with socket.create_connection(("127.0.0.1", served.server.port), 10) as raw:
            raw.sendall(sent)
            assert raw.recv(100) == b""


def test_a_client_that_hangs_up_half_way_is_no_mistake_of_ours(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port), 10) as raw:
        head = "POST /api/v1/undo HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Edge-App: 1\r\nContent-Length: 100\r\n\r\n{"
        raw.sendall(head.encode())
    for _ in range(20):
        assert served.http.get(api("/session")).status_code == 200
    served.server.close()
    assert caplog.records == []


def test_more_connections_than_allowed_are_dropped_and_the_page_still_answers(serve: Callable[..., Served]) -> None:
    served = serve(max_clients=1)
    raws = [socket.create_connection(("127.0.0.1", served.server.port), 10) for _ in range(60)]
    for raw in raws:
        raw.close()
    for _ in range(100):
        try:
            if served.http.get(api("/session")).status_code == 200:
                break
        except httpx.TransportError:
            continue
    else:
        pytest.fail("it does not answer any more")
