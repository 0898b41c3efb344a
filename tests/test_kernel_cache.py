import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_app import kernel_cache
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.encoder.model import load_manifest
from edge_app.kernel_cache import cache_state, compile_all, kernels

EVALUATION_ONLY = {"mirror", "shared_drives"}
"""Kernels that a running device never calls."""


def test_names_every_compiled_function_once() -> None:
    names = [name for name, _ in kernels()]
    assert len(names) == len(set(names)) > 5
    assert all(name.startswith(kernel_cache.KERNELS) for name in names)


def test_every_kernel_is_used_so_that_none_is_left_to_compile() -> None:
    """A kernel that `compile_all` forgets would be compiled while a person waits for their first example."""
    for rule in ("default", "paper"):
        compile_all(load_manifest(), Params.preset(rule))
    used = called_by_kernels() | EVALUATION_ONLY
    assert [name for name, kernel in kernels() if not kernel.signatures and name.rpartition(".")[2] not in used] == []


def test_more_threads_need_no_other_kernels() -> None:
    manifest = load_manifest()
    before = compile_all(manifest)
    counts = np.ones((2, manifest.embedding_size), np.uint8)
    network = CoLaNET(Params(), manifest.embedding_size, threads=2)
    for label in ("a", "b"):
        network.add_class(label)
    network.learn_many(np.repeat(counts, 2, axis=0), ["a", "b", "a", "b"])
    network.predict_many(counts)
    assert compile_all(manifest) == before


def called_by_kernels() -> set[str]:
    """Names that appear inside kernels: such a kernel may come from the cache as a part of its caller."""
    return {used for _, kernel in kernels() for used in kernel.py_func.__code__.co_names}


@pytest.mark.parametrize(
    ("wished", "reason"), [("", "beside the source"), ("cache", "NUMBA_CACHE_DIR"), ("file", "cannot be written")]
)
def test_says_where_the_cache_lies_and_why(tmp_path: Path, wished: str, reason: str) -> None:
    (tmp_path / "file").write_text("in the way")
    code = "from edge_app.kernel_cache import cache_state; state = cache_state(); print(state.folder, state.reason)"
    place = {"NUMBA_CACHE_DIR": str(tmp_path / wished)} if wished else {}
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment | place, capture_output=True, text=True, check=True
    )
    assert reason in found.stdout
    assert found.stdout.startswith(str(tmp_path / "cache")) == (wished == "cache")


def test_counts_the_files_of_our_kernels_only() -> None:
    state = cache_state()
    if state.folder is None:
        pytest.skip("no cache folder can be written here")
    files = {path.name for path in Path(state.folder).glob("*.nb[ic]")}
    assert 0 <= state.files <= len(files)
