"""State folders of these tests lie in memory where that is possible: they commit thousands of times."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.simple_network import folder_in_memory


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)
