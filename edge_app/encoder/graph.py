"""Cut a classifier down to its embedding: a TFLite file in, a smaller TFLite file out.

The part of the network that leads to one tensor is kept, and that tensor becomes the only output; nothing is
quantised anew, so its values are the ones that the classifier computes inside. Uses the flatbuffer schema that
ai-edge-litert ships.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from edge_app.errors import EdgeAppError, InputError, RuntimeMissing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_Number = TypeVar("_Number", bound=np.number[Any])
_TAILS = ("SOFTMAX", "LOGISTIC", "QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "LOG_SOFTMAX", "CAST")
"""Operators that may stand between a classifier's last layer and its output."""
_BETWEEN = ("RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE", "SQUEEZE", "TANH", "ELU", "LEAKY_RELU")
"""Operators that may stand between two of its fully connected layers."""
_EDGE_TPU = b"edgetpu-custom-op"


class EmbeddingModel(NamedTuple):
    """A model that ends at its embedding."""

    content: bytes
    tensor: str
    """Name of the tensor that is now the output."""
    removed: tuple[str, ...]
    """Operators that went, in their order; empty when the model was left as it was."""


def cut_at_embedding(content: bytes, tensor: str | None = None, name: str = "model") -> EmbeddingModel:
    """Return the model cut at `tensor`, its name or a part of it that only one tensor has.

    Without `tensor`, a model that ends in fully connected layers, as a classifier does, is cut before the last of them,
    or before an earlier one where those between have fewer outputs than inputs: these serve the classes that the model
    was trained for, and know less of others. Any other model is returned as it is. Raises InputError for a damaged
    file, and when the tensor is not there, not unique, or not an embedding.
    """
    try:
        return _cut(Graph(content, name), content, tensor, name)
    except EdgeAppError:
        raise
    except Exception as error:  # a damaged graph names tensors, buffers and operators that are not there
        raise InputError(f"{name} is a damaged TFLite file: {type(error).__name__}: {error}") from error


def _cut(graph: Graph, content: bytes, tensor: str | None, name: str) -> EmbeddingModel:
    if tensor is None and len(graph.outputs) > 1:
        raise InputError(
            f"{name} has {len(graph.outputs)} outputs; choose one with --embedding: "
            + ", ".join(graph.label(index) for index in graph.outputs)
        )
    chosen = graph.before_head() if tensor is None else graph.find(tensor)
    if chosen is None or list(graph.outputs) == [chosen]:
        return EmbeddingModel(content, graph.name(graph.outputs[0]), ())
    graph.check_embedding(chosen)
    label = graph.name(chosen)
    kept = graph.ancestors(chosen)
    removed = tuple(graph.kind(op) for index, op in enumerate(graph.operators) if index not in kept)
    return EmbeddingModel(graph.pack(chosen, kept), label, removed)


class Graph:
    """The one subgraph of a TFLite file, by the schema's object interface; tensors are known by their index.

    Raises RuntimeMissing without ai-edge-litert, InputError when the content is no TFLite file of one subgraph.
    """

    def __init__(self, content: bytes, name: str) -> None:
        try:
            from ai_edge_litert import schema_py_generated as schema
        except ImportError as error:
            raise RuntimeMissing(
                "reading a model's graph needs ai-edge-litert (pip install ai-edge-litert); "
                "do it on another machine and copy the result"
            ) from error
        if content[4:8] != b"TFL3":
            raise InputError(f"{name} is not a TFLite file: bytes 4..7 are {content[4:8]!r}, expected b'TFL3'")
        self.model_name = name
        try:
            self._model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        except Exception as error:  # the schema's code meets damaged offsets in many ways
            raise InputError(f"{name} is a damaged TFLite file: {error}") from error
        if len(self._model.subgraphs) != 1:
            raise InputError(f"{name} has {len(self._model.subgraphs)} subgraphs; expected 1, a plain network")
        if any(_EDGE_TPU in bytes(code.customCode or b"") for code in self._model.operatorCodes or []):
            raise InputError(
                f"{name} is compiled for the Edge TPU, and its layers cannot be read; take the file that it was made "
                "from, the one without _edgetpu in its name"
            )
        self._kinds = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
        self._types = {v: k.lower() for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
        self._graph: Any = self._model.subgraphs[0]
        self.operators: list[Any] = self._graph.operators or []
        self.inputs = [int(index) for index in self._graph.inputs]
        self.outputs = [int(index) for index in self._graph.outputs]
        # a tensor that is missing here is an input or a constant
        self._producer = {int(t): index for index, op in enumerate(self.operators) for t in op.outputs}

    def name(self, tensor: int) -> str:
        """Return a tensor's name."""
        return (self._graph.tensors[tensor].name or b"").decode(errors="replace")

    def dtype(self, tensor: int) -> str:
        """Return a tensor's element type, as in "int8"."""
        return str(self._types.get(self._graph.tensors[tensor].type, "?"))

    def quantisation(self, tensor: int) -> Any:
        """Return a tensor's scales and zero points (arrays `scale` and `zeroPoint`)."""
        return self._graph.tensors[tensor].quantization

    def values(self, tensor: int, dtype: type[_Number]) -> NDArray[_Number]:
        """Return a constant tensor. Raises InputError when it has another type, or another size than its shape says."""
        found = self._model.buffers[self._graph.tensors[tensor].buffer].data
        shape, wanted = self.shape(tensor), np.dtype(dtype)
        if self.dtype(tensor) != wanted.name or found is None or len(found) != np.prod(shape) * wanted.itemsize:
            raise InputError(f"{self.model_name}: {self.label(tensor)} is no constant tensor of {wanted.name}")
        return np.frombuffer(bytes(found), wanted.newbyteorder("<")).astype(wanted).reshape(shape)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Return a tensor's shape."""
        shape = self._graph.tensors[tensor].shape
        return () if shape is None else tuple(int(n) for n in shape)

    def label(self, tensor: int) -> str:
        """Return a tensor's name, type and shape, for messages."""
        return f"{self.name(tensor)!r} ({self.dtype(tensor)} {list(self.shape(tensor))})"

    def kind(self, operator: Any) -> str:
        """Return an operator's kind, as in "CONV_2D"."""
        code = self._model.operatorCodes[operator.opcodeIndex]
        # Files older than schema 3a have only the first, an 8-bit field.
        return str(self._kinds.get(max(code.deprecatedBuiltinCode, code.builtinCode), "?"))

    def _upwards(self, tensor: int) -> Iterator[tuple[int, Any]]:
        """Yield (index, operator) from the one that makes `tensor` up to the input, along each first argument."""
        for _ in self.operators:  # a damaged graph may have a circle
            index = self._producer.get(tensor)
            if index is None:
                return
            yield index, self.operators[index]
            tensor = int(self.operators[index].inputs[0])

    def before_head(self) -> int | None:
        """Return the tensor that the classifier's fully connected layers read, None when the model has none at its end.

        Above the last of them only those belong to it that narrow down, as the 100 units of Teachable Machine do.
        """
        found: int | None = None
        for _, operator in self._upwards(self.outputs[0]):
            kind = self.kind(operator)
            source, sink = self.shape(int(operator.inputs[0])), self.shape(int(operator.outputs[0]))
            if kind == "FULLY_CONNECTED" or (kind == "CONV_2D" and sink[1:3] == (1, 1)):
                # a layer that does not narrow down belongs to the features
                if found is not None and sink[-1] >= source[-1]:
                    break
                found = int(operator.inputs[0])
            elif kind not in (_TAILS if found is None else _BETWEEN):
                break
        return found

    def find(self, text: str) -> int:
        """Return the one computed tensor that is called `text`, or else that has `text` in its name."""
        # an exact name first: it may be a part of others
        exact = [t for t in self._producer if self.name(t) == text]
        found = exact or [t for t in self._producer if text in self.name(t)]
        if len(found) == 1:
            return found[0]
        likely = found or [t for t in self._producer if self._is_vector(t)]
        problem = f"{len(found)} tensors match" if found else "no tensor has that name; vectors are"
        listed = ", ".join(self.label(t) for t in sorted(likely)[-12:])
        raise InputError(f"{self.model_name}: --embedding {text!r}: {problem}: {listed}")

    def _is_vector(self, tensor: int) -> bool:
        shape = self.shape(tensor)
        return len(shape) >= 2 and shape[-1] == int(np.prod(shape))

    def check_embedding(self, tensor: int) -> None:
        if not self._is_vector(tensor):
            raise InputError(
                f"{self.model_name}: {self.label(tensor)} is no embedding: expected one vector, [1, n] or "
                "[1, 1, 1, n], such as the globally pooled tensor before the last layer"
            )

    def ancestors(self, tensor: int) -> set[int]:
        """Return the indices of the operators that `tensor` depends on."""
        kept: set[int] = set()
        waiting = [tensor]
        while waiting:
            index = self._producer.get(waiting.pop())
            if index is not None and index not in kept:
                kept.add(index)
                # -1 stands for an optional input that is not there
                waiting.extend(int(t) for t in self.operators[index].inputs if t >= 0)
        return kept

    def pack(self, output: int, kept: set[int]) -> bytes:
        """Return the file with only the operators in `kept`, the buffers they read, and one output."""
        import flatbuffers

        graph, model = self._graph, self._model
        graph.operators = [op for index, op in enumerate(self.operators) if index in kept]
        graph.outputs = np.array([output], np.int32)
        used = {int(t) for op in graph.operators for t in (*op.inputs, *op.outputs) if t >= 0}
        used |= {int(t) for t in graph.inputs}
        # only their content goes: buffers keep their numbers, to which tensors refer
        alive = {graph.tensors[t].buffer for t in used} | {entry.buffer for entry in model.metadata or []}
        for index, buffer in enumerate(model.buffers):
            if index not in alive:
                buffer.data = None
        model.signatureDefs = None  # they name the outputs that went
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
