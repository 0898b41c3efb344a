"""The same spikes on every machine: here and, by `make test-aarch64`, on emulated ARM processors."""

import json
import warnings
from typing import Any

import numpy as np
import pytest

from edge_app.encoder.tflite import load_runtime
from support.spiking_golden import GOLDEN, TINY, digest, picture, shipped, simulated

GOLD: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="ascii"))


@pytest.fixture(autouse=True)
def _runtime() -> None:
    _, runtime = load_runtime()
    if not runtime.startswith("ai-edge-litert"):
        pytest.skip(f"{runtime} rounds otherwise than ai-edge-litert, and brings no reader of the graph")


@pytest.mark.parametrize("seed", range(3))
def test_the_simulation_counts_as_on_x86_64(seed: int) -> None:
    assert simulated(seed) == GOLD["tiny"][str(seed)]


@pytest.mark.parametrize("seed", range(3))
def test_the_runtime_counts_as_on_x86_64(seed: int) -> None:
    make, _ = load_runtime()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it warns that all tensors take more memory
        runtime = make(model_content=TINY.read_bytes(), experimental_preserve_all_tensors=True)
        runtime.allocate_tensors()
    source, sink = runtime.get_input_details()[0], runtime.get_output_details()[0]
    runtime.set_tensor(source["index"], (picture(seed) ^ 0x80).view(np.int8)[None])
    runtime.invoke()
    gold = GOLD["tiny"][str(seed)]
    found = {}
    for detail in runtime.get_tensor_details():
        if detail["name"] in gold:
            values = runtime.get_tensor(detail["index"])[0].astype(np.int32)
            found[detail["name"]] = digest(values + (128 if detail["index"] == sink["index"] else 0))
    assert found == {name: value for name, value in gold.items() if not name.startswith("streamed")}


def test_the_shipped_encoder_gives_the_bits_of_x86_64() -> None:
    assert shipped() == GOLD["shipped"]
