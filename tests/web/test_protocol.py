"""HTTP over raw sockets: bounded heads, requests one after the other, bodies that are answered before they end."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from edge_app.web.protocol import CHUNKS, HEAD_BYTES, HEAD_FIELDS
from support.served import Served

GET = b"GET /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /api/v1/undo HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Edge-App: 1\r\nContent-Type: application/json\r\n"


@contextmanager
def connected(served: Served) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", served.server.port), 30) as raw:
        yield raw


def received(raw: socket.socket) -> bytes:
    """Return all that comes until the connection ends."""
    data = b""
    try:
        while part := raw.recv(1 << 16):
            data += part
    except ConnectionResetError:
        pass  # it had not read all that was sent
    return data


def padded(size: int, *, fields: int = 1) -> bytes:
    """Return a request whose head has this size and so many fields beside Host and Connection."""
    start = GET + b"Connection: close\r\n"
    room = size - len(start) - 2 - fields * len(b"X: \r\n")
    share, rest = divmod(room, fields)
    return start + b"".join(b"X: %s\r\n" % (b"a" * (share + (n < rest))) for n in range(fields)) + b"\r\n"


def test_a_head_of_the_longest_size_is_answered(served: Served) -> None:
    for head in (padded(HEAD_BYTES), padded(HEAD_BYTES, fields=HEAD_FIELDS - 2)):
        assert len(head) == HEAD_BYTES
        with connected(served) as raw:
            raw.sendall(head)
            assert received(raw).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("size", [HEAD_BYTES + 1, 99_000, 250_000])
def test_a_longer_head_is_refused_in_one_piece_or_many(served: Served, size: int) -> None:
    head = padded(size)
    for pieces in (1, 40):
        with connected(served) as raw:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for start in range(0, size, size // pieces + 1):
                    raw.sendall(head[start : start + size // pieces + 1])
            except OSError:
                pass  # it was refused before all was sent
            assert received(raw)[:12] in (b"HTTP/1.1 431", b"")  # "": reset, and the answer with it


def test_more_fields_are_refused(served: Served) -> None:
    with connected(served) as raw:
        raw.sendall(padded(8000, fields=HEAD_FIELDS - 1))
        answer = received(raw)
    assert answer.startswith(b"HTTP/1.1 431")
    assert b'"code":"too_long"' in answer


def test_a_head_may_come_byte_by_byte(served: Served) -> None:
    with connected(served) as raw:
        for byte in GET + b"Connection: close\r\n\r\n":
            raw.sendall(bytes([byte]))
        assert received(raw).startswith(b"HTTP/1.1 200")


def test_requests_sent_ahead_are_answered_in_turn(served: Served) -> None:
    body = POST + b"Content-Length: 2\r\n\r\n{}"
    for sent, count in ((GET + b"\r\n") * 50, 50), (body + GET + b"\r\n", 1):
        with connected(served) as raw:
            raw.sendall(sent + (GET + b"Connection: close\r\n\r\n") * (count > 1))
            answers = received(raw).split(b"HTTP/1.1 ")[1:]
        # what comes in one piece with a body is not answered: the connection ends, and the client sends it again
        assert [answer[:3] for answer in answers] == ([b"200"] * 51 if count > 1 else [b"409"])


def test_too_much_sent_ahead_ends_the_connection(served: Served) -> None:
    with connected(served) as raw:
        try:
            raw.sendall((GET + b"\r\n") * 10_000)
        except OSError:
            return
        assert received(raw).count(b"HTTP/1.1 200") < 10_000


def test_a_long_head_behind_another_request_is_refused_too(served: Served) -> None:
    with connected(served) as raw:
        raw.sendall(GET + b"\r\n" + padded(60_000))
        answers = received(raw).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] in ([b"200", b"431"], [b"200"])


def test_a_body_of_tiny_chunks_is_refused_and_one_of_few_is_not(served: Served) -> None:
    chunked = POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connected(served) as raw:
        raw.sendall(chunked + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")
        assert received(raw).startswith(b"HTTP/1.1 409")
    with connected(served) as raw:
        with suppress(OSError):
            raw.sendall(chunked + b"1\r\n \r\n" * 10 * CHUNKS + b"0\r\n\r\n")
        assert received(raw)[:12] in (b"HTTP/1.1 400", b"")


def test_many_trailers_are_refused(served: Served) -> None:
    with connected(served) as raw:
        with suppress(OSError):
            raw.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + b"a: b\r\n" * 40_000 + b"\r\n")
        assert received(raw)[:12] in (b"HTTP/1.1 400", b"")


def test_the_rest_of_a_body_that_was_answered_early_has_a_deadline(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_app.web.protocol.HEAD_S", 0.3)
    served = serve()
    with connected(served) as raw:
        raw.sendall(GET.replace(b"GET", b"PUT") + b"Content-Length: 1000000\r\n\r\n{")
        assert received(raw).startswith(b"HTTP/1.1 4")


def test_tls_to_the_plain_port_is_answered_at_once(served: Served) -> None:
    with connected(served) as raw:
        raw.sendall(bytes([0x16, 3, 1, 2, 0]))
        assert received(raw).startswith(b"HTTP/1.1 400")
