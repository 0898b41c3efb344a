"""A model that crashes or hangs the runtime harms nothing else."""

import os
import time

import pytest

from edge_app.encoder.apart import run_apart
from edge_app.encoder.model import load_manifest
from edge_app.errors import InputError, ModelNotFound


def test_result_and_error_come_back() -> None:
    assert run_apart(divmod, 7, 2, what="m.tflite") == (3, 1)
    with pytest.raises(ModelNotFound, match="nothing_of_that_name"):
        run_apart(load_manifest, "nothing_of_that_name", what="m.tflite")


def test_what_is_printed_is_no_part_of_the_answer() -> None:
    assert run_apart(print, "a message of the library", what="m.tflite") is None


def test_a_model_that_crashes_the_runtime_crashes_nothing_else() -> None:
    with pytest.raises(InputError, match=r"m\.tflite: the TFLite runtime crashes on this model \(status -6\)"):
        run_apart(os.abort, what="m.tflite")


def test_a_model_that_does_not_finish_is_given_up() -> None:
    with pytest.raises(InputError, match=r"m\.tflite: .* does not finish this model within 0\.2 s"):
        run_apart(time.sleep, 600, what="m.tflite", timeout_s=0.2)


def test_what_else_the_runtime_raises_is_contained() -> None:
    with pytest.raises(InputError, match=r"does not run: ZeroDivisionError"):
        run_apart(divmod, 1, 0, what="m.tflite")
