"""An HTTP receiver on loopback, which answers as a test says and keeps what it was sent."""

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple


class Received(NamedTuple):
    """A request."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class Reply(NamedTuple):
    """How to answer."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()


class WebhookReceiver:
    """A context manager; `answers` are used up in turn, the last one for ever."""

    def __init__(self, *answers: int | Reply, certificate: tuple[Path, Path] | None = None) -> None:
        self._answers = [one if isinstance(one, Reply) else Reply(one) for one in answers] or [Reply()]
        self.received: list[Received] = []
        self.hold: threading.Event | None = None
        """Where set: an answer waits for it."""
        self._came = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer._received(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self._scheme = "http" if certificate is None else "https"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def _received(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._came:
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            self.received.append(Received(handler.path, headers, body))
            self._came.notify_all()
        if self.hold is not None:
            self.hold.wait(30)
        handler.send_response(answer.status)
        for name, value in answer.headers:
            handler.send_header(name, value)
        handler.end_headers()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.server.server_port}{path}"

    def wait_for(self, right: Callable[[list[Received]], bool]) -> None:
        with self._came:
            assert self._came.wait_for(lambda: right(self.received), 30)

    def __enter__(self) -> "WebhookReceiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.hold is not None:
            self.hold.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
