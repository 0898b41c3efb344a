"""Some damaged inputs for every reader; `make fuzz-readers` gives them 200,000."""

import warnings
from contextlib import suppress
from pathlib import Path

import pytest

from edge_app.errors import EdgeAppError
from fuzz.readers import READERS, inputs

APART = ("video",)
"""Read by libraries that print, and might crash: `run.py` gives them processes of their own."""


@pytest.mark.parametrize("name", [name for name in READERS if name not in APART])
def test_sound_inputs_are_accepted(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    accepted = 0
    for data in reader.seeds():
        with suppress(EdgeAppError):
            reader.read(data, tmp_path)
            accepted += 1
    assert accepted, f"{name}: not one of the inputs is accepted, so damaging them tests nothing"


@pytest.mark.parametrize("name", [name for name in READERS if name not in APART])
def test_damaged_inputs_raise_nothing_but_our_own_errors(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a library's warning would stand on a person's terminal
        for seed, data in inputs(READERS[name], 0, 120):
            try:
                with suppress(EdgeAppError):
                    READERS[name].read(data, tmp_path)
            except Exception as error:
                raise AssertionError(f"{name}, seed {seed}: {type(error).__name__}: {error}") from error
