"""Same frames, same presses, same bits: on this machine as on the one that wrote the golden file.

Runs on x86-64 with the rest of the suite, and on aarch64 by `make test-aarch64`.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from edge_app.encoder.tflite import load_runtime
from support.journey import DREAMS, GOLDEN, TAUGHT, WINDOWS, walk


@pytest.fixture(scope="module", autouse=True)
def _runtime() -> None:
    _, runtime = load_runtime()
    if not runtime.startswith("ai-edge-litert"):
        pytest.skip(f"{runtime} rounds otherwise than ai-edge-litert, by which golden.json was written")


def golden() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="ascii"))
    return found


@pytest.mark.parametrize("threads", [1, 4])
def test_the_same_bits(tmp_path: Path, threads: int) -> None:
    expected, found = golden(), walk(tmp_path / "state", threads)
    for section in expected:  # in the order of computation: the first that differs is where it began
        assert found[section] == expected[section], section
    assert found.keys() == expected.keys()


def test_the_golden_file_says_something() -> None:
    """Each frame is another one, undo and replay end in the same state, and what was taught is told apart."""
    expected = golden()
    digests = list(expected["frames"].values())
    assert len(digests) == 3 * len(WINDOWS) + 4
    for step in range(len(digests[0])):
        assert len({row[step] for row in digests}) == len(digests)
    states = expected["states"]
    assert states["snapshot"] == states["replayed from the journal"]
    assert len({states["taught"], states["corrected"], states["snapshot"]}) == 3
    assert len({digest for row in expected["dreams"].values() for digest in row}) == 2 * DREAMS
    told = {name: row for name, row in expected["decisions"].items() if name.startswith("then")}
    assert len(told) == 3 * (len(WINDOWS) - TAUGHT) + 2
    assert sum(name.split()[1] == row[0] for name, row in told.items()) >= 4
    assert GOLDEN.stat().st_size < 20_000
