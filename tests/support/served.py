"""A device with its server, and HTTP clients for it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from edge_app.config import WebConfig
from edge_app.web.server import WebServer
from support.device import Device

CHANGE = {"X-Edge-App": "1"}


class Served:
    """A served device, with its parts."""

    def __init__(self, device: Device, config: WebConfig, tokens: Path) -> None:
        self.device = device
        self.control = device.control
        self.config = config
        self.tokens = tokens
        self._stack = ExitStack()

    def __enter__(self) -> "Served":
        self.server = self._stack.enter_context(
            WebServer({"camera": self.control}, self.device.places, self.config, self.tokens)
        )
        self.server.start()
        self.http = self._stack.enter_context(self.client())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        assert self.server.failure is None

    def client(self, token: str | None = None, **options: Any) -> httpx.Client:
        """Return a client, with a token or without."""
        headers = {"Authorization": f"Bearer {token}"} if token else CHANGE
        return httpx.Client(
            base_url=self.server.url, headers=headers, timeout=30, verify=options.pop("verify", False), **options
        )

    @contextmanager
    def events(self, client: httpx.Client | None = None, **headers: str) -> Iterator[Iterator[tuple[str, str, str]]]:
        """Yield server-sent events as (name, data, id)."""
        with (client or self.http).stream("GET", "/api/v1/events", headers=headers) as answer:
            assert answer.status_code == 200, answer.read()
            yield parsed(answer.iter_lines())


def parsed(lines: Iterator[str]) -> Iterator[tuple[str, str, str]]:
    name = data = number = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data = value
        elif field == "id":
            number = value
        elif not line and name:
            yield name, data, number
            name = data = number = ""


def api(path: str) -> str:
    return f"/api/v1{path}"
