"""Streams of events and pictures. A slow client skips to the newest; the live loop never waits for one."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from edge_app.control import Control, Corrected, Decided, Event, FrameGone, Health, JpegFrame, Rejected, Taught
from edge_app.control.pictures import SIDES
from edge_app.web import translate
from edge_app.web.access import close_code
from edge_app.web.responses import NO_STORE, ApiError
from edge_app.web.threads import in_thread

DECISION_S = 0.1
"""Time between two decisions that are sent."""
HEARTBEAT_S = 10.0
"""A comment is sent when nothing else was for so long, so that a client can tell a lost connection."""
WAITING = 64
"""Events that may wait for a slow client; beyond that the oldest are dropped, and it is told so."""
REPLAYED = 256
"""Events kept for clients that reconnect."""
MISSED = b"event: missed\ndata: {}\n\n"
BOUNDARY = "frame"


class EventReader:
    """Events waiting to be sent to one client: the newest decision, and a bounded queue of all others."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self._waiting: deque[bytes] = deque()
        self._decision: bytes | None = None
        self._missed = False

    def put(self, message: bytes) -> None:
        """Add an event."""
        if len(self._waiting) >= WAITING:
            self._waiting.popleft()
            self._missed = True
        self._waiting.append(message)
        self.came.set()

    def show(self, decision: bytes) -> None:
        """Replace the decision that waits by a newer one."""
        self._decision = decision
        self.came.set()

    def take(self) -> bytes:
        """Return everything that waits, and forget it."""
        self.came.clear()
        parts = [MISSED] if self._missed else []
        parts += self._waiting
        if self._decision is not None:
            parts.append(self._decision)
        self._waiting.clear()
        self._decision, self._missed = None, False
        return b"".join(parts)


class CountedStream(StreamingResponse):
    """An endless response, counted while it is open; protocol.py drops a client that does not read."""

    def __init__(self, content: AsyncIterator[bytes], leave: Callable[[], None], media_type: str) -> None:
        super().__init__(content, media_type=media_type, headers={**NO_STORE, "X-Accel-Buffering": "no"})
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client disconnects or the content ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


class Streams:
    """The open streams; one object per server, used in its event loop only."""

    def __init__(self, control: Control, *, max_streams: int, closing: asyncio.Event) -> None:
        self._control = control
        self._max = max_streams
        self._closing = closing
        self._loop = asyncio.get_running_loop()
        self._readers: set[EventReader] = set()
        self._log: deque[tuple[int, bytes]] = deque(maxlen=REPLAYED)
        self._number = int(time.time()) << 16  # higher after a restart, so that a client notices a gap
        self._answer: Decided | None = None
        self._moment = 0
        self._feeds = {side: PictureFeed(control, side) for side in SIDES}
        self.open = 0
        """How many streams are open."""
        self._stop = control.listen(self._heard)
        self._tasks = [asyncio.create_task(self._tell_decisions())]

    async def close(self) -> None:
        """End all streams and the tasks that feed them."""
        self._stop()
        self.end()
        for task in (*self._tasks, *(feed.task for feed in self._feeds.values() if feed.task)):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def end(self) -> None:
        """Tell all streams to end."""
        self._closing.set()
        for reader in self._readers:
            reader.came.set()
        for feed in self._feeds.values():
            feed.end()

    def leave(self) -> None:
        """Count a stream as closed."""
        self.open -= 1

    def enter(self) -> None:
        """Count a stream as open. Raises ApiError when too many are."""
        if self.open >= self._max:
            raise ApiError(503, "too_many", "too many pages are open: close one", headers={"Retry-After": "10"})
        self.open += 1

    async def events(self, request: Request) -> CountedStream:
        """Answer with endless server-sent events. Raises ApiError."""
        self.enter()
        last = request.headers.get("last-event-id", "")
        since = int(last) if last.isascii() and last.isdecimal() and len(last) < 19 else None
        return CountedStream(self._events(since), self.leave, "text/event-stream")

    async def _events(self, last: int | None) -> AsyncIterator[bytes]:
        reader = EventReader()
        self._readers.add(reader)
        try:
            yield b"retry: 1000\n: edge-app\n\n" + self._since(last)
            if self._answer is not None:
                reader.show(event_of("decision", translate.decision(self._answer)))
            while not self._closing.is_set():
                try:
                    await asyncio.wait_for(reader.came.wait(), HEARTBEAT_S)
                except TimeoutError:
                    yield b": alive\n\n"
                else:
                    yield reader.take()
        finally:
            self._readers.discard(reader)

    def _since(self, last: int | None) -> bytes:
        if last is None or last == self._number:
            return b""
        kept = [message for number, message in self._log if number > last]
        whole = bool(self._log) and self._log[0][0] <= last + 1
        return b"".join(kept) if whole else MISSED

    def _heard(self, event: Event) -> None:
        """Receive an event of the device; called from its threads."""
        if isinstance(event, Decided):
            self._answer = event
        else:
            with contextlib.suppress(RuntimeError):  # the server has stopped
                self._loop.call_soon_threadsafe(self._publish, *described(event))

    def _publish(self, name: str, value: Any) -> None:
        self._number += 1
        message = event_of(name, value, self._number)
        self._log.append((self._number, message))
        for reader in self._readers:
            reader.put(message)

    async def _tell_decisions(self) -> None:
        told: Decided | None = None
        while True:
            await asyncio.sleep(DECISION_S)
            answer = self._answer
            if self._readers and answer is not None and answer is not told:
                told = answer
                await self._tell_decision(answer)

    async def _tell_decision(self, answer: Decided) -> None:
        await in_thread(lambda: self._control.keep(answer.sequence))  # a client that sees it may teach it
        message = event_of("decision", translate.decision(answer))
        for reader in self._readers:
            reader.show(message)
        moments = self._control.tray()[:1]
        if moments and moments[0].id > self._moment:
            self._moment = moments[0].id
            self._publish("tray", translate.moment(moments[0]))

    # Pictures

    async def live(self, socket: WebSocket) -> None:
        """Send pictures over a WebSocket until it closes: 8 bytes of sequence number, then a JPEG."""
        try:
            socket.scope["edge_app.client"].require("view")
            side = side_of(socket.query_params.get("max_side"))
        except ApiError as error:
            await socket.close(close_code(error), error.message[:120])
            return
        try:
            self.enter()
        except ApiError as error:
            await socket.accept()
            await socket.close(1013, error.message[:120])  # 1013: try again later
            return
        try:
            await socket.accept()
            await self._until_gone(socket, self._send_pictures(socket, side))
        finally:
            self.leave()

    async def _send_pictures(self, socket: WebSocket, side: int) -> None:
        async for picture in self._feeds[side].pictures():
            data = picture.sequence.to_bytes(8, "big") + picture.jpeg
            await socket.send_bytes(data)

    async def _until_gone(self, socket: WebSocket, sending: Awaitable[None]) -> None:
        """Send until the client disconnects or sends anything, or the server stops."""
        tasks = [
            asyncio.ensure_future(sending),
            asyncio.create_task(socket.receive()),
            asyncio.create_task(self._closing.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(1001 if self._closing.is_set() else 1008)

    async def mjpeg(self, request: Request) -> CountedStream:
        """Answer with endless pictures, multipart/x-mixed-replace. Raises ApiError."""
        side = side_of(request.query_params.get("max_side"))
        self.enter()
        return CountedStream(self._parts(side), self.leave, f"multipart/x-mixed-replace; boundary={BOUNDARY}")

    async def _parts(self, side: int) -> AsyncIterator[bytes]:
        async for picture in self._feeds[side].pictures():
            head = (
                f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n"
                f"X-Frame-Sequence: {picture.sequence}\r\n\r\n"
            )
            yield head.encode() + picture.jpeg + b"\r\n"


class PictureFeed:
    """Pictures of one size, each encoded once for all viewers, and only while there is one."""

    def __init__(self, control: Control, side: int) -> None:
        self._control = control
        self._side = side
        self._viewers: set[asyncio.Event] = set()
        self._newest: JpegFrame | None = None
        self._over = False
        self.task: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Stop, and end the iterators."""
        self._over = True
        for came in self._viewers:
            came.set()

    async def pictures(self) -> AsyncIterator[JpegFrame]:
        """Yield the newest picture, again and again; those that come meanwhile are skipped."""
        came = asyncio.Event()
        self._viewers.add(came)
        if self.task is None or self.task.done():
            self._newest = None
            self.task = asyncio.create_task(self._make())
        elif self._newest is not None:
            came.set()
        try:
            while not self._over:
                await came.wait()
                came.clear()
                if self._newest is not None and not self._over:
                    yield self._newest
        finally:
            self._viewers.discard(came)

    async def _make(self) -> None:
        last = -1
        while self._viewers and not self._over:
            picture = await in_thread(partial(self._next, last))
            if picture is not None and picture.sequence != last:
                last = picture.sequence
                self._newest = picture
                for came in self._viewers:
                    came.set()
            await asyncio.sleep(self._control.picture_period_s)

    def _next(self, last: int) -> JpegFrame | None:
        if not self._control.await_picture(last, 0.5):
            return None
        try:
            return self._control.picture(self._side)
        except FrameGone:
            return None


def described(event: Event) -> tuple[str, Any]:
    """Return an event's name, and the value that is sent."""
    if isinstance(event, Taught):
        return "taught", translate.taught(event)
    if isinstance(event, Corrected):
        return "corrected", {
            "kind": event.kind,
            "labels": event.labels,
            "examples": event.examples[:200],
            "action": translate.action(event.action),
            "source": event.source,
        }
    if isinstance(event, Rejected):
        return "refused", {"reason": event.reason, "source": event.source}
    assert isinstance(event, Health)
    fields = {name: value if isinstance(value, int | float) else str(value) for name, value in event.fields.items()}
    return "health", {"what": event.what, "fields": fields, "time_ms": event.time_ns // translate.NS_PER_MS}


def event_of(name: str, value: Any, number: int | None = None) -> bytes:
    """Return an event in the form of server-sent events."""
    head = b"" if number is None else b"id: %d\n" % number
    return head + b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(value) + b"\n\n"


def side_of(text: str | None) -> int:
    """Return the picture size for the parameter `max_side`. Raises ApiError."""
    if text is None:
        return SIDES[1]
    if not (text.isdecimal() and text.isascii() and len(text) <= 4 and int(text) >= 16):
        raise ApiError(422, "invalid", "max_side: expected an integer from 16 to 9999", field="max_side")
    return max((side for side in SIDES if side <= int(text)), default=SIDES[0])
