"""A written network is read back; a graph that is not one of spike counts is refused, with the reason."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_app.errors import InputError
from edge_app.spiking.network import Layer, SpikingNetwork, Sum
from edge_app.spiking.reading import read_network
from support.tiny_spiking import layer, spiking_network

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="reading a graph needs ai-edge-litert")
flatbuffers = pytest.importorskip("flatbuffers")
pack = pytest.importorskip("calibration.spiking.pack").pack

ORDINARY = Path(__file__).parents[1] / "encoder" / "models" / "embedding_int8.tflite"


def changed(content: bytes, change: Any) -> bytes:
    """Return a TFLite file whose object form went through `change`."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    change(model.subgraphs[0])
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("top", [1, 8, 15, 127])
def test_what_is_packed_is_read(top: int) -> None:
    network = spiking_network(1, top=min(top, 125))
    read = read_network(pack(network, 0.02))
    assert (read.size, read.offset) == (network.size, network.offset)
    for one, other in zip(network.nodes, read.nodes, strict=True):
        if isinstance(one, Sum):
            assert one == other
            continue
        assert isinstance(other, Layer)
        for field in dataclasses.fields(Layer):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


def test_the_same_network_gives_the_same_bytes() -> None:
    assert pack(spiking_network(3), 0.02) == pack(spiking_network(3), 0.02)


def test_an_even_threshold_is_refused_on_load() -> None:
    """Weights' scales doubled and halved until a threshold of 3 reads as 4."""

    def even(graph: Any) -> None:
        kernel = next(t for t in graph.tensors if t.name == b"head/weights")
        kernel.quantization.scale = kernel.quantization.scale * 0 + kernel.quantization.scale[0]
        kernel.quantization.scale[0] *= first / (first + 1)

    network = spiking_network(0)
    first = int(next(one for one in network.layers if one.name == "head").thresholds[0])
    with pytest.raises(InputError, match=rf"layer head: threshold {first + 1}, expected odd numbers above 0"):
        read_network(changed(pack(network, 0.02), even))


def test_a_threshold_that_is_no_integer_is_refused() -> None:
    def between(graph: Any) -> None:
        kernel = next(t for t in graph.tensors if t.name == b"head/weights")
        kernel.quantization.scale = kernel.quantization.scale * np.float32(1.003)

    with pytest.raises(InputError, match=r"has a threshold of .*, expected odd integers"):
        read_network(changed(pack(spiking_network(0), 0.02), between), "mine.tflite")


@pytest.mark.parametrize("threshold", [0, -3, 2])
def test_a_layer_refuses_a_threshold_that_is_even_or_not_positive(threshold: int) -> None:
    good = layer("one", -1, 3, 2, seed=0)
    with pytest.raises(InputError, match=f"layer one: threshold {threshold}"):
        dataclasses.replace(good, thresholds=np.array([5, threshold], np.int32))


def test_an_ordinary_encoder_is_refused() -> None:
    with pytest.raises(InputError, match=r"is no spiking encoder: .*"):
        read_network(ORDINARY.read_bytes(), "embedding_int8.tflite")


def test_a_sum_of_unlike_steps_is_refused() -> None:
    def unlike(graph: Any) -> None:
        next(t for t in graph.tensors if t.name == b"sum 1").quantization.scale = np.array([0.3], np.float32)

    with pytest.raises(InputError, match="adds counts of different steps"):
        read_network(changed(pack(spiking_network(0), 0.02), unlike))


def test_damaged_bytes_are_refused() -> None:
    content = bytearray(pack(spiking_network(0), 0.02))
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = content.copy()
        for place in random.integers(8, len(content), 20):
            damaged[place] = random.integers(256)
        try:
            read_network(bytes(damaged))
        except InputError:
            refused += 1
    assert refused > 10
    with pytest.raises(InputError, match="not a TFLite file"):
        read_network(b"JFIF" * 10, "picture.jpg")


def test_thresholds_that_float32_cannot_tell_apart_are_not_packed() -> None:
    network = spiking_network(0, top=15)
    stem = dataclasses.replace(network.layers[0], thresholds=np.full(4, 300_001, np.int32))
    with pytest.raises(InputError, match="layer stem: threshold 300001 is too large for 15 steps"):
        pack(dataclasses.replace(network, nodes=(stem, *network.nodes[1:])), 0.02)


def test_nodes_hear_only_what_was_computed_before() -> None:
    with pytest.raises(InputError, match="node late hears"):
        SpikingNetwork(8, 127, (layer("late", 0, 3, 2, seed=0),))
