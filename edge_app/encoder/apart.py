"""Runs a function in a process of its own, because a damaged model can crash the TFLite runtime."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import TypeVar

from edge_app.errors import EdgeAppError, InputError

TRY_S = 120.0
"""Longest time until a model has run twice; a large one on a small board needs half a minute."""
T = TypeVar("T")


def run_apart(function: Callable[..., T], *arguments: object, what: str, timeout_s: float = TRY_S) -> T:
    """Return what `function`, of a module that can be imported, returns in a new Python process.

    Function, arguments and result are pickled. Raises the EdgeAppError that it raises; InputError, naming `what`, for
    any other error, when the process dies, or when it needs longer than `timeout_s`.
    """
    # not multiprocessing: it imports the caller's main module anew, which runs a script without a guard a second time
    command = [sys.executable, "-m", "edge_app.encoder.apart"]
    # the function's module must be found as it was here
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    sent = pickle.dumps((function, arguments))
    try:
        done = subprocess.run(  # noqa: S603
            command, input=sent, capture_output=True, timeout=timeout_s, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{what}: the TFLite runtime does not finish this model within {timeout_s:g} s") from None
    if done.returncode:
        raise InputError(
            f"{what}: the TFLite runtime crashes on this model (status {done.returncode}); the file may be damaged "
            "or newer than the runtime"
        )
    succeeded, value = pickle.loads(done.stdout)  # noqa: S301  from our own process
    if not succeeded:
        raise value
    result: T = value
    return result


def main() -> None:
    """Call the function that is pickled on standard input; write (True, result) or (False, error)."""
    # a copy, before 1 is pointed at standard error
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no part of the answer
    function, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301
    try:
        answer = (True, function(*arguments))
    except EdgeAppError as error:
        answer = (False, error)
    except Exception as error:  # noqa: BLE001  the runtime may raise anything for a damaged model
        answer = (False, InputError(f"the model does not run: {type(error).__name__}: {error}"))
    pickle.dump(answer, answers)
    answers.close()


if __name__ == "__main__":
    main()
