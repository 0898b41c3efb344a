"""The endpoints that run in the event loop: sessions, streams, export, import and metrics."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import anyio
from starlette.requests import Request
from starlette.responses import Response

from edge_app.control import Control
from edge_app.roles import Role
from edge_app.storage.folder import IMPORT_PREFIX
from edge_app.web import schema, translate
from edge_app.web.access import COOKIE, SECURE_COOKIE, AccessPolicy, Client
from edge_app.web.calls import Call, body_too_long, media_type, wrong_media_type
from edge_app.web.metrics import MEDIA_TYPE, PlaceMetrics, exposition
from edge_app.web.responses import NO_STORE, ZIP, ApiError, json_response
from edge_app.web.share import Share, Slots
from edge_app.web.streams import SIGNED_OUT, Streams
from edge_app.web.threads import in_thread

if TYPE_CHECKING:
    from edge_app.config import WebConfig

BODY_S = 15.0
"""Longest wait for a request's JSON body, or for the next part of an upload."""
UPLOAD_S = 600.0
"""Longest time for an upload: only one runs at a time."""
# so that the live loop keeps its rate
SHARE = 0.2
"""Share of the time in which pictures from outside are decoded and encoded."""
SWEEP_S = 15.0
"""Time between two looks for uploads that were left alone."""
READ_AT_ONCE, WAITING = 3, 24
"""Pictures from outside that are received at a time, each held in memory, and that wait for it."""


class Shared:
    """Limits that hold for all places together."""

    def __init__(self) -> None:
        self.services: list[Services] = []
        """Those of all places, the first one's first."""
        self.importing = anyio.CapacityLimiter(1)
        self.slots = Slots(READ_AT_ONCE, WAITING)
        self.share = Share(SHARE)


class Services:
    """Shared by the endpoints of one place; used in the server's event loop only."""

    def __init__(
        self, control: Control, config: "WebConfig", policy: AccessPolicy, streams: Streams, shared: Shared
    ) -> None:
        self.control = control
        self.streams = streams
        self._config = config
        self._policy = policy
        self._shared = shared
        shared.services.append(self)
        self._importing = shared.importing
        self.slots = shared.slots
        """For pictures from outside that are being received."""
        self.share = shared.share
        """For decoding and encoding them."""

    async def session(self, request: Request, call: Call) -> Response:
        """Return the client's role."""
        return json_response(schema.Session(call.client.role or "none"))

    async def sign_in(self, request: Request, call: Call) -> Response:
        """Exchange a token for a session cookie."""
        token = call.body.token
        # the same check as for a bearer token: a lockout applies to both
        role = self._policy.check_token(token, call.client.key)
        secret = await in_thread(lambda: self._policy.tokens.start_session(token), call.client.key)
        # removed between the check and the session
        if secret is None:
            raise ApiError(401, "wrong_token", "this token is not known")
        response = json_response(schema.Session(role))
        client, age = call.client, self._config.session_days * 86400
        # httponly: no script of the page needs it, so none can read it
        response.set_cookie(_cookie(client), secret, age, secure=client.secure, httponly=True, samesite="strict")
        return response

    async def sign_out(self, request: Request, call: Call) -> Response:
        """End the client's session."""
        client = call.client
        if client.session is not None:
            secret = client.session
            await in_thread(lambda: self._policy.tokens.end_session(secret), client.key)
        response = Response(status_code=204, headers=NO_STORE)
        response.delete_cookie(_cookie(client), secure=client.secure, httponly=True, samesite="strict")
        return response

    async def events(self, request: Request, call: Call) -> Response:
        """Stream events."""
        return self.streams.events(call.client, request)

    async def mjpeg(self, request: Request, call: Call) -> Response:
        """Stream pictures as motion JPEG."""
        return self.streams.mjpeg(call.client, request)

    async def metrics(self, request: Request, call: Call) -> Response:
        """Return the metrics."""
        services = self._shared.services
        text = await in_thread(lambda: _exposition(services), call.client.key)
        return Response(text, headers={**NO_STORE, "Content-Type": MEDIA_TYPE})

    async def export(self, request: Request, call: Call) -> Response:
        """Send the examples of some classes, or of all, as a zip file."""
        exported = await in_thread(lambda: self.control.open_export(call.query.label), call.client.key)
        return self._send_file(call, exported.file, "edge-app.zip")

    def _send_file(self, call: Call, file: IO[bytes], name: str) -> Response:
        """Answer with an open zip file, which is closed at the end. Raises ApiError."""
        headers = {
            # with a length, a client notices a file that was cut off
            "Content-Length": str(os.fstat(file.fileno()).st_size),
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        try:
            return self.streams.respond(call.client, _chunks(file), ZIP, role="administer", headers=headers)
        except ApiError:  # too many streams are open: nobody will read the file
            file.close()
            raise

    async def backup(self, request: Request, call: Call) -> Response:
        """Send a backup of the device as a zip file."""
        made = await in_thread(self.control.open_backup, call.client.key)
        return self._send_file(call, made.file, "edge-app-backup.zip")

    async def restore(self, request: Request, call: Call) -> Response:
        """Receive a backup, check it, and restart the device with it unless that is only asked for."""
        dry_run = call.query.dry_run
        async with self._received_zip(request, call, self.control.most_backup_bytes) as path:
            done = await in_thread(lambda: self.control.restore(path, dry_run=dry_run))
        return json_response(translate.restored(done))

    async def import_(self, request: Request, call: Call) -> Response:
        """Receive an exported file and import its examples, all or none."""
        async with self._received_zip(request, call, self.upload_bytes) as path:
            done = await in_thread(lambda: self.control.import_(path, source=call.source))
        return json_response(schema.Imported(done.added, done.skipped))

    @asynccontextmanager
    async def _received_zip(self, request: Request, call: Call, limit: int) -> AsyncIterator[Path]:
        """Receive a zip of at most `limit` bytes; one at a time. Raises ApiError."""
        if (media := media_type(request)) != ZIP:
            raise wrong_media_type(media, ZIP)
        check_announced(request, limit)
        async with self.only_import():
            # on the state's disk: /tmp is memory on many systems
            with tempfile.NamedTemporaryFile(dir=self.control.identity.folder, prefix=IMPORT_PREFIX) as file:
                await self.receive_file(request, call, file, "administer", limit)
                yield Path(file.name)

    @property
    def upload_bytes(self) -> int:
        """Largest file that is received."""
        return self._config.max_upload_mb << 20

    @asynccontextmanager
    async def only_import(self) -> AsyncIterator[None]:
        """Hold the right to receive a file. Raises ApiError while another one is received or imported."""
        # rejected, not queued: the client of a waiting request could not tell why nothing happens
        if self._importing.available_tokens < 1:
            raise ApiError(503, "busy", "another import is running: wait for it", headers={"Retry-After": "5"})
        async with self._importing:
            yield

    async def receive_file(self, request: Request, call: Call, file: IO[bytes], role: Role, limit: int) -> None:
        """Write the body, of at most `limit` bytes, to a file.

        Raises ApiError, also when the client has lost its role meanwhile.
        """
        async with deadline(UPLOAD_S):
            await _receive(request, file, limit)
        # an upload takes minutes, in which the token may have been removed
        if not self._policy.still_allows(call.client, role):
            raise SIGNED_OUT

    async def sweep_uploads(self) -> None:
        """Close uploads that were left alone, until it is cancelled."""
        try:
            while True:
                await asyncio.sleep(SWEEP_S)
                await in_thread(self.control.uploads.sweep)
        finally:
            self.control.uploads.close()


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Give the client so many seconds to send something. Raises ApiError."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        message = f"the request did not arrive within {seconds:g} s: send it again"
        raise ApiError(408, "slow", message, headers={"Connection": "close"}) from error


def _cookie(client: Client) -> str:
    return SECURE_COOKIE if client.secure else COOKIE


def check_announced(request: Request, limit: int) -> None:
    """Raise ApiError for a body that says it has more than `limit` bytes, before any of it is read."""
    announced = request.headers.get("content-length", "0")
    # a header that is no number is h11's to reject
    if announced.isdecimal() and len(announced) < 16 and int(announced) > limit:
        raise body_too_long(limit)


async def received(request: Request, limit: int, seconds: float) -> bytes:
    """Return a body of at most `limit` bytes. Raises ApiError when it is too long, or takes more than `seconds`."""
    check_announced(request, limit)
    async with deadline(seconds):
        return b"".join([part async for part in _parts(request, limit)])


async def _receive(request: Request, file: IO[bytes], limit: int) -> None:
    """Write the body to a file, part by part. Raises ApiError when it is too long or too slow."""
    async for part in _parts(request, limit):
        # in a thread: a slow card would stop the event loop
        await in_thread(lambda data=part: file.write(data))  # type: ignore[misc]
    file.flush()


async def _parts(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the parts of a body. Raises ApiError when it is too long, or a part too slow."""
    size = 0
    parts = request.stream().__aiter__()
    while True:
        async with deadline(BODY_S):
            part = await anext(parts, None)
        if part is None:
            return
        size += len(part)
        if size > limit:
            raise body_too_long(limit)
        yield part


def _exposition(services: Sequence[Services]) -> str:
    controls = [one.control for one in services]
    places = [PlaceMetrics(one.group, one.status(), one.classes(), one.tally) for one in controls]
    streams, pictures = sum(len(one.streams) for one in services), sum(one.pictures_made for one in controls)
    return exposition(places, streams=streams, pictures=pictures)


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        # 64 kB: a slow reader holds little memory
        while chunk := await in_thread(lambda: file.read(1 << 16)):
            yield chunk
