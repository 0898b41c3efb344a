"""The ASGI application: the page, the API and the streams, behind the door."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from edge_app.control import Control
from edge_app.control.transfer import IMPORT_PREFIX
from edge_app.web import schema
from edge_app.web.answers import NO_STORE, ApiError, answer, refused_by
from edge_app.web.guard import COOKIE, SECURE_COOKIE, AccessMiddleware, AccessPolicy, Client
from edge_app.web.metrics import MEDIA, exposition
from edge_app.web.openapi import ZIP, describe
from edge_app.web.operations import OPERATIONS, ROOT, Operation, read_body, read_call, read_query, too_long
from edge_app.web.streams import Streams, in_thread

if TYPE_CHECKING:
    from edge_app.config import WebConfig

STATIC = Path(__file__).with_name("static")
BODY_S = 15.0
"""The longest that a small body may take to arrive."""
PART_S = 15.0
"""The longest between two parts of a large one."""
STREAMS_A_PAGE = 2

Endpoint = Callable[[Request], Awaitable[Response]]


class Site:
    """The application of one device."""

    def __init__(self, control: Control, config: "WebConfig", gate: AccessPolicy) -> None:
        self._control = control
        self._config = config
        self._gate = gate
        self._closing = asyncio.Event()
        self._streams: Streams | None = None
        self._description = msgspec.json.encode(describe())
        self._importing = anyio.CapacityLimiter(1)
        starlette = Starlette(
            routes=self._routes(),
            lifespan=self._lifespan,
            exception_handlers={
                HTTPException: _http_failure,
            },
        )
        self.app: ASGIApp = AccessMiddleware(starlette, gate, config.proxies)

    def end(self) -> None:
        """Have the streams end; in the server's event loop."""
        self._closing.set()
        if self._streams is not None:
            self._streams.end()

    @property
    def streams(self) -> Streams:
        """What flows, while the server runs."""
        assert self._streams is not None
        return self._streams

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        pages = self._config.max_clients
        self._streams = Streams(self._control, max_streams=STREAMS_A_PAGE * pages, closing=self._closing)
        try:
            yield
        finally:
            await self._streams.close()

    def _routes(self) -> list[BaseRoute]:
        routes: list[BaseRoute] = [
            Route(ROOT + one.path.replace("{label}", "{label:path}"), self._carry_out(one), methods=[one.method])
            for one in OPERATIONS
        ]
        for path, method, endpoint in (
            ("/session", "GET", self._who),
            ("/session", "POST", self._sign_in),
            ("/session", "DELETE", self._sign_out),
            ("/events", "GET", self._events),
            ("/live.mjpg", "GET", self._mjpeg),
            ("/export", "GET", self._export),
            ("/import", "POST", self._import),
            ("/openapi.json", "GET", self._openapi),
        ):
            routes.append(Route(ROOT + path, _failing(endpoint), methods=[method]))
        routes.append(Route("/metrics", _failing(self._metrics), methods=["GET"]))
        routes.append(WebSocketRoute(ROOT + "/live", self._live))
        routes.append(Route("/", _failing(_page), methods=["GET"]))
        routes.append(Mount("/static", _Static(directory=STATIC, check_dir=False)))
        return _one_route_a_path(routes)

    def _carry_out(self, operation: Operation) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            async with _patience(BODY_S):
                call = await read_call(operation, request)
            found = await in_thread(lambda: operation.handler(self._control, call))
            return found if isinstance(found, Response) else answer(found, operation.status)

        return _failing(endpoint)

    # Who one is

    async def _who(self, request: Request) -> Response:
        return answer(schema.Session(_visitor(request).role or "none"))

    async def _sign_in(self, request: Request) -> Response:
        visitor = _visitor(request)
        async with _patience(BODY_S):
            wish = await read_body(schema.SignIn, request)
        role = self._gate.check_token(wish.token, visitor.key)
        secret = await in_thread(lambda: self._gate.tokens.begin(wish.token))
        if secret is None:
            raise ApiError(401, "wrong_token", "this token is not known")
        response = answer(schema.Session(role))
        response.set_cookie(
            SECURE_COOKIE if visitor.secure else COOKIE,
            secret,
            max_age=self._config.session_days * 86400,
            path="/",
            secure=visitor.secure,
            httponly=True,
            samesite="strict",
        )
        return response

    async def _sign_out(self, request: Request) -> Response:
        visitor = _visitor(request)
        if visitor.session is not None:
            secret = visitor.session
            await in_thread(lambda: self._gate.tokens.end(secret))
        response = Response(status_code=204, headers=NO_STORE)
        response.delete_cookie(
            SECURE_COOKIE if visitor.secure else COOKIE,
            path="/",
            secure=visitor.secure,
            httponly=True,
            samesite="strict",
        )
        return response

    # What flows

    async def _events(self, request: Request) -> Response:
        return await self.streams.events(request)

    async def _mjpeg(self, request: Request) -> Response:
        return await self.streams.mjpeg(request)

    async def _live(self, socket: WebSocket) -> None:
        await self.streams.live(socket)

    async def _metrics(self, request: Request) -> Response:
        _visitor(request).must("view")
        control = self._control
        status, classes = await in_thread(lambda: (control.status(), control.classes()))
        text = exposition(status, classes, streams=self.streams.open, pictures=control.pictures_made)
        return Response(text, headers={**NO_STORE, "Content-Type": MEDIA})

    async def _openapi(self, request: Request) -> Response:
        return Response(self._description, media_type="application/json", headers={"Cache-Control": "no-cache"})

    # What is carried

    async def _export(self, request: Request) -> Response:
        _visitor(request).must("administer")
        query = read_query(schema.ExportQuery, request)
        exported = await in_thread(lambda: self._control.open_export(query.label))
        file = exported.file
        size = os.fstat(file.fileno()).st_size
        headers = {
            **NO_STORE,
            "Content-Length": str(size),
            "Content-Disposition": 'attachment; filename="edge-app.zip"',
        }
        return StreamingResponse(_chunks(file), media_type=ZIP, headers=headers)

    async def _import(self, request: Request) -> Response:
        visitor = _visitor(request)
        visitor.must("administer")
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != ZIP:
            raise ApiError(415, "media_type", f"the body is {media[:40] or 'of no type'}, expected {ZIP}")
        limit = self._config.max_upload_mb << 20
        announced = request.headers.get("content-length", "0")
        if announced.isdecimal() and len(announced) < 16 and int(announced) > limit:
            raise too_long(limit)
        if self._importing.available_tokens < 1:
            raise ApiError(
                503, "busy", "another import is under way: wait until it is done", headers={"Retry-After": "5"}
            )
        async with self._importing:
            with tempfile.NamedTemporaryFile(dir=self._control.identity.folder, prefix=IMPORT_PREFIX) as file:
                await _receive(request, file, limit)
                path = Path(file.name)
                source = "page" if visitor.session else "API"
                done = await in_thread(lambda: self._control.import_(path, source=source))
        return answer(schema.Imported(done.added, done.skipped))


class _Static(StaticFiles):
    """The page's files, revalidated at each visit, so that an update is seen."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except HTTPException as error:
            response = ApiError(error.status_code, "not_found", "there is no such file").response()
            await response(scope, receive, send)

    def file_response(self, *args: object, **options: object) -> Response:
        """Return a file."""
        response = super().file_response(*args, **options)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


def _visitor(request: Request) -> Client:
    found: Client = request.scope["edge_app.visitor"]
    return found


async def _page(request: Request) -> Response:
    page = STATIC / "index.html"
    if not page.is_file():
        raise ApiError(404, "not_found", "this installation has no page; the API is below /api/v1")
    return FileResponse(page, headers={"Cache-Control": "no-cache"}, media_type="text/html")


async def _receive(request: Request, file: IO[bytes], limit: int) -> None:
    """Write the body to a file, part by part. Raises Refused when it is too long or too slow."""
    size = 0
    parts = request.stream().__aiter__()
    while True:
        async with _patience(PART_S):
            part = await anext(parts, None)
        if part is None:
            break
        size += len(part)
        if size > limit:
            raise too_long(limit)
        await in_thread(lambda data=part: file.write(data))  # type: ignore[misc]
    file.flush()


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await in_thread(lambda: file.read(1 << 16)):
            yield chunk


@asynccontextmanager
async def _patience(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise ApiError(
            408, "slow", f"nothing came for {seconds:g} s; send it again", headers={"Connection": "close"}
        ) from error


def _failing(endpoint: Endpoint) -> Endpoint:
    """Wrap an endpoint, so that whatever it raises becomes an answer."""

    async def wrapped(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception as error:  # noqa: BLE001 a mistake in the program is logged, and answered with 500
            return refused_by(error).response()

    return wrapped


async def _http_failure(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method"}.get(error.status_code, "http")
    return ApiError(error.status_code, code, str(error.detail), headers=error.headers).response()


def _one_route_a_path(routes: list[BaseRoute]) -> list[BaseRoute]:
    """Join the methods of a path, so that a wrong one is answered with all that are right."""
    joined: dict[str, dict[str, Endpoint]] = {}
    others: list[BaseRoute] = []
    for route in routes:
        if isinstance(route, Route):
            methods = joined.setdefault(route.path, {})
            for method in (route.methods or set()) - {"HEAD"}:
                methods[method] = route.endpoint
        else:
            others.append(route)
    return [Route(path, _by_method(methods), methods=list(methods)) for path, methods in joined.items()] + others


def _by_method(methods: dict[str, Endpoint]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await methods["GET" if request.method == "HEAD" else request.method](request)

    return endpoint
