import subprocess
import sys

import pytest

from edge_app.errors import InputError
from edge_app.profiling import measure as benchmark
from edge_app.profiling.measure import BenchSetting


@pytest.mark.parametrize("name", ["classes", "examples", "rounds", "starts", "blocks", "threads"])
def test_setting_refuses_counts_below_one(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} = -1: expected at least 1"):
        BenchSetting(**{name: -1})


def test_ratios_are_against_the_encoder_alone() -> None:
    medians = {"encoder_invoke_ms": 4.0, "preprocess_ms": 1.0, "encode_ms": 5.0, "rate_code_ms": 0.5}
    found = benchmark._ratios(medians | {"decide_ms": 1.0, "learn_ms": 3.0, "frame_ms": 7.0})
    assert found == {
        "decide_to_encoder": 0.25,
        "rate_code_and_decide_to_encoder": 0.375,
        "learn_to_decide": 3.0,
        "preprocess_to_encoder": 0.25,
        "frame_to_encoder": 1.75,
    }


def test_importing_measures_nothing_and_loads_no_compiler() -> None:
    code = (
        "import sys, edge_app.profiling.measure; print(sorted({'numba', 'cv2', 'ai_edge_litert'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
