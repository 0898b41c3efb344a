"""uvicorn's protocols with what they lack: patience that ends, and a bound on connections as such."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_S = 10.0
"""The longest that a connection may take to send a request's head, the first included."""
READ_S = 15.0
"""The longest that a client may leave unread what it was sent."""


class _Timer:
    """Ends a connection, unless it is stopped in time."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def start(self, transport: asyncio.Transport, seconds: float) -> None:
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(seconds, transport.abort)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class BoundedHTTP(H11Protocol):
    """HTTP/1.1 that drops who sends no request, who does not read, and who is one too many."""

    most = 128
    """Connections that may be open, WebSockets included."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head, self._reading = _Timer(), _Timer()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or drop it."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        else:
            self._head.start(transport, HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._head.stop()
        self._reading.stop()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take in what came; once the head is complete, what follows has a patience of its own."""
        super().handle_events()
        if self.conn.their_state is not h11.IDLE:
            self._head.stop()

    def on_response_complete(self) -> None:
        """Wait for the next request; an idle connection is closed by uvicorn, a half-sent head here."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._head.start(self.transport, HEAD_S + self.timeout_keep_alive)

    def pause_writing(self) -> None:
        """Note that the client does not read as fast as it is sent."""
        super().pause_writing()
        self._reading.start(self.transport, READ_S)

    def resume_writing(self) -> None:
        """Note that it read."""
        self._reading.stop()
        super().resume_writing()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over."""
        self._head.stop()
        self._reading.stop()
        super().handle_websocket_upgrade(event)


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that drops who does not read."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reading = _Timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._reading.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Note that the client does not read as fast as it is sent."""
        super().pause_writing()
        self._reading.start(self.transport, READ_S)

    def resume_writing(self) -> None:
        """Note that it read."""
        self._reading.stop()
        super().resume_writing()


def bounded_http(most: int) -> type[BoundedHTTP]:
    """Return the protocol with a bound on connections."""
    return type("Bounded", (BoundedHTTP,), {"most": most})
