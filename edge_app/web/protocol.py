"""uvicorn's protocols, with timeouts for clients that do not send or read, and a bound on connections.

The only module that depends on uvicorn's private classes; pyproject.toml bounds its version for that reason.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_S = 10.0
"""Longest time for a connection to send the head of a request, the first or a later one."""
READ_S = 15.0
"""Longest time for which a client may leave unread what it was sent."""


class _Timer:
    """Aborts a connection unless it is stopped in time."""

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
    """HTTP/1.1 that drops clients that send no request or do not read, and those beyond the bound."""

    most = 128
    """How many connections may be open, WebSockets included."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head, self._reading = _Timer(), _Timer()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or drop it."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        else:
            self._head.start(transport, HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._head.stop()
        self._reading.stop()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Handle what was received; once the head is complete, the body has a deadline of its own."""
        super().handle_events()
        if self.conn.their_state is not h11.IDLE:
            self._head.stop()

    def on_response_complete(self) -> None:
        """Wait for the next request; uvicorn closes an idle connection, this a half-sent head."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._head.start(self.transport, HEAD_S + self.timeout_keep_alive)

    def pause_writing(self) -> None:
        """Give the client READ_S to read."""
        super().pause_writing()
        self._reading.start(self.transport, READ_S)

    def resume_writing(self) -> None:
        """Stop waiting: the client has read."""
        self._reading.stop()
        super().resume_writing()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Pass the connection to the WebSocket protocol."""
        self._head.stop()
        self._reading.stop()
        super().handle_websocket_upgrade(event)


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that drops clients that do not read."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reading = _Timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._reading.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give the client READ_S to read."""
        super().pause_writing()
        self._reading.start(self.transport, READ_S)

    def resume_writing(self) -> None:
        """Stop waiting: the client has read."""
        self._reading.stop()
        super().resume_writing()


def bounded_http(most: int) -> type[BoundedHTTP]:
    """Return the protocol with a bound on connections."""
    return type("Bounded", (BoundedHTTP,), {"most": most})
