"""The real runtime on the real model: same picture, same bytes; anything else is refused with its reason."""

import _thread
import dataclasses
import hashlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.encoder import tflite
from edge_app.encoder.model import ModelManifest, load_manifest
from edge_app.encoder.selfcheck import picture
from edge_app.encoder.tflite import MAX_THREADS, RUNTIMES, TFLiteEncoder, describe, load_runtime
from edge_app.errors import InputError, ModelMismatch, ModelNotFound, RuntimeMissing

GOLDEN_HEAD = (19, 0, 0, 0, 0, 0, 0, 99, 0, 2, 0, 4, 0, 84, 10, 2)


def noise(size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def test_golden_embedding() -> None:
    with TFLiteEncoder(load_manifest()) as encoder:
        embedding = encoder.encode(picture(224))
    head = embedding[:16].astype(int)
    np.testing.assert_allclose(head, GOLDEN_HEAD, atol=8)


def test_same_bytes_with_any_number_of_threads_and_in_any_order() -> None:
    manifest = load_manifest()
    pictures = [picture(224), noise(224, 1), noise(224, 2)]
    with TFLiteEncoder(manifest) as one, TFLiteEncoder(manifest, threads=2) as two:
        expected = [one.encode(picture) for picture in pictures]
        for index in (2, 0, 1, 1, 0):
            np.testing.assert_array_equal(one.encode(pictures[index]), expected[index])
            np.testing.assert_array_equal(two.encode(pictures[index]), expected[index])
    assert len({embedding.tobytes() for embedding in expected}) == 3


def test_a_result_is_the_callers_own(tiny: ModelManifest) -> None:
    with TFLiteEncoder(tiny) as encoder:
        first = encoder.encode(noise(32, 1))
        kept = first.copy()
        second = encoder.encode(noise(32, 2))
        np.testing.assert_array_equal(first, kept)
        assert not np.array_equal(first, second)
        out = np.empty(24, np.uint8)
        assert encoder.encode(noise(32, 1), out=out) is out
        np.testing.assert_array_equal(out, first)


def test_signed_models_give_the_same_embedding(tiny: ModelManifest, models: Path) -> None:
    content = (models / "embedding_int8.tflite").read_bytes()
    path = tiny.path.with_name("signed.tflite")
    path.write_bytes(content)
    signed = dataclasses.replace(
        tiny,
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        input_dtype="int8",
        input_zero_point=-1,
        embedding_dtype="int8",
    )
    with TFLiteEncoder(tiny) as plain, TFLiteEncoder(signed) as other:
        for seed in range(5):
            np.testing.assert_array_equal(other.encode(noise(32, seed)), plain.encode(noise(32, seed)))


def test_threads_of_the_program_take_turns(tiny: ModelManifest) -> None:
    pictures = [noise(32, seed) for seed in range(4)]
    wrong: list[int] = []
    with TFLiteEncoder(tiny) as encoder:
        expected = [encoder.encode(picture) for picture in pictures]

        def work(index: int) -> None:
            results = (encoder.encode(pictures[index]) for _ in range(200))
            wrong.extend(index for result in results if not np.array_equal(result, expected[index]))

        workers = [threading.Thread(target=work, args=(index,)) for index in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert wrong == []


def test_others_run_while_it_computes() -> None:
    """The GIL is free during invoke: no thread gets it by waiting, as the switch interval is 100 s meanwhile."""
    ran: list[bool] = []
    interval = sys.getswitchinterval()
    with TFLiteEncoder(load_manifest()) as encoder:
        encoder.encode(picture(224))
        sys.setswitchinterval(100.0)
        try:
            _thread.start_new_thread(ran.append, (True,))  # Thread.start() would let go of the GIL itself
            assert ran == []
            for _ in range(200):  # the new thread may take a while to come up
                encoder._interpreter.invoke()
                if ran:
                    break
        finally:
            sys.setswitchinterval(interval)
    assert ran == [True]


def test_altered_missing_or_swapped_files_are_refused(tiny: ModelManifest, models: Path) -> None:
    whole = tiny.path.read_bytes()
    tiny.path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelMismatch, match="SHA-256"):
        TFLiteEncoder(tiny)
    tiny.path.write_bytes((models / "classifier_uint8.tflite").read_bytes())
    with pytest.raises(ModelMismatch, match="SHA-256"):
        TFLiteEncoder(tiny)
    tiny.path.unlink()
    with pytest.raises(ModelNotFound, match="is missing"):
        TFLiteEncoder(tiny)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"input_size": 64}, "input.size = 64"),
        ({"input_dtype": "int8"}, "input.dtype = int8"),
        ({"input_zero_point": 128}, "input.zero_point = 128"),
        ({"input_scale": 1.0}, "input.scale = 1.0"),
        ({"embedding_size": 25}, "embedding.size = 25"),
        ({"embedding_dtype": "int8", "embedding_zero_point": 128}, "embedding.dtype = int8"),
        ({"embedding_scale": 0.02}, "embedding.scale = 0.0"),
        ({"embedding_zero_point": 1}, "embedding.zero_point = 1"),
    ],
)
def test_a_manifest_that_lies_is_refused(tiny: ModelManifest, change: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelMismatch, match=named):
        TFLiteEncoder(dataclasses.replace(tiny, **change))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((32, 31, 3), np.uint8),
        np.zeros((1, 32, 32, 3), np.uint8),
        np.zeros((32, 32, 3), np.int8),
        np.zeros((32, 32, 6), np.uint8)[:, :, ::2],
        None,
    ],
)
def test_refuses_what_is_not_its_input(tiny: ModelManifest, image: Any) -> None:
    with TFLiteEncoder(tiny) as encoder:
        with pytest.raises(InputError, match="image is "):
            encoder.encode(image)
        with pytest.raises(InputError, match="out is "):
            encoder.encode(noise(32), out=np.empty(23, np.uint8))


def test_closed_is_closed(tiny: ModelManifest) -> None:
    encoder = TFLiteEncoder(tiny)
    encoder.close()
    encoder.close()
    with pytest.raises(InputError, match="closed"):
        encoder.encode(noise(32))


@pytest.mark.parametrize("threads", [0, -1, MAX_THREADS + 1])
def test_threads_out_of_range(tiny: ModelManifest, threads: int) -> None:
    with pytest.raises(InputError, match=f"threads = {threads}"):
        TFLiteEncoder(tiny, threads=threads)


@pytest.mark.parametrize("content", [b"", b"no model at all, but long enough", b"\x1c\x00\x00\x00TFL3" + bytes(40)])
def test_files_that_are_no_model(content: bytes) -> None:
    with pytest.raises(InputError, match="odd"):
        describe(content, "odd")


def test_describe_tells_shapes_and_scales(models: Path) -> None:
    tensors = describe((models / "open_height.tflite").read_bytes())
    assert tensors.inputs[0].shape == (1, -1, 32, 3)
    assert (tensors.inputs[0].dtype, tensors.inputs[0].scale, tensors.inputs[0].zero_point) == ("uint8", 1 / 128, 127)
    assert describe((models / "float32.tflite").read_bytes()).inputs[0].scale == 0.0


def test_a_runtime_can_be_forced(tiny: ModelManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    _, version = load_runtime()
    present = version.split()[0]
    monkeypatch.setenv("EDGE_APP_TFLITE_RUNTIME", present)
    with TFLiteEncoder(tiny) as encoder:
        assert encoder.runtime == version
    monkeypatch.setenv("EDGE_APP_TFLITE_RUNTIME", "caffe")
    with pytest.raises(InputError, match="'caffe' is not one of ai-edge-litert, tflite-runtime"):
        load_runtime()
    with TFLiteEncoder(tiny, runtime=present) as encoder:
        assert encoder.runtime == version


def test_no_runtime_says_how_to_install_one(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = {name: (f"not_installed_{index}", hint) for index, (name, (_, hint)) in enumerate(RUNTIMES.items())}
    monkeypatch.setattr(tflite, "RUNTIMES", gone)
    monkeypatch.delenv("EDGE_APP_TFLITE_RUNTIME", raising=False)
    with pytest.raises(RuntimeMissing, match="pip install ai-edge-litert"):
        load_runtime()
    with pytest.raises(RuntimeMissing, match=r"edge-app\[tflite-runtime\]"):
        load_runtime("tflite-runtime")


def test_importing_it_loads_no_runtime() -> None:
    code = (
        "import sys, edge_app.encoder.tflite\n"
        "print([m for m in sys.modules if m.startswith(('ai_edge_litert', 'tflite_runtime'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
