"""A served device, and folders in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app.config import WebConfig
from support.device import Device
from support.served import Served
from support.simple_network import folder_in_memory, open_learner


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A device on a free port, with a decision."""
    folder = tmp_path / "state"
    folder.mkdir()
    config = WebConfig(enabled=True, port=0)
    with (
        open_learner(folder) as learner,
        Device(folder, learner) as device,
        Served(device, config, tmp_path / "tokens.json") as served,
    ):
        yield served
