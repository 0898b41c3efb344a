"""The ASGI application: the page, the API and the streams behind the access checks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from edge_app.control import Control, Places
from edge_app.text import composed
from edge_app.web.access import AccessMiddleware, AccessPolicy
from edge_app.web.calls import read_call
from edge_app.web.openapi import describe
from edge_app.web.operations import OPERATIONS, PLACE_ROOT, ROOT, Operation
from edge_app.web.responses import JSON, ApiError, api_error, json_response
from edge_app.web.services import BODY_S, Services, Shared, deadline
from edge_app.web.streams import Streams
from edge_app.web.threads import in_thread

if TYPE_CHECKING:
    from edge_app.config import WebConfig

STATIC = Path(__file__).with_name("static")
# the live picture and the events
STREAMS_PER_PAGE = 2

RequestHandler = Callable[[Request], Awaitable[Response]]


class Site:
    """The application of one device."""

    def __init__(
        self, controls: Mapping[str, Control], places: Places, config: "WebConfig", policy: AccessPolicy
    ) -> None:
        """`controls`: those of the places by their names, the first one's also without a name in the path."""
        self._controls, self._places = controls, places
        self._first = next(iter(controls))
        self._config = config
        self._policy = policy
        self._services: dict[str, Services] = {}
        self._description = msgspec.json.encode(describe())
        starlette = Starlette(
            routes=self.routes(), lifespan=self._lifespan, exception_handlers={HTTPException: _http_error}
        )
        self.app: ASGIApp = AccessMiddleware(starlette, policy, config)

    def end(self) -> None:
        """End the streams; called in the server's event loop."""
        for services in self._services.values():
            services.streams.end()

    @property
    def streams(self) -> Streams:
        """The open streams of the first place, while the server runs."""
        return self._services[self._first].streams

    def _of(self, scope: HTTPConnection) -> Services:
        """Return the services of the place in the path, without one those of the first. Raises ApiError."""
        name = composed(scope.path_params.get("place", self._first))
        if name not in self._services:
            known = ", ".join(self._services)
            raise ApiError(404, "unknown_place", f"there is no place {name[:40]!r}; known places: {known}")
        return self._services[name]

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        most = STREAMS_PER_PAGE * self._config.max_clients
        shared = Shared()
        for name, control in self._controls.items():
            streams = Streams(control, self._policy, most)
            self._services[name] = Services(control, self._config, self._policy, streams, shared)
        sweeping = [asyncio.create_task(one.sweep_uploads()) for one in self._services.values()]
        try:
            yield
        finally:
            for task in sweeping:
                task.cancel()
            await asyncio.gather(*sweeping, return_exceptions=True)
            for one in self._services.values():
                await one.streams.close()

    def routes(self) -> list[BaseRoute]:
        """Return the routes: one per path, so that a wrong method is answered with those that exist."""
        paths: dict[str, dict[str, RequestHandler]] = {}
        for one in OPERATIONS:
            # `path`, because a class name may contain a slash
            path = one.path.replace("{label}", "{label:path}")
            prefixes = (ROOT, PLACE_ROOT) if one.of_place else (one.prefix,)
            for prefix in prefixes:
                paths.setdefault(prefix + path, {})[one.method] = self._endpoint(one)
        ordered = sorted(paths, key=lambda path: "{label" in path)  # a class name matches any path
        return [
            *(_route(path, paths[path]) for path in ordered),
            _route(f"{ROOT}/openapi.json", {"GET": self._openapi}),
            _route("/", {"GET": _page}),
            *(WebSocketRoute(f"{root}/live", self._live) for root in (ROOT, PLACE_ROOT)),
            *(WebSocketRoute(f"{root}/events", self._events) for root in (ROOT, PLACE_ROOT)),
            # check_dir=False: an installation without the page still serves the API
            Mount("/static", _Static(directory=STATIC, check_dir=False)),
        ]

    def _endpoint(self, operation: Operation) -> RequestHandler:
        body = None if isinstance(operation.body, str) else operation.body
        handler, endpoint, for_all = operation.handler, operation.endpoint, operation.for_all

        async def run(request: Request) -> Response:
            services = self._of(request)
            async with deadline(BODY_S):
                call = await read_call(request, role=operation.role, query=operation.query, body=body)
            # the first was counted before the request was read
            self._policy.charge(call.client, operation.cost - 1)
            if endpoint is not None:
                return await endpoint(services, request, call)

            def work() -> Any:
                if for_all is not None and "place" not in request.path_params:
                    return self._places.requests.once(key, content, lambda: for_all(self._places, call))
                assert handler is not None
                control = services.control
                return control.requests.once(key, content, lambda: handler(control, call))

            key, content = None, b""
            if operation.takes_key and not operation.remembers:
                key, content = call.key, call.content(operation.name)
            found = await in_thread(work, call.client.key)
            return found if isinstance(found, Response) else json_response(found, operation.status)

        return run

    async def _openapi(self, request: Request) -> Response:
        return Response(self._description, media_type=JSON, headers={"Cache-Control": "no-cache"})

    async def _found(self, socket: WebSocket) -> Streams:
        try:
            return self._of(socket).streams
        except ApiError as error:
            raise WebSocketException(1008, error.message) from error

    async def _live(self, socket: WebSocket) -> None:
        await (await self._found(socket)).live_socket(socket)

    async def _events(self, socket: WebSocket) -> None:
        await (await self._found(socket)).event_socket(socket)


class _Static(StaticFiles):
    """The page's files, revalidated at each visit so that an update is seen."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except HTTPException as error:
            response = ApiError(error.status_code, "not_found", "there is no such file").response()
            await response(scope, receive, send)

    def file_response(self, *args: object, **options: object) -> Response:
        """Return the response for a file."""
        response = super().file_response(*args, **options)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


def _route(path: str, methods: dict[str, RequestHandler]) -> Route:
    """Return a route that answers HEAD like GET, and turns every exception into an error response."""

    async def endpoint(request: Request) -> Response:
        try:
            # uvicorn sends no body in answer to HEAD
            return await methods["GET" if request.method == "HEAD" else request.method](request)
        except ClientDisconnect:
            return Response(status_code=400)  # the client will not read it
        except Exception as error:  # noqa: BLE001 a bug is logged and answered with 500
            return api_error(error).response()

    return Route(path, endpoint, methods=list(methods))


async def _page(request: Request) -> Response:
    page = STATIC / "index.html"
    if not page.is_file():
        raise ApiError(404, "not_found", "this installation has no page; the API is below /api/v1")
    return FileResponse(page, headers={"Cache-Control": "no-cache"}, media_type="text/html")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method"}.get(error.status_code, "http")
    return ApiError(error.status_code, code, str(error.detail), headers=error.headers).response()
