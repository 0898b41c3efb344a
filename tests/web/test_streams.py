"""Streams of events and pictures; slow, lost and surplus clients do not affect the others."""

import asyncio
import json
import socket as sockets
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from edge_app.control.transfer import Exported
from edge_app.datasets.pictures import decode_image
from edge_app.web.events import WAITING, EventMessage, EventReader
from support.served import Served, api


def live(served: Served, query: str = "", path: str = "live", **options: object):  # type: ignore[no-untyped-def]
    address = f"{served.server.url.replace('http', 'ws', 1)}api/v1/{path}{query}"
    return connect(address, open_timeout=30, close_timeout=5, proxy=None, **options)  # type: ignore[arg-type]


def test_decisions_and_deeds_come_as_events(served: Served) -> None:
    with served.events() as events:
        name, data, number = next(events)
        assert (name, number) == ("decision", "")
        assert json.loads(data)["label"] is None
        served.http.post(api("/classes/red/teach"), headers={"Idempotency-Key": "x"})
        served.http.post(api("/undo"))
        seen: dict[str, dict[str, object]] = {}
        for name, data, _ in events:
            seen.setdefault(name, json.loads(data))
            if {"taught", "corrected", "health", "decision"} <= seen.keys():
                break
    assert seen["taught"]["label"] == "red"
    assert seen["corrected"]["kind"] == "undone"
    assert seen["corrected"]["labels"] == ["red"]
    assert seen["health"]["what"] in ("rebuilding", "rebuilt")


def test_decisions_come_at_most_ten_times_a_second(served: Served) -> None:
    with served.events() as events:
        next(events)
        began = time.monotonic()
        for _ in range(5):
            next(events)
        assert time.monotonic() - began > 0.35


def test_who_comes_back_gets_what_was_missed(served: Served) -> None:
    with served.events() as events:
        served.http.post(api("/classes/red/teach"))
        number = next(number for name, _, number in events if name == "taught")
    served.http.post(api("/classes/blue/teach"))
    with served.events(**{"Last-Event-ID": number}) as events:
        name, data, _ = next(event for event in events if event[0] in ("taught", "missed"))
        assert (name, json.loads(data)["label"]) == ("taught", "blue")
    for unknown in ("1", str(int(number) - 1000)):
        with served.events(**{"Last-Event-ID": unknown}) as events:
            assert next(events)[0] == "missed"


def test_pictures_come_over_a_websocket_with_their_numbers(served: Served) -> None:
    with live(served, "?max_side=320") as socket:
        numbers = []
        for _ in range(3):
            message = socket.recv(30)
            assert isinstance(message, bytes)
            numbers.append(int.from_bytes(message[:8], "big"))
            assert decode_image(message[8:]).shape == (32, 32, 3)
    assert numbers == sorted(set(numbers))
    answer = served.http.post(api("/classes/red/teach"), json={"frame": numbers[0]})
    assert answer.json()["frame"] == numbers[0]


def test_a_picture_is_made_once_for_all_and_none_while_nobody_looks(served: Served) -> None:
    assert served.control.pictures_made == 0
    with ExitStack() as stack:
        sockets = [stack.enter_context(live(served)) for _ in range(4)]
        seen = [{socket.recv(30)[:8] for _ in range(8)} for socket in sockets]
    made = served.control.pictures_made
    assert set.intersection(*seen)
    assert made < 2 * len(set.union(*seen))
    wait_until_all_left(served)
    before, decided = served.control.pictures_made, served.control.status().decided
    served.device.wait_for(lambda _: served.control.status().decided > decided + 30)
    assert served.control.pictures_made <= before + 1  # one may have been on its way


def test_pictures_come_as_motion_jpeg(served: Served) -> None:
    with served.http.stream("GET", api("/live.mjpg")) as answer:
        assert answer.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
        data = b""
        for part in answer.iter_bytes():
            data += part
            if data.count(b"--frame") >= 3:
                break
    first = data.split(b"--frame\r\n")[1]
    head, _, body = first.partition(b"\r\n\r\n")
    fields = dict(line.split(b": ") for line in head.split(b"\r\n"))
    assert int(fields[b"X-Frame-Sequence"]) >= 0
    assert decode_image(body[: int(fields[b"Content-Length"])]).ndim == 3


def test_more_pages_than_allowed_are_told_so(serve: Callable[..., Served]) -> None:
    served = serve(max_clients=1)
    with live(served) as first, live(served) as second:
        first.recv(30)
        second.recv(30)
        refused = served.http.get(api("/events"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_many")
        with live(served) as third, pytest.raises(ConnectionClosed) as closed:
            third.recv(30)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, "too many" in closed.value.rcvd.reason) == (1013, True)


def test_a_place_is_free_again_when_a_page_goes(serve: Callable[..., Served]) -> None:
    served = serve(max_clients=1)
    for _ in range(6):
        with served.events() as events:
            next(events)
        with live(served) as socket:
            socket.recv(30)
        wait_until_all_left(served)


def test_who_may_not_look_gets_no_pictures(serve: Callable[..., Served]) -> None:
    served = serve(loopback_role="none")
    with pytest.raises(InvalidStatus) as refused, live(served):
        pass
    assert refused.value.response.status_code == 403
    token = served.server.tokens.make("view")
    with live(served, additional_headers={"Authorization": f"Bearer {token}"}) as socket:
        assert socket.recv(30)
    with pytest.raises(InvalidStatus), live(served, origin="http://evil.example"):
        pass


def test_a_websocket_that_says_something_is_closed(served: Served) -> None:
    with live(served) as socket:
        socket.recv(30)
        socket.send("hello")
        with pytest.raises(ConnectionClosed):  # noqa: PT012 what was on its way comes first
            for _ in range(1000):
                socket.recv(30)


def test_who_does_not_read_is_dropped_and_the_others_go_on(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_app.web.protocol.READ_S", 0.3)
    served = serve()
    with sockets.socket() as raw, live(served) as other:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 2048)
        raw.connect(("127.0.0.1", served.server.port))
        ask = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        raw.sendall(300 * ask)  # nine megabytes of answers that are not read
        port = raw.getsockname()[1]
        for _ in range(600):
            other.recv(30)
            if port not in connected(served):
                break
        else:
            pytest.fail("it was not dropped")
        assert other.recv(30)


def connected(served: Served) -> list[int]:
    """Return the ports of the connected clients."""
    assert served.server._server is not None
    return [one.client[1] for one in served.server._server.server_state.connections if one.client is not None]


def test_a_slow_reader_misses_events_and_is_told(served: Served) -> None:
    async def read() -> tuple[list[EventMessage], list[EventMessage]]:
        reader = EventReader()
        for number in range(WAITING + 3):
            reader.put(EventMessage("taught", b"{}", number))
        reader.show(EventMessage("decision", b'{"n":1}'))
        reader.show(EventMessage("decision", b'{"n":2}'))
        return reader.take(), reader.take()

    first, second = asyncio.run(read())
    assert [message.name for message in first] == ["missed", *["taught"] * WAITING, "decision"]
    assert first[-1].data == b'{"n":2}'
    assert second == []


def test_events_come_over_a_websocket_too(served: Served) -> None:
    with live(served, path="events") as socket:
        first = json.loads(socket.recv(30))
        assert (first["event"], first["data"]["label"]) == ("decision", None)
        served.http.post(api("/classes/red/teach"))
        taught = next(event for event in map(json.loads, iter(socket.recv, None)) if event["event"] == "taught")
    assert taught["data"]["label"] == "red"
    assert taught["id"] > 0


def ends(read: Callable[[], object]) -> bool:
    """Whether a stream ends: what is on its way comes first."""
    try:
        for _ in range(1000):
            if read() == b"":
                return True
    except (OSError, ConnectionClosed):
        return True
    return False


@pytest.mark.parametrize("how", ["token", "session"])
def test_streams_end_when_their_token_or_session_is_removed(serve: Callable[..., Served], how: str) -> None:
    served = serve(loopback_role="none")
    token = served.server.tokens.make("view")
    other = served.server.tokens.make("administer")
    secret = served.server.tokens.start_session(token) or ""
    name, value = ("Authorization", f"Bearer {token}") if how == "token" else ("Cookie", f"edge_app={secret}")
    with ExitStack() as stack:
        sockets_ = [
            stack.enter_context(live(served, path=path, additional_headers={name: value}))
            for path in ("live", "events")
        ]
        raws = [stack.enter_context(opened(served, path, f"{name}: {value}")) for path in ("events", "live.mjpg")]
        admin = stack.enter_context(live(served, additional_headers={"Authorization": f"Bearer {other}"}))
        for socket in sockets_:
            assert socket.recv(30)
        for raw in raws:
            assert raw.recv(100).startswith(b"HTTP/1.1 200")
        if how == "token":
            served.server.tokens.remove("view")
        else:
            served.server.tokens.end_session(secret)
        assert all(ends(lambda raw=raw: raw.recv(1 << 16)) for raw in raws)
        assert all(ends(lambda socket=socket: socket.recv(30)) for socket in sockets_)
        assert {socket.close_code for socket in sockets_} == {4401}
        assert admin.recv(30)


def test_an_export_ends_when_its_token_is_removed(serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve(loopback_role="none")
    token = served.server.tokens.make("administer")
    served.control.teach("red")
    large = tmp_path / "large"
    large.write_bytes(bytes(64 << 20))
    served.control.open_export = lambda labels: Exported(large.open("rb"), 1)  # type: ignore[method-assign]
    with opened(served, "export", f"Authorization: Bearer {token}") as raw:
        assert raw.recv(100).startswith(b"HTTP/1.1 200")
        served.server.tokens.remove("administer")
        wait_until_all_left(served)
        assert ends(lambda: raw.recv(1 << 16))


def opened(served: Served, path: str, header: str, client: str = "127.0.0.1") -> sockets.socket:
    """Return a socket on which a stream has been asked for, from one of loopback's addresses."""
    raw = sockets.socket()
    raw.bind((client, 0))
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 1 << 16)
    raw.settimeout(30)
    raw.connect(("127.0.0.1", served.server.port))
    raw.sendall(f"GET /api/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n\r\n".encode())
    return raw


def test_one_client_leaves_streams_for_others(serve: Callable[..., Served]) -> None:
    served = serve(max_clients=4, loopback_role="none")
    token = served.server.tokens.make("view")
    headers = {"Authorization": f"Bearer {token}"}
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(live(served, additional_headers=headers)).recv(30)
        with served.client(token) as http:
            refused = http.get(api("/events"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_many")
        other = stack.enter_context(opened(served, "events", f"Authorization: Bearer {token}", client="127.0.0.9"))
        assert other.recv(100).startswith(b"HTTP/1.1 200")


def test_a_client_that_leaves_at_once_leaves_nothing_behind(served: Served) -> None:
    for _ in range(20):
        with httpx.Client() as http, http.stream("GET", served.server.url + "api/v1/events"):
            pass
    wait_until_all_left(served)


def wait_until_all_left(served: Served) -> None:
    site = served.server._site
    assert site is not None
    served.device.wait_for(lambda _: len(site.streams) == 0)


def test_viewers_are_told_when_no_picture_can_be_made(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in the program, which would else leave them waiting: the page connects anew."""
    served = serve()
    make, broken = served.device.control.picture, True

    def picture(side: int) -> object:
        if broken:
            raise ArithmeticError("on purpose")
        return make(side)

    monkeypatch.setattr(served.device.control, "picture", picture)
    with live(served) as socket, pytest.raises(ConnectionClosed):
        socket.recv(timeout=30)
    broken = False
    with live(served) as socket:
        assert len(socket.recv(timeout=30)) > 10


def test_events_go_on_after_one_that_could_not_be_sent(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep, refused = served.device.control.keep, []

    def refuse_once(sequence: int) -> None:
        if not refused:
            refused.append(sequence)
            raise ArithmeticError("on purpose")
        keep(sequence)

    monkeypatch.setattr(served.device.control, "keep", refuse_once)
    with served.events() as events:
        assert next(name for name, _, _ in events if name == "decision")
        assert next(name for name, _, _ in events if name == "decision")
    assert refused
    assert "events could not be sent" in caplog.text
