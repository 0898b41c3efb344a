"""Open streams: events, pictures and exports, over HTTP or a WebSocket.

They are counted, in all and per client, and end within seconds when the client's token or session is removed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from edge_app.control import Control
from edge_app.control.pictures import SIDES
from edge_app.roles import Role
from edge_app.web.access import AccessPolicy, Client, close_code
from edge_app.web.events import EventFeed
from edge_app.web.pictures import PictureFeed, read_side
from edge_app.web.responses import NO_STORE, ApiError

BOUNDARY = "frame"
CHECK_S = 1.0
"""Time between two looks at whether the clients still have their roles."""
TRY_AGAIN_LATER, GOING_AWAY, POLICY_VIOLATION = 1013, 1001, 1008
"""WebSocket close codes (RFC 6455)."""
SIGNED_OUT = ApiError(401, "sign_in", "the token or session of this stream is no longer valid")


class ClientStream:
    """One open stream of a client."""

    def __init__(self, client: Client, role: Role) -> None:
        """`role` is what the client needs for as long as the stream is open."""
        self.client = client
        self.role = role
        self.revoked = False
        self._over = asyncio.Event()

    def end(self, *, revoked: bool = False) -> None:
        """End the stream, because the server stops or because the client no longer has its role."""
        self.revoked = revoked
        self._over.set()

    async def run(self, *work: Awaitable[object]) -> bool:
        """Wait until the first of `work` is done, or the stream has to end, and cancel the rest; whether it had to end.

        Raises what that work raised.
        """
        tasks = [asyncio.ensure_future(one) for one in work]
        over = asyncio.create_task(self._over.wait())
        try:
            done, _ = await asyncio.wait([*tasks, over], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, over):
                task.cancel()
            # cancelled tasks are awaited, so that their clean-up has run and no exception is left unread
            await asyncio.gather(*tasks, over, return_exceptions=True)
        for task in tasks:
            if task in done:
                task.result()
        return over in done


class EndlessResponse(StreamingResponse):
    """The response of a stream; protocol.py drops a client that does not read."""

    def __init__(
        self,
        streams: "Streams",
        stream: ClientStream,
        content: AsyncIterator[bytes],
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        # nginx would otherwise collect events until its buffer is full
        super().__init__(content, media_type=media_type, headers={**NO_STORE, "X-Accel-Buffering": "no", **headers})
        self._streams = streams
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client disconnects, the content ends, or the stream has to end."""
        started = False

        async def send_counted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if not await self._stream.run(super().__call__(scope, receive, send_counted)):
                return
        finally:
            self._streams.leave(self._stream)
        # an endless stream ends properly when the device stops, so that a browser reconnects
        if started and not self._stream.revoked and "content-length" not in self.headers:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        # what was sent and not yet received must not arrive either, and half a file must not look complete
        scope["state"]["edge_app.connection"].drop()
        # uvicorn logs an error for a response that returns before it is complete
        while (await receive())["type"] != "http.disconnect":
            pass


class Streams:
    """The open streams; one object per server, used in its event loop only."""

    def __init__(self, control: Control, policy: AccessPolicy, most: int) -> None:
        """`most` streams may be open, three quarters of them by one client."""
        self._policy = policy
        self._most = most
        # at least two, which one page needs; the rest is left for another client
        self._share = max(2, most * 3 // 4)
        self._open: set[ClientStream] = set()
        self._ending = False
        self._events = EventFeed(control)
        self._pictures = {side: PictureFeed(control, side) for side in SIDES}
        self._checking = asyncio.create_task(self._check())

    def __len__(self) -> int:
        """Return the number of open streams."""
        return len(self._open)

    def end(self) -> None:
        """Tell all streams to end."""
        self._ending = True
        for stream in self._open:
            stream.end()

    async def close(self) -> None:
        """End all streams and the tasks that feed them."""
        self.end()
        self._checking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._checking
        await self._events.close()
        for feed in self._pictures.values():
            await feed.close()

    def enter(self, client: Client, role: Role = "view") -> ClientStream:
        """Open a stream. Raises ApiError when too many are open."""
        client.require(role)
        retry = {"Retry-After": "10"}
        if self._ending:
            raise ApiError(503, "busy", "the device is stopping", headers=retry)
        if len(self._open) >= self._most:
            raise ApiError(503, "too_many", "too many pages are open: close one", headers=retry)
        if sum(one.client.key == client.key for one in self._open) >= self._share:
            raise ApiError(503, "too_many", "too many pages are open at this address: close one", headers=retry)
        stream = ClientStream(client, role)
        self._open.add(stream)
        return stream

    def leave(self, stream: ClientStream) -> None:
        """Count a stream as closed."""
        self._open.discard(stream)

    async def _check(self) -> None:
        """End the streams of clients that no longer have their role."""
        while True:
            await asyncio.sleep(CHECK_S)
            # no await in this loop: streams cannot leave the set meanwhile
            for stream in self._open:
                if not self._policy.still_allows(stream.client, stream.role):
                    stream.end(revoked=True)

    # Over HTTP

    def respond(
        self,
        client: Client,
        content: AsyncIterator[bytes],
        media_type: str,
        *,
        role: Role = "view",
        headers: Mapping[str, str] | None = None,
    ) -> EndlessResponse:
        """Return a response that sends `content` as a stream. Raises ApiError."""
        return EndlessResponse(self, self.enter(client, role), content, media_type, headers or {})

    def events(self, client: Client, request: Request) -> EndlessResponse:
        """Answer with endless server-sent events. Raises ApiError."""
        last = request.headers.get("last-event-id", "")
        # an invalid number is ignored, as browsers send back whatever they were given
        since = int(last) if last.isascii() and last.isdecimal() and len(last) < 19 else None
        return self.respond(client, self._sse(since), "text/event-stream")

    async def _sse(self, last: int | None) -> AsyncIterator[bytes]:
        # a browser reconnects after a second; sent at once, so that the response's head does not wait for an event
        yield b"retry: 1000\n: edge-app\n\n"
        async for messages in self._events.read(last):
            yield b"".join(message.as_sse() for message in messages) or b": alive\n\n"

    def mjpeg(self, client: Client, request: Request) -> EndlessResponse:
        """Answer with endless pictures, multipart/x-mixed-replace. Raises ApiError."""
        side = read_side(request.query_params.get("max_side"))
        return self.respond(client, self._parts(side), f"multipart/x-mixed-replace; boundary={BOUNDARY}")

    async def _parts(self, side: int) -> AsyncIterator[bytes]:
        async for picture in self._pictures[side].pictures():
            head = (
                f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n"
                f"X-Frame-Sequence: {picture.sequence}\r\n\r\n"
            )
            yield head.encode() + picture.jpeg + b"\r\n"

    # Over a WebSocket

    async def live_socket(self, socket: WebSocket) -> None:
        """Send pictures until the WebSocket closes: 8 bytes of sequence number, then a JPEG."""

        async def send() -> None:
            async for picture in self._pictures[side].pictures():
                await socket.send_bytes(picture.sequence.to_bytes(8, "big") + picture.jpeg)

        try:
            side = read_side(socket.query_params.get("max_side"))
        except ApiError as error:
            await socket.close(close_code(error), error.message[:120])
            return
        await self._serve(socket, send)

    async def event_socket(self, socket: WebSocket) -> None:
        """Send events as JSON until the WebSocket closes: {"id": 7, "event": "taught", "data": {...}}."""

        async def send() -> None:
            async for messages in self._events.read():
                for message in messages:
                    await socket.send_text(message.as_json())

        await self._serve(socket, send)

    async def _serve(self, socket: WebSocket, send: Callable[[], Awaitable[None]]) -> None:
        """Send until the client disconnects or sends anything, or the stream has to end."""
        try:
            stream = self.enter(socket.scope["edge_app.client"])
        except ApiError as error:
            if error.status == 503:
                await socket.accept()  # only an accepted WebSocket gets the reason
            await socket.close(TRY_AGAIN_LATER if error.status == 503 else close_code(error), error.message[:120])
            return
        code, reason = POLICY_VIOLATION, ""
        try:
            await socket.accept()
            # a client has nothing to send: whatever is received, a close too, ends the stream
            if await stream.run(send(), socket.receive()):
                code = close_code(SIGNED_OUT) if stream.revoked else GOING_AWAY
                reason = SIGNED_OUT.message if stream.revoked else "the device is stopping"
        except (RuntimeError, WebSocketDisconnect):
            pass  # the client has gone
        finally:
            self.leave(stream)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(code, reason)
