"""The networks do the same as when the golden files were written, here and on every other architecture."""

import json
from typing import Any

import pytest

from edge_app.colanet.params import Params
from support.make_golden import CASES, FOLDER, trajectory


def golden(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))


@pytest.mark.parametrize("name", CASES)
def test_trajectory(name: str) -> None:
    expected, found = golden(name), trajectory(Params.from_dict(golden(name)["params"]))
    for key, value in expected.items():
        assert found[key] == value, key


@pytest.mark.parametrize("name", CASES)
def test_the_trajectories_say_something(name: str) -> None:
    """Columns spike, decide and are mistaken at first: a network of constants would not do."""
    expected = golden(name)
    assert sum(map(sum, expected["spikes"])) > 50
    assert len(set(expected["decisions"])) >= 4
    assert len({tuple(weights) for weights in expected["weights"]}) > 2


def test_there_is_a_case_for_every_file() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CASES)
    assert sum(path.stat().st_size for path in FOLDER.glob("*.json")) < 100_000
