"""The encoder's options: threads, its int8 kernels with and without XNNPACK, smaller inputs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.speed.turns import low, ratio, take_turns

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest

SIDES = (224, 192, 160, 128)


def measure(manifest: "ModelManifest", cores: int, *, seconds: float = 6.0) -> dict[str, Any]:
    """Return bare invocations in turns, {"option": {"ms", "to_one_thread"}}, as JSON values."""
    from ai_edge_litert.interpreter import OpResolverType

    jobs = {f"{threads} threads": _invoker(manifest, num_threads=threads) for threads in (1, 2, 4) if threads <= cores}
    for side in SIDES[1:]:
        jobs[f"input {side} x {side}"] = _invoker(manifest, side=side, num_threads=1)
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    jobs["without XNNPACK"] = _invoker(manifest, num_threads=1, experimental_op_resolver_type=plain)
    times = take_turns(jobs, seconds=seconds)
    base = times["1 threads"]
    return {name: {"ms": low(taken) * 1e3, "to_one_thread": ratio(taken, base)} for name, taken in times.items()}


def make_interpreter(manifest: "ModelManifest", *, side: int, **options: Any) -> Any:
    """Return LiteRT's interpreter of the model for a square input of that side, ready to be invoked."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=manifest.path.read_bytes(), **options)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], [1, side, side, 3])
    interpreter.allocate_tensors()
    return interpreter


def _invoker(manifest: "ModelManifest", *, side: int = 0, **options: Any) -> Callable[[], Any]:
    side = side or manifest.input_size
    interpreter = make_interpreter(manifest, side=side, **options)
    entrance = interpreter.get_input_details()[0]
    noise = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
    interpreter.set_tensor(entrance["index"], noise.astype(entrance["dtype"]))

    def invoke() -> None:
        interpreter.invoke()

    return invoke
