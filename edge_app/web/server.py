"""The server: uvicorn with its event loop in a thread beside the live loop."""

import asyncio
import errno
import ipaddress
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge_app.closing import Closing
from edge_app.errors import DeviceError, InputError, RuntimeMissing

if TYPE_CHECKING:
    import uvicorn

    from edge_app.config import WebConfig
    from edge_app.control import Control, Places
    from edge_app.web.listener import Listener
    from edge_app.web.site import Site

CONNECTIONS, CONNECTIONS_PER_PAGE = 32, 6
"""Connections that may be open: a browser opens up to six to one host."""
MESSAGE_BYTES = 4 << 10
"""Longest message accepted from a WebSocket client; the protocol expects none."""
LISTENING = "0A"
"""State of a listening socket in /proc/net/tcp."""
START_S = 20.0
"""Longest wait for the server to answer."""


class WebServer(Closing):
    """Serves the page and the API of one device, from `start` to `close`."""

    def __init__(self, controls: "Mapping[str, Control]", places: "Places", config: "WebConfig", tokens: Path) -> None:
        """Bind the address and load the libraries; nothing is served yet.

        `controls` are those of the places by their names, the first one's also without a name in the path; `places`
        has what concerns all of them; `tokens` is the file of the tokens. Raises RuntimeMissing when the extra `web` is
        not installed, InputError for an invalid certificate or token file, DeviceError when the address cannot be
        bound.
        """
        require_extra()
        from edge_app.web.access import AccessPolicy
        from edge_app.web.tokens import Tokens

        self._controls, self._places = controls, places
        self._config = config
        self.tokens = Tokens(tokens, session_s=config.session_days * 86400.0)
        # for its error: an invalid token file is reported at the start, not with the first request
        self.tokens.stored()
        self._policy = AccessPolicy(config, self.tokens, time.monotonic)
        self._tls = _tls_context(config)
        # last, so that nothing above leaves it open
        self._socket = _bind(config)
        self._site: Site | None = None
        self._server: uvicorn.Server | None = None
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self.failure: BaseException | None = None
        """The exception that ended the server, if one did."""
        # a daemon: a handler that hangs must not keep the process alive
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def port(self) -> int:
        """The port that was bound."""
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        host = self._config.host
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 compared, not bound
        return f"{'https' if self._tls else 'http'}://{f'[{shown}]' if ':' in shown else shown}:{self.port}/"

    def start(self) -> None:
        """Start serving; return once requests are answered. Raises DeviceError when the server does not start."""
        self._thread.start()
        # the event is also set when the server fails, so that a failure is not waited for
        if not self._started.wait(START_S) or self.failure is not None:
            raise DeviceError(f"the page and the API could not be started: {self.failure or 'no answer'}")

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop serving; requests in progress get `timeout_s` to finish."""
        if self._server is not None and self._loop is not None and self._thread.is_alive():
            # the loop has ended by itself meanwhile
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end)
            self._thread.join(timeout_s)
        self._socket.close()

    def _end(self) -> None:
        # first no new connections, then the streams, which never end by themselves, then uvicorn waits for the rest
        if self._listener is not None:
            self._listener.close()
        if self._site is not None:
            self._site.end()
        if self._server is not None:
            self._server.should_exit = True

    def _run(self) -> None:
        _forward_log()
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # whatever it is: in a thread nobody would see it
            self.failure = error
            logging.getLogger(__name__).critical("the page and the API have stopped", exc_info=error)
        finally:
            self._started.set()

    async def _serve(self) -> None:
        import uvicorn

        from edge_app.web import protocol
        from edge_app.web.site import Site

        self._loop = asyncio.get_running_loop()
        self._site = Site(self._controls, self._places, self._config, self._policy)
        config = uvicorn.Config(
            self._site.app,
            http=protocol.BoundedHTTP,
            ws=protocol.BoundedWebSocket,
            ws_max_size=MESSAGE_BYTES,
            # a client that vanished without closing is noticed after 40 s at most
            ws_ping_interval=20.0,
            ws_ping_timeout=20.0,
            ws_per_message_deflate=False,  # a JPEG does not shrink
            lifespan="on",
            loop="asyncio",
            # the log belongs to edge-app; see _forward_log
            log_config=None,
            access_log=False,
            # AccessMiddleware reads them, from the proxies in the configuration only
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=protocol.KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        listening = asyncio.get_running_loop().create_task(self._listen(self._server))
        await self._server.serve(sockets=[])  # connections come from the listener
        await listening

    async def _listen(self, server: "uvicorn.Server") -> None:
        from edge_app.web.listener import ConnectionTable, Listener
        from edge_app.web.protocol import http_protocol

        # uvicorn has no event for its start
        while not server.started and not server.should_exit:
            await asyncio.sleep(0.01)
        if not server.should_exit:
            pages = self._config.max_clients
            table = ConnectionTable(CONNECTIONS + CONNECTIONS_PER_PAGE * pages, self._policy.proxies)
            self._listener = Listener(self._socket, table, partial(http_protocol, server), self._tls)
        self._started.set()


class _Forward(logging.Handler):
    """Passes uvicorn's warnings to the log of edge-app."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(__name__).handle(record)


def _forward_log() -> None:
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        # the handler is on "uvicorn" alone: each record is passed on once
        logger.propagate = name != "uvicorn"
    logging.getLogger("uvicorn").handlers = [_Forward()]


def require_extra() -> None:
    """Raise RuntimeMissing unless the libraries of the extra `web` are installed."""
    try:
        import msgspec
        import starlette
        import uvicorn
        import websockets
    except ImportError as error:
        raise RuntimeMissing(
            f"the page and the API need {error.name}: pip install 'edge-app[web]', or set enabled = false in [web]"
        ) from error
    del msgspec, starlette, uvicorn, websockets


def _bind(config: "WebConfig") -> socket.socket:
    address = ipaddress.ip_address(config.host)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        bound = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise DeviceError(f"[web]: this system has no IPv{address.version}: {error.strerror}") from error
    try:
        # connections of the last run stay in TIME_WAIT for a minute, and would keep the port
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # here, not in the server's thread: a port in use is an error of the start
        bound.bind((config.host, config.port))
        bound.listen(64)
    except OSError as error:
        bound.close()
        reason = _bind_reason(error, address.version, config.port)
        raise DeviceError(f"[web]: {config.host} port {config.port} cannot be used: {reason}") from error
    return bound


def _bind_reason(error: OSError, version: int, port: int) -> str:
    """Return why an address cannot be bound, and the way out."""
    match error.errno:
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address (`ip address` lists them): set host to one of its own, or 0.0.0.0"
        case errno.EADDRINUSE:
            return f"{port_user(version, port)} uses it: stop that program, or choose another port"
        case errno.EACCES:
            return "ports below 1024 need a privilege: choose a higher port"
        case _:
            return error.strerror or str(error)


def port_user(version: int, port: int, proc: Path = Path("/proc")) -> str:
    """Return the program that listens on a TCP port, as far as this user may see it (proc(5), net/tcp)."""
    inodes = set()
    # an IPv6 socket may hold the IPv4 port as well
    for table in ("tcp", "tcp6") if version == 4 else ("tcp6",):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == LISTENING:
                    inodes.add(f"socket:[{fields[9]}]")
    for process in proc.glob("[0-9]*"):
        with suppress(OSError):  # another user's, or ended meanwhile
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor) in inodes:
                    return f"the program {(process / 'comm').read_text().strip()!r} (process {process.name})"
    return "another program"


def _tls_context(config: "WebConfig") -> ssl.SSLContext | None:
    if not config.certificate:
        return None
    # Python's defaults: TLS 1.2 or newer
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(config.certificate, config.key)
    except (OSError, ValueError) as error:
        raise InputError(f"[web]: {config.certificate} and {config.key} cannot be used for TLS: {error}") from error
    return context
