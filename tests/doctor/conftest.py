from functools import partial
from pathlib import Path

import pytest

from support.machines import MakeSystem, make_system


@pytest.fixture
def machine(tmp_path: Path) -> MakeSystem:
    """Makes machines below the test's own folder."""
    return partial(make_system, tmp_path)
