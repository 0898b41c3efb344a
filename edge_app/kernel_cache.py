"""Numba's cache of compiled kernels: where it lies, and filling it."""

import importlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edge_app.colanet.network import CoLaNET
    from edge_app.colanet.params import Params
    from edge_app.encoder.model import ModelManifest

MODULES = ("edge_app.colanet.kernels", "edge_app.encoder.ratecode")
"""Where compiled functions stand."""


class CacheState(NamedTuple):
    """What is known of the cache in this process."""

    folder: str | None
    """Where compiled kernels are kept; None: nowhere, every start compiles again."""
    files: int
    """Index and data files in it that belong to edge-app's kernels."""
    reason: str
    """Why it lies there, in a person's words."""


def kernels() -> Iterator[tuple[str, Any]]:
    """Yield (module.name, dispatcher) of every compiled function that edge-app has."""
    from numba.core.dispatcher import Dispatcher

    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name, value in sorted(vars(module).items()):
            if isinstance(value, Dispatcher) and value.py_func.__module__ == module_name:
                yield f"{module_name}.{name}", value


def cache_state() -> CacheState:
    """Look where numba keeps the kernels; imports them, compiles nothing."""
    folders = {dispatcher.stats.cache_path for _, dispatcher in kernels()} - {None}
    wished = os.environ.get("NUMBA_CACHE_DIR")
    if not folders:
        return CacheState(
            None, 0, "no folder for it can be written: set NUMBA_CACHE_DIR to one that can, else each start compiles"
        )
    folder = sorted(folders)[0]
    names = {dispatcher.py_func.__name__ for _, dispatcher in kernels()}
    files = sum(path.name.split(".")[1].split("-")[0] in names for path in Path(folder).glob("*.nb[ic]"))
    if wished and Path(folder).is_relative_to(Path(wished).absolute()):
        reason = "NUMBA_CACHE_DIR"
    elif Path(folder).name == "__pycache__":
        reason = "beside the source" + (f", as {wished} (NUMBA_CACHE_DIR) cannot be written" if wished else "")
    else:
        reason = "the user's cache folder, as the package's own cannot be written by this user"
    return CacheState(folder, files, reason)


class Compiled(NamedTuple):
    """How a process came by its kernels."""

    compiled: int
    """Signatures compiled in this process."""
    loaded: int
    """Signatures read from the cache."""


def compile_all(manifest: "ModelManifest", params: "Params | None" = None, threads: Sequence[int] = (1, 2)) -> Compiled:
    """Use every kernel once in every way that the program does; with `params` those that these and `threads` need.

    What is compiled goes to the cache, if there is one. Compiling takes some tens of seconds on a small board. A kernel
    that is loaded and never used takes memory, and nothing else.
    """
    from edge_app.colanet.network import CoLaNET
    from edge_app.colanet.params import Params
    from edge_app.encoder.ratecode import RateCode

    rate_code = RateCode.for_model(manifest)
    embeddings = np.random.default_rng(0).integers(0, 60, (4, manifest.embedding_size), dtype=np.uint8)
    counts = rate_code(embeddings)
    rate_code(embeddings[0])
    rules = [Params.preset(name) for name in ("default", "paper")] if params is None else [params]
    for rule in rules:
        for number in threads:
            _use(CoLaNET(rule, rate_code.n_inputs, threads=number), counts)
    stats = [dispatcher.stats for _, dispatcher in kernels()]
    return Compiled(
        sum(sum(found.cache_misses.values()) for found in stats),
        sum(sum(found.cache_hits.values()) for found in stats),
    )


def _use(network: "CoLaNET", counts: NDArray[np.uint8]) -> None:
    labels = ["a", "b", "a", "b"]
    for label in ("a", "b"):
        network.add_class(label)
    for row, label in zip(counts, labels, strict=True):
        network.learn_one(row, label)
    network.learn_many(counts, labels)
    network.predict_one(counts[0])
    network.predict_many(counts)
    network.remove_class("b")
    type(network).from_snapshot(network.snapshot()).predict_one(counts[0])
