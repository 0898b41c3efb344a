"""One POST: addresses that are allowed, certificates, redirects, time limits. Receivers are real, on loopback."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app.rules.http import Policy, WebhookFailed, is_public, post
from support.certificate import self_signed
from support.receiver import Reply, WebhookReceiver

HERE = Policy(allow_private=True)


def test_a_request_arrives_as_it_is() -> None:
    with WebhookReceiver(202) as receiver:
        answer = post(receiver.url("/a/b?c=1"), b"body", {"Content-Type": "text/plain", "X-One": "1"}, HERE)
    assert answer.status == 202
    ((path, headers, body),) = receiver.received
    assert (path, body) == ("/a/b?c=1", b"body")
    assert headers["content-type"] == "text/plain"
    assert headers["host"] == f"127.0.0.1:{receiver.server.server_port}"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.0.1", False),
        ("172.16.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.251", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:192.168.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("64:ff9b::c0a8:1", False),
        ("2002:c0a8:1::", False),
    ],
)
def test_addresses_are_public_or_not(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("address", ["127.0.0.1", "192.168.7.7", "::1", "169.254.169.254"])
def test_a_private_address_is_refused_unless_it_is_allowed(address: str) -> None:
    with pytest.raises(WebhookFailed, match=rf"hub\.example has the address {address}, which is not public: set allow"):
        post("http://hub.example/secret-path", b"", {}, Policy(), resolve=lambda *_: [address])


def test_a_group_address_is_never_used() -> None:
    with pytest.raises(WebhookFailed, match="which is not public"):
        post("http://hub.example/", b"", {}, HERE, resolve=lambda *_: ["224.0.0.251", "0.0.0.0"])


def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    """A name that resolves to another address the second time (DNS rebinding) changes nothing."""
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with WebhookReceiver() as receiver:
        port = receiver.server.server_port
        assert post(f"http://no-such-name.invalid:{port}/x", b"", {}, HERE, resolve=resolve).status == 204
    assert asked == ["no-such-name.invalid"]
    assert receiver.received[0].headers["host"] == f"no-such-name.invalid:{port}"


def test_the_next_address_is_tried_and_none_that_is_not_allowed() -> None:
    with WebhookReceiver() as receiver:
        url = receiver.url(host="hub.example")
        # nothing listens on 127.0.0.2, as on an IPv6 address that is not routed
        addresses = ["127.0.0.2", "224.0.0.1", "127.0.0.1"]
        assert post(url, b"", {}, HERE, resolve=lambda *_: addresses).status == 204
        with pytest.raises(WebhookFailed, match="Connection refused"):
            post(url, b"", {}, HERE, resolve=lambda *_: addresses[:2])


def test_a_certificate_is_checked(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    trusting = HERE._replace(ca_file=str(certificate[0]))
    with WebhookReceiver(certificate=certificate) as receiver:
        with pytest.raises(WebhookFailed, match="its certificate is refused: self-signed certificate"):
            post(receiver.url(), b"", {}, HERE)
        assert post(receiver.url(), b"1", {}, trusting).status == 204
        other = receiver.url(host="other.example")
        with pytest.raises(WebhookFailed, match="certificate is refused: Hostname mismatch"):
            post(other, b"", {}, trusting, resolve=lambda *_: ["127.0.0.1"])
    assert [one.body for one in receiver.received] == [b"1"]


def test_redirects_are_followed_only_when_asked_for() -> None:
    with WebhookReceiver() as end, WebhookReceiver(Reply(307, (("Location", end.url("/new")),))) as start:
        headers = {"Authorization": "Bearer t", "X-One": "1"}
        assert post(start.url(), b"b", headers, HERE).status == 307
        assert end.received == []
        assert post(start.url(), b"b", headers, HERE._replace(redirects=1)).status == 204
        ((path, arrived, body),) = end.received
        assert (path, body, arrived["x-one"]) == ("/new", b"b", "1")
        assert "authorization" not in arrived, "the token is for the first receiver"


def test_other_redirects_are_answers() -> None:
    with (
        WebhookReceiver(Reply(308, (("Location", "ftp://x/"),))) as receiver,
        pytest.raises(WebhookFailed, match="redirects to ftp://x, which is not followed"),
    ):
        post(receiver.url(), b"", {}, HERE._replace(redirects=3))
    with WebhookReceiver(Reply(303, (("Location", "/other"),))) as receiver:
        assert post(receiver.url(), b"", {}, HERE._replace(redirects=3)).status == 303
    with WebhookReceiver(Reply(307, (("Location", "/again"),))) as receiver:
        assert post(receiver.url(), b"", {}, HERE._replace(redirects=3)).status == 307
    assert len(receiver.received) == 4


def test_the_address_of_a_redirect_is_checked_too() -> None:
    asked: list[str] = []

    def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if host == "hub.example" else ["224.0.0.1"]

    with WebhookReceiver(Reply(307, (("Location", "http://inner.example/"),))) as receiver:
        url = receiver.url(host="hub.example")
        with pytest.raises(WebhookFailed, match=r"inner\.example has the address 224\.0\.0\.1, which is not public"):
            post(url, b"", {}, HERE._replace(redirects=3), resolve=resolve)
    assert asked == ["hub.example", "inner.example"]


def test_a_receiver_may_ask_for_a_wait() -> None:
    with WebhookReceiver(Reply(429, (("Retry-After", "120"),)), Reply(429, (("Retry-After", "Mon"),))) as receiver:
        assert post(receiver.url(), b"", {}, HERE).retry_after_s == 120
        assert post(receiver.url(), b"", {}, HERE).retry_after_s is None


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_receiver_that_does_not_answer_is_given_up(mute: socket.socket) -> None:
    port = mute.getsockname()[1]
    with pytest.raises(WebhookFailed, match=r"no answer within 0\.2 s|timed out"):
        post(f"http://127.0.0.1:{port}/", b"", {}, HERE._replace(timeout_s=0.2))


def test_an_answer_byte_by_byte_has_the_same_limit(mute: socket.socket) -> None:
    over = threading.Event()

    def drip() -> None:
        connection, _ = mute.accept()
        with connection:
            connection.recv(65536)
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000:
                if over.wait(0.02):
                    return
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(WebhookFailed, match=r"no answer within 0\.5 s"):
            post(f"http://127.0.0.1:{mute.getsockname()[1]}/", b"", {}, HERE._replace(timeout_s=0.5))
    finally:
        over.set()
        thread.join()


def test_failures_say_what_and_hide_the_path() -> None:
    with pytest.raises(WebhookFailed, match=r"^http://127\.0\.0\.1:1: Connection refused$"):
        post("http://127.0.0.1:1/s3cret", b"", {}, HERE)

    def unresolved(*_: object) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(WebhookFailed, match=r"^https://hub\.example: Name or service not known$"):
        post("https://hub.example/s3cret", b"", {}, HERE, resolve=unresolved)


def test_another_protocol_is_told(mute: socket.socket) -> None:
    def chatter() -> None:
        connection, _ = mute.accept()
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
            connection.recv(65536)

    thread = threading.Thread(target=chatter)
    thread.start()
    with pytest.raises(WebhookFailed, match=r"the answer is not HTTP \(BadStatusLine\)"):
        post(f"http://127.0.0.1:{mute.getsockname()[1]}/", b"", {}, HERE)
    thread.join()
