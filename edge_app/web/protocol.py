"""uvicorn's protocols with what they lack: deadlines for clients that do not send or read, and bounds on the head.

The only module that depends on uvicorn's private classes; pyproject.toml bounds its version for that reason.
"""

import asyncio
import re
from typing import Any

import h11
import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from edge_app.web.listener import ClientConnection
from edge_app.web.schema import Failure, Problem

HEAD_BYTES = 16 << 10
"""Longest head of a request: its line and its header fields."""
HEAD_FIELDS = 200
"""Most header fields of a request: parsing takes time for each."""
HEAD_S = 10.0
"""Longest time for a new connection to send a request's head, and for a client to send the rest of a body after the
response; for the heads of later requests see KEEP_ALIVE_S."""
KEEP_ALIVE_S = 20
"""Longest time from a response to the next request's head."""
READ_S = 15.0
"""Longest time for which a client may leave unread what it was sent."""
CHUNKS, CHUNK_BYTES = 1000, 256
"""A chunked body of more chunks than this must have so many bytes in each, on average."""
AHEAD_BYTES = 64 << 10
"""Bytes that a client may send before the response to its last request."""

# h11 accepts a lone \n too
_HEAD_END = re.compile(rb"\n\r?\n")
# written by hand: h11 has not seen the request, and cannot answer what it has not seen
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n"
    + msgspec.json.encode(
        Failure(Problem("too_long", f"the request's head has more than {HEAD_BYTES} bytes or {HEAD_FIELDS} fields"))
    )
)


class _Timer:
    """Aborts a connection unless it is stopped in time."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def start(self, transport: asyncio.Transport, seconds: float) -> None:
        # already running: a client that sends a byte now and then must not prolong it
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(seconds, transport.abort)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class _Parser(h11.Connection):
    """h11's parser, which refuses bodies of tiny chunks: each takes as long as a large one."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, HEAD_BYTES)
        self._chunks = self._bytes = 0

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = self._bytes = 0
        elif isinstance(event, h11.Data):
            self._chunks += 1
            self._bytes += len(event.data)
            # only after many: an honest client may end a body with one small chunk
            if self._chunks > CHUNKS and self._bytes < CHUNK_BYTES * self._chunks:
                raise h11.RemoteProtocolError("the chunks of the body are too small")
        return event


class BoundedHTTP(H11Protocol):
    """HTTP/1.1 that drops clients that do not send a head or do not read, and bounds heads while they arrive."""

    def __init__(self, connection: ClientConnection, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # in place of the parser that uvicorn made, before anything was received
        self.conn = _Parser()
        self._connection = connection
        self._timer, self._read_timer = _Timer(), _Timer()
        self._received = bytearray()
        """Bytes not yet given to the parser: an incomplete head, or data after a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._timer.start(transport, HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._timer.stop()
        self._read_timer.stop()
        super().connection_lost(exc)
        self._connection.lost()

    def data_received(self, data: bytes) -> None:
        """Pass on a head once it is complete, a body as it comes, and the next request after the response."""
        self._received += data
        # get_protocol: after an upgrade the rest belongs to the WebSocket's protocol
        while self._received and not self.transport.is_closing() and self.transport.get_protocol() is self:
            state = self.conn.their_state
            if state is h11.IDLE:
                piece = self._next_head()
            elif state is h11.SEND_BODY:
                piece = bytes(self._received[:HEAD_BYTES])  # trailers are fields too
            else:
                self._hold(state)
                return
            if not piece:
                return
            del self._received[: len(piece)]
            super().data_received(piece)
            if self.conn.their_state is h11.DONE and self.conn.trailing_data[0]:
                self.cycle.keep_alive = False  # the parser has part of the next request, whose head is not bounded

    def _hold(self, state: object) -> None:
        """Keep what came before the response was complete; drop it when no request may follow."""
        if state in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR):
            self._received.clear()
        elif len(self._received) > AHEAD_BYTES:
            self.transport.abort()
        else:
            # until on_response_complete: TCP makes the client wait
            self.flow.pause_reading()

    def _next_head(self) -> bytes:
        """Return the head that has arrived, b"" when it is incomplete; one that is too long ends the connection."""
        found = _HEAD_END.search(self._received, 0, HEAD_BYTES + 2)
        end = found.end() if found else len(self._received)
        if end > HEAD_BYTES or self._received.count(b"\n", 0, end) > HEAD_FIELDS + 2:
            self.transport.write(_TOO_LONG)
            self.transport.close()
            return b""
        # a control character, as in TLS, begins no request: the parser answers it at once
        return bytes(self._received[:end]) if found or self._received[0] <= 0x20 else b""

    def handle_events(self) -> None:
        """Handle what was received."""
        super().handle_events()
        if self.conn.their_state is not h11.IDLE and self.conn.our_state is not h11.DONE:
            self._timer.stop()
            self._connection.busy = True

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        self._connection.busy, self._connection.used = False, True
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # it was answered before its body had come
            # uvicorn would wait for the rest of the body without a limit
            self._timer.start(self.transport, HEAD_S)
        elif self._received:
            self.data_received(b"")

    def pause_writing(self) -> None:
        """Give the client READ_S to read."""
        super().pause_writing()
        # called when the transport's buffer is full: the client has stopped reading
        self._read_timer.start(self.transport, READ_S)

    def resume_writing(self) -> None:
        """Stop waiting: the client has read."""
        self._read_timer.stop()
        super().resume_writing()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Pass the connection to the WebSocket protocol."""
        self._timer.stop()
        self._read_timer.stop()
        super().handle_websocket_upgrade(event)
        upgraded = self.transport.get_protocol()
        assert isinstance(upgraded, BoundedWebSocket)
        upgraded.connection = self._connection


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that drops clients that do not read."""

    connection: ClientConnection

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._read_timer = _Timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._read_timer.stop()
        super().connection_lost(exc)
        self.connection.lost()

    def pause_writing(self) -> None:
        """Give the client READ_S to read."""
        super().pause_writing()
        self._read_timer.start(self.transport, READ_S)

    def resume_writing(self) -> None:
        """Stop waiting: the client has read."""
        self._read_timer.stop()
        super().resume_writing()


def http_protocol(server: uvicorn.Server, connection: ClientConnection) -> BoundedHTTP:
    """Return the protocol of a connection to a running server."""
    state = server.lifespan.state | {"edge_app.connection": connection}
    return BoundedHTTP(connection, config=server.config, server_state=server.server_state, app_state=state)
