"""The TFLite interpreter behind one small class; no other file touches a TFLite runtime.

Two runtimes will do: ai-edge-litert (preferred), and tflite-runtime 2.14 with numpy < 2 for boards that LiteRT does not
serve. EDGE_APP_TFLITE_RUNTIME, or an argument, forces one of them. Both release the GIL while they compute. LiteRT runs
int8 operators on XNNPACK by itself; tflite-runtime 2.14 has its own int8 kernels, which are slow on x86-64. One runtime
gives the same bytes for the same picture whatever the number of threads; the two round differently, so their embeddings
are close but not equal.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_app.closing import Closing
from edge_app.errors import InputError, ModelMismatch, ModelNotFound, RuntimeMissing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_app.encoder.model import MapOutput, ModelManifest

RUNTIMES = {
    "ai-edge-litert": ("ai_edge_litert.interpreter", "pip install ai-edge-litert"),
    "tflite-runtime": ("tflite_runtime.interpreter", "pip install 'edge-app[tflite-runtime]' (Python 3.11)"),
}
"""Distribution -> (module of its Interpreter, command that installs it), most preferred first."""
MAX_THREADS = 64


class TensorInfo(NamedTuple):
    """An input or an output of a model, as the interpreter describes it."""

    name: str
    shape: tuple[int, ...]
    """Batch first; -1 where the model leaves another dimension open."""
    dtype: str
    scale: float
    """0.0 where the tensor is not quantised as a whole."""
    zero_point: int


class Tensors(NamedTuple):
    """A model's inputs and outputs."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


class TFLiteEncoder(Closing):
    """An encoder model, loaded and ready: uint8 picture in, uint8 embedding out. A context manager.

    `threads` is the number of CPU threads of one call. Calls from several Python threads take turns. Raises
    ModelNotFound or ModelMismatch when the model file is missing or is not the one that the manifest describes, and
    RuntimeMissing when no TFLite runtime is installed.
    """

    def __init__(self, manifest: ModelManifest, *, threads: int = 1, runtime: str | None = None) -> None:
        if not 1 <= threads <= MAX_THREADS:
            raise InputError(f"threads = {threads}, expected 1..{MAX_THREADS}")
        self.manifest = manifest
        self.threads = threads
        # an interpreter has one set of tensors
        self._lock = threading.Lock()
        # read and handed over as bytes: between hashing a file and loading it, it could be exchanged
        content = _read(manifest)
        self._interpreter, self.runtime = _interpreter(content, threads, runtime, str(manifest.path))
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        _check(manifest, _tensors(inputs, outputs))
        self._interpreter.allocate_tensors()
        # functions that return views: set_tensor() and get_tensor() would copy once more
        self._input = self._interpreter.tensor(inputs[0]["index"])
        self._output = self._interpreter.tensor(outputs[0]["index"])
        self._map = None if manifest.last_map is None else self._interpreter.tensor(outputs[1]["index"])
        self._closed = False

    def encode(self, image: NDArray[np.uint8], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Return the embedding (n,) uint8 of `image`, (size, size, 3) uint8 RGB, C-contiguous: what Preprocessor makes.

        Writes into `out` where that is given, else into a new array. Real value = scale * (value - zero point), both
        in the manifest. Raises InputError for another shape, dtype or layout, or once closed.
        """
        _expect("image", image, (self.manifest.input_size, self.manifest.input_size, 3))
        if out is None:
            out = np.empty(self.manifest.embedding_size, np.uint8)
        else:
            _expect("out", out, (self.manifest.embedding_size,))
        with self._lock:
            self._run(image)
            _copy(self._output, self.manifest.embedding_dtype, out)
        return out

    def encode_with_map(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the embedding (n,) uint8 of `image`, and the map (side, side, n) uint8 that it is pooled from.

        It takes as long as `encode`. Raises InputError as `encode` does, and for a model that does not output its map.
        """
        _expect("image", image, (self.manifest.input_size, self.manifest.input_size, 3))
        told = self.manifest.last_map
        if told is None:
            raise InputError(
                f"encoder {self.manifest.name} does not output its last map: its manifest has no [map]. Use an encoder "
                "that is shipped with edge-app"
            )
        embedding = np.empty(self.manifest.embedding_size, np.uint8)
        cells = np.empty((told.side, told.side, self.manifest.embedding_size), np.uint8)
        with self._lock:
            self._run(image)
            _copy(self._output, self.manifest.embedding_dtype, embedding)
            _copy(self._map, told.dtype, cells)
        return embedding, cells

    def _run(self, image: NDArray[np.uint8]) -> None:
        """Invoke the interpreter; the caller holds the lock."""
        if self._closed:
            raise InputError(f"encoder {self.manifest.name} is closed: open another TFLiteEncoder")
        # The interpreter refuses to run while a view of its tensors is alive, so all views stay unnamed.
        if self.manifest.input_dtype == "int8":
            np.bitwise_xor(image, 0x80, out=self._input()[0].view(np.uint8))  # x - 128 in two's complement
        else:
            np.copyto(self._input()[0], image)
        self._interpreter.invoke()

    @property
    def xnnpack(self) -> bool | None:
        """Whether the interpreter runs operators on XNNPACK; None where the runtime does not tell, or once closed."""
        with self._lock:
            operators = getattr(self._interpreter, "_get_ops_details", None)
            return None if operators is None else any(found["op_name"] == "DELEGATE" for found in operators())

    def close(self) -> None:
        """Free the interpreter's memory; a second call does nothing."""
        with self._lock:
            self._closed = True
            # the functions hold the interpreter
            self._input = self._output = self._map = self._interpreter = None


def describe(content: bytes, name: str = "model") -> Tensors:
    """Return the inputs and outputs of a TFLite file's content. Raises InputError when the runtime cannot load it."""
    interpreter, _ = _interpreter(content, 1, None, name)
    try:
        interpreter.allocate_tensors()
        return _tensors(interpreter.get_input_details(), interpreter.get_output_details())
    except Exception as error:  # the runtime raises what it likes for a damaged model
        raise InputError(f"{name}: the TFLite runtime cannot prepare this model: {_first_line(error)}") from error


def load_runtime(runtime: str | None = None) -> tuple[Any, str]:
    """Return (Interpreter class, "distribution version") of the runtime to use; imports it. Raises RuntimeMissing."""
    wanted = runtime or os.environ.get("EDGE_APP_TFLITE_RUNTIME") or None
    if wanted is not None and wanted not in RUNTIMES:
        raise InputError(f"TFLite runtime {wanted!r} is not one of {', '.join(RUNTIMES)}")
    reasons = []
    for name in RUNTIMES if wanted is None else (wanted,):
        module, _ = RUNTIMES[name]
        try:
            found = importlib.import_module(module)
        except (ImportError, AttributeError) as error:  # AttributeError: tflite-runtime 2.14 beside numpy 2
            reasons.append(f"{name}: {_first_line(error)}")
            continue
        return found.Interpreter, f"{name} {importlib.metadata.version(name)}"
    way_out = RUNTIMES[wanted or "ai-edge-litert"][1]
    raise RuntimeMissing(f"no TFLite runtime can be loaded ({'; '.join(reasons)}); install one: {way_out}")


def _interpreter(content: bytes, threads: int, runtime: str | None, name: str) -> tuple[Any, str]:
    make, version = load_runtime(runtime)
    if content[4:8] != b"TFL3":
        raise InputError(f"{name} is not a TFLite file: bytes 4..7 are {content[4:8]!r}, expected b'TFL3'")
    try:
        return make(model_content=content, num_threads=threads), version
    except Exception as error:
        raise InputError(f"{name} cannot be loaded by {version}: {_first_line(error)}") from error


def _read(manifest: ModelManifest) -> bytes:
    """Return the model's bytes, checked: the very bytes that are hashed are the ones that run."""
    try:
        content = manifest.path.read_bytes()
    except FileNotFoundError as error:
        raise ModelNotFound(f"{manifest.path} is missing, which {manifest.manifest_path} describes") from error
    except OSError as error:
        raise ModelNotFound(f"{manifest.path} cannot be read: {error.strerror or error}") from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != manifest.sha256:
        raise ModelMismatch(
            f"{manifest.path} is not the file that {manifest.manifest_path.name} describes: its SHA-256 is {actual}, "
            f"expected {manifest.sha256}. Restore the file"
        )
    return content


def _tensors(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> Tensors:
    def info(tensor: dict[str, Any]) -> TensorInfo:
        signature = tensor.get("shape_signature")
        # the signature has -1 where the shape shows a stand-in
        shape = [int(n) for n in (tensor["shape"] if signature is None or len(signature) == 0 else signature)]
        shape[:1] = [abs(n) for n in shape[:1]]  # an open batch dimension is allocated as 1
        scale, zero_point = tensor["quantization"]
        name = np.dtype(tensor["dtype"]).name
        return TensorInfo(tensor["name"], tuple(shape), name, float(scale), int(zero_point))

    return Tensors(tuple(map(info, inputs)), tuple(map(info, outputs)))


def _check(manifest: ModelManifest, tensors: Tensors) -> None:
    """Raise ModelMismatch unless the manifest tells the truth about the model's tensors."""
    source, sink = tensors.inputs[0], tensors.outputs[0]
    offset = 128 if manifest.embedding_dtype == "int8" else 0
    found: dict[str, tuple[Any, Any]] = {
        "input.size": (manifest.input_size, source.shape[1] if len(source.shape) == 4 else source.shape),
        "input.dtype": (manifest.input_dtype, source.dtype),
        # float32, in which the model stores it
        "input.scale": (np.float32(manifest.input_scale), np.float32(source.scale)),
        "input.zero_point": (manifest.input_zero_point, source.zero_point),
        "embedding.size": (manifest.embedding_size, int(np.prod(sink.shape))),
        "embedding.dtype": (manifest.embedding_dtype, sink.dtype),
        "embedding.scale": (np.float32(manifest.embedding_scale), np.float32(sink.scale)),
        "embedding.zero_point": (manifest.embedding_zero_point, sink.zero_point + offset),
    }
    if manifest.last_map is not None:
        found |= _map_entries(manifest, manifest.last_map, tensors.outputs)
    for key, (said, actual) in found.items():
        if said != actual:
            raise ModelMismatch(
                f"{manifest.manifest_path} says {key} = {said}, but {manifest.path.name} has {actual}; write a true "
                f"manifest: edge-app models add {manifest.path} --name NAME"
            )


def _map_entries(
    manifest: ModelManifest, told: MapOutput, outputs: tuple[TensorInfo, ...]
) -> dict[str, tuple[Any, Any]]:
    """Return what the manifest says of the map, each with what the model has."""
    if len(outputs) < 2:
        return {"map": ("a second output", "one output")}
    sink = outputs[1]
    return {
        "map.side and embedding.size": ((1, told.side, told.side, manifest.embedding_size), sink.shape),
        "map.dtype": (told.dtype, sink.dtype),
        "map.scale": (np.float32(told.scale), np.float32(sink.scale)),
        "map.zero_point": (told.zero_point, sink.zero_point + (128 if told.dtype == "int8" else 0)),
    }


def _copy(tensor: Any, dtype: str, out: NDArray[np.uint8]) -> None:
    """Copy an output, a function that returns a view of it, to `out`, raised by 128 where it is int8."""
    if dtype == "int8":
        np.bitwise_xor(tensor().reshape(out.shape).view(np.uint8), 0x80, out=out)
    else:
        np.copyto(out, tensor().reshape(out.shape))


def _expect(name: str, array: Any, shape: tuple[int, ...]) -> None:
    if isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.shape == shape and array.flags.c_contiguous:
        return
    found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
    layout = "" if not isinstance(array, np.ndarray) or array.flags.c_contiguous else ", not C-contiguous"
    raise InputError(f"{name} is {found}{layout}, expected a C-contiguous uint8 array of {shape}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
