"""Numba's cache of compiled kernels: its folder, and filling it."""

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edge_app.colanet.network import CoLaNET
    from edge_app.colanet.params import Params
    from edge_app.encoder.model import ModelManifest

# one module, because numba identifies a cached kernel by its own file (colanet/compiling.py)
KERNELS = "edge_app.colanet.kernels"
"""The module of the compiled functions."""


class CacheState(NamedTuple):
    """The cache as this process uses it."""

    folder: str | None
    """Folder of compiled kernels; None: no cache, every start compiles."""
    files: int
    """Index and data files of edge-app's kernels in it."""
    reason: str
    """Why this folder is used."""


def kernels() -> Iterator[tuple[str, Any]]:
    """Yield (module.name, dispatcher) of each compiled function."""
    from edge_app.colanet.compiling import is_compiled

    for name, value in sorted(vars(importlib.import_module(KERNELS)).items()):
        if is_compiled(value):
            yield f"{KERNELS}.{name}", value


def cache_state() -> CacheState:
    """Return where numba caches the kernels. Imports them, compiles nothing."""
    folders = {dispatcher.stats.cache_path for _, dispatcher in kernels()} - {None}
    configured = os.environ.get("NUMBA_CACHE_DIR")
    if not folders:
        return CacheState(None, 0, "no writable folder: set NUMBA_CACHE_DIR to one, otherwise every start compiles")
    folder = sorted(folders)[0]
    names = {dispatcher.py_func.__name__ for _, dispatcher in kernels()}
    files = sum(path.name.split(".")[1].split("-")[0] in names for path in Path(folder).glob("*.nb[ic]"))
    if configured and Path(folder).is_relative_to(Path(configured).absolute()):
        reason = "NUMBA_CACHE_DIR"
    elif Path(folder).name == "__pycache__":
        reason = "beside the source" + (f", as {configured} (NUMBA_CACHE_DIR) cannot be written" if configured else "")
    else:
        reason = "the user's cache folder, as the package's own cannot be written by this user"
    return CacheState(folder, files, reason)


def compilation_reported(report: Callable[[int], None]) -> AbstractContextManager[None]:
    """Return a context in which `report` is called with the number of each kernel that begins to be compiled."""
    from edge_app.colanet.compiling import reported

    return reported(report)


class Compiled(NamedTuple):
    """Numbers of kernels compiled and loaded."""

    compiled: int
    """Signatures compiled in this process."""
    loaded: int
    """Signatures read from the cache."""


def compile_all(manifest: "ModelManifest", params: "Params | None" = None) -> Compiled:
    """Call every kernel of a rule once, by default of the default rule, with each signature in use.

    Compiled kernels are written to the cache. Compiling takes tens of seconds on a small board. A number of threads
    needs no kernels of its own. A loaded kernel that is never used costs only memory.
    """
    from edge_app.colanet.network import CoLaNET
    from edge_app.colanet.params import Params
    from edge_app.encoder.ratecode import RateCode

    rate_code = RateCode.for_model(manifest)
    # any values: only types and shapes decide what is compiled
    embeddings = np.random.default_rng(0).integers(0, 60, (4, manifest.embedding_size), dtype=np.uint8)
    _use(CoLaNET(params or Params(), rate_code.n_inputs), rate_code(embeddings))
    stats = [dispatcher.stats for _, dispatcher in kernels()]
    return Compiled(
        sum(sum(found.cache_misses.values()) for found in stats),
        sum(sum(found.cache_hits.values()) for found in stats),
    )


def _use(network: "CoLaNET", counts: NDArray[np.uint8]) -> None:
    # two classes, each taught twice: the first example of a class and later ones take different kernels
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
