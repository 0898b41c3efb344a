"""Fixtures: a small device served over real sockets, and a client for it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

for module in ("starlette", "uvicorn", "msgspec", "websockets", "httpx"):
    pytest.importorskip(module, reason="the page and the API need the extra `web`, their tests `dev`")

from edge_app.config import WebConfig  # noqa: E402
from support.device import Device  # noqa: E402 needs them
from support.served import Served  # noqa: E402
from support.simple_network import folder_in_memory, open_learner  # noqa: E402


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serve a device with these keys of [web]."""
    with ExitStack() as stack:

        def make(**web: object) -> Served:
            learner = stack.enter_context(open_learner(tmp_path))
            device = stack.enter_context(Device(tmp_path, learner))
            config = replace(WebConfig(enabled=True, port=0), **web)
            return stack.enter_context(Served(device, config, tmp_path / "tokens.json"))

        yield make


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """A device with the default configuration: this machine may do everything."""
    return serve()
