"""The whole virtual device, as pytest sees it; `make test-system` shows more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from virtual_device import needs


@pytest.mark.slow
def test_every_scenario_passes(tmp_path: Path) -> None:
    if not os.environ.get("EDGE_APP_TEST_SYSTEM"):
        pytest.skip("it takes minutes: make test-system, or set EDGE_APP_TEST_SYSTEM=1")
    if missing := needs.missing():
        pytest.skip(f"the virtual device needs {'; '.join(missing)}")
    command = [sys.executable, "-m", "virtual_device", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_without_what_it_needs_it_says_so_and_ends_with_a_status_of_its_own(tmp_path: Path) -> None:
    environ = {**os.environ, "PATH": str(tmp_path)}  # no program at all
    command = [sys.executable, "-c", "import shutil; shutil.which = lambda *a, **k: None; import runpy; "]
    command[-1] += "runpy.run_module('virtual_device', run_name='__main__')"
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == needs.SKIPPED
    assert "apt-get install xz-utils" in done.stderr
