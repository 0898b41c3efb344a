"""The live device as a measured process."""

import os
from pathlib import Path

import pytest

from edge_app.errors import EdgeAppError
from edge_app.profiling.idle import measure_idle
from edge_app.profiling.memory import measure_memory
from edge_app.profiling.process import look_at, running


def test_a_process_is_looked_at() -> None:
    found = look_at(os.getpid())
    assert 0 < found["private_mb"] <= found["pss_mb"] <= found["rss_mb"]
    assert found["threads"] >= 1
    assert found["files"] >= 3
    assert found["cpu_s"] > 0


def test_one_that_does_not_start_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with (
        pytest.raises(EdgeAppError, match=r"(?s)told no 'ready'.*cannot read the folder"),
        running("--state", str(tmp_path / "state"), "--camera", "dir:/nowhere"),
    ):
        pass


@pytest.mark.slow
def test_the_idle_device_is_measured() -> None:
    found = measure_idle(seconds=1.0)
    assert 0 < found["cpu_s"] < found["wall_s"]
    assert found["cpu_share"] == found["cpu_s"] / found["wall_s"]


@pytest.mark.slow
def test_the_memory_of_the_device_is_measured() -> None:
    found = measure_memory(classes=4, examples=2, seconds=0.1)
    assert 0 < found["private_mb"] <= found["pss_mb"] <= found["rss_mb"]
