"""Fixtures of the tests of `edge_app.control`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.device import Device
from support.simple_network import folder_in_memory, open_learner


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    """A running device."""
    with open_learner(tmp_path) as learner, Device(tmp_path, learner) as device:
        yield device
