"""A classifier cut at its embedding computes what it computed inside."""

import contextlib
import hashlib
import random
from pathlib import Path

import flatbuffers
import numpy as np
import pytest

from edge_app.encoder.graph import cut_at_embedding
from edge_app.encoder.tflite import describe, load_runtime
from edge_app.errors import InputError

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="cutting a model needs ai-edge-litert")


def run(content: bytes, picture: np.ndarray) -> np.ndarray:
    interpreter = load_runtime()[0](model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None])
    interpreter.invoke()
    return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def pictures() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("tensor", [None, "functional_1/embedding_1/Mean", "embedding"])
def test_the_cut_classifier_gives_the_embedding_models_values(models: Path, tensor: str | None) -> None:
    whole = (models / "classifier_uint8.tflite").read_bytes()
    cut = cut_at_embedding(whole, tensor)
    assert cut.removed == ("FULLY_CONNECTED", "SOFTMAX", "QUANTIZE")
    assert "embedding" in cut.tensor
    output = describe(cut.content).outputs[0]
    assert (output.dtype, output.shape) == ("int8", (1, 24))
    embedding = (models / "embedding_uint8.tflite").read_bytes()  # the same weights, built without a head
    for picture in pictures():
        values = run(cut.content, picture)
        np.testing.assert_array_equal(values.view(np.uint8) ^ 0x80, run(embedding, picture))


def test_a_head_that_is_a_pointwise_convolution(models: Path) -> None:
    cut = cut_at_embedding((models / "classifier_pointwise.tflite").read_bytes())
    assert cut.removed[0] == "CONV_2D"
    assert "SOFTMAX" in cut.removed
    assert describe(cut.content).outputs[0].shape == (1, 1, 1, 24)


def test_layers_that_narrow_down_to_the_trained_classes_are_cut_off(models: Path) -> None:
    whole = (models / "classifier_task_layer.tflite").read_bytes()
    cut = cut_at_embedding(whole)
    assert cut.removed == ("FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX", "QUANTIZE")
    assert describe(cut.content).outputs[0].shape == (1, 24)
    assert describe(cut_at_embedding(whole, "task").content).outputs[0].shape == (1, 12)


def test_a_model_compiled_for_the_edge_tpu_is_refused_with_the_way_out(models: Path) -> None:
    content = (models / "classifier_uint8.tflite").read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    model.operatorCodes[0].customCode = b"edgetpu-custom-op"
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(InputError, match=r"compiled for the Edge TPU.*without _edgetpu"):
        cut_at_embedding(bytes(builder.Output()))


@pytest.mark.parametrize("name", ["classifier_uint8", "classifier_pointwise", "embedding_int8"])
def test_a_damaged_graph_is_an_input_error_or_a_model(models: Path, name: str) -> None:
    good = (models / f"{name}.tflite").read_bytes()
    for seed in range(150):
        chance = random.Random(seed)
        damaged = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(8, len(damaged) - 4)
            damaged[at : at + 4] = chance.choice([chance.randbytes(4), b"\xff" * 4, bytes(4), b"\xff\xff\xff\x7f"])
        with contextlib.suppress(InputError):
            cut_at_embedding(bytes(damaged[: chance.choice([len(damaged), chance.randrange(8, len(damaged))])]))


def test_the_weights_that_went_take_no_room(models: Path) -> None:
    whole = (models / "classifier_uint8.tflite").read_bytes()
    head = _buffer_of(whole, "classes")
    assert len(head) == 24 * 10
    cut = cut_at_embedding(whole)
    assert head in whole
    assert head not in cut.content
    assert cut_at_embedding(cut.content) == (cut.content, cut.tensor, ())


def _buffer_of(content: bytes, name: str) -> bytes:
    """Return the weights of the fully connected layer whose output has `name` in its name."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph = model.subgraphs[0]
    [operator] = [op for op in graph.operators if name.encode() in graph.tensors[op.outputs[0]].name]
    return bytes(model.buffers[graph.tensors[operator.inputs[1]].buffer].data)


def test_cutting_is_deterministic(models: Path) -> None:
    whole = (models / "classifier_int8.tflite").read_bytes()
    digests = {hashlib.sha256(cut_at_embedding(whole).content).hexdigest() for _ in range(3)}
    assert len(digests) == 1


def test_an_embedding_model_stays_as_it_is(models: Path) -> None:
    for name in ("embedding_uint8", "embedding_int8", "map_output"):
        content = (models / f"{name}.tflite").read_bytes()
        cut = cut_at_embedding(content)
        assert cut.content is content
        assert cut.removed == ()


def test_one_of_several_outputs_must_be_named(models: Path) -> None:
    content = (models / "two_outputs.tflite").read_bytes()
    with pytest.raises(InputError, match=r"has 2 outputs; choose one with --embedding: .*\[1, 24\].*\[1, 10\]"):
        cut_at_embedding(content)
    cut = cut_at_embedding(content, "StatefulPartitionedCall_1:1")
    assert [output.shape for output in describe(cut.content).outputs] == [(1, 24)]


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ("no_such_tensor", "no tensor has that name; vectors are: .*embedding"),
        ("functional_1", r"\d tensors match: "),
        ("conv2d_1_2/Relu6", "is no embedding: expected one vector"),
    ],
)
def test_what_cannot_be_an_embedding_is_refused(models: Path, tensor: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cut_at_embedding((models / "classifier_uint8.tflite").read_bytes(), tensor)


@pytest.mark.parametrize("seed", range(30))
def test_damaged_files_are_refused_or_harmless(models: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    content = bytearray((models / "classifier_uint8.tflite").read_bytes())
    for _ in range(20):
        content[random.integers(len(content))] = random.integers(256)
    with contextlib.suppress(InputError):  # anything else fails the test
        cut_at_embedding(bytes(content))
