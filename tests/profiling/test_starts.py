import sys

import pytest

from edge_app.errors import EdgeAppError
from edge_app.profiling.starts import time_start


def test_start_is_timed_up_to_its_first_line() -> None:
    code = "import sys; print('{\"rss_mb\": 12.5}', flush=True); sys.stdin.read()"
    found = time_start([sys.executable, "-c", code])
    assert found["rss_mb"] == 12.5
    assert found["startup_s"] > 0


def test_start_that_fails_says_why() -> None:
    with pytest.raises(EdgeAppError, match="no such thing"):
        time_start([sys.executable, "-c", "raise SystemExit('no such thing')"])
