"""Streams of events and pictures; slow, lost and surplus clients do not affect the others."""

import asyncio
import json
import socket as sockets
import time
from collections.abc import Callable
from contextlib import ExitStack

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from edge_app.encoder.preprocess import decode_image
from edge_app.web.streams import WAITING, EventReader, event_of
from support.served import Served, api


def live(served: Served, query: str = "", **options: object):  # type: ignore[no-untyped-def]
    address = served.server.url.replace("http", "ws", 1) + "api/v1/live" + query
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
    async def read() -> tuple[bytes, bytes]:
        reader = EventReader()
        for number in range(WAITING + 3):
            reader.put(event_of("taught", {"n": number}, number))
        reader.show(event_of("decision", {"n": 1}))
        reader.show(event_of("decision", {"n": 2}))
        return reader.take(), reader.take()

    first, second = asyncio.run(read())
    assert first.startswith(b"event: missed\n")
    assert first.count(b"event: taught") == WAITING
    assert first.count(b"event: decision") == 1
    assert b'{"n":2}' in first
    assert second == b""


def test_a_client_that_leaves_at_once_leaves_nothing_behind(served: Served) -> None:
    for _ in range(20):
        with httpx.Client() as http, http.stream("GET", served.server.url + "api/v1/events"):
            pass
    wait_until_all_left(served)


def wait_until_all_left(served: Served) -> None:
    site = served.server._site
    assert site is not None
    served.device.wait_for(lambda _: site.streams.open == 0)
