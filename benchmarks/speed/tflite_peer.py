"""The encoder under tflite-runtime 2.14; run by a Python that has it. Prints JSON."""

import json
import sys
from importlib.metadata import version
from time import perf_counter

import numpy as np
from tflite_runtime.interpreter import Interpreter


def main(model: str, times: int) -> None:
    """Time bare invocations of a model file, on one thread."""
    interpreter = Interpreter(model_path=model, num_threads=1)
    interpreter.allocate_tensors()
    taken = []
    for _ in range(times):
        start = perf_counter()
        interpreter.invoke()
        taken.append(perf_counter() - start)
    sys.stdout.write(
        json.dumps({"version": version("tflite-runtime"), "ms": float(np.percentile(taken, 10)) * 1e3}) + "\n"
    )


main(sys.argv[1], int(sys.argv[2]))
