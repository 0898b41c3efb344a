"""`edge-app warmup`: compile the kernels once, so that later starts are quick."""

import argparse
from time import perf_counter

EPILOG = """\
Numba caches compiled kernels where the current user may write: in NUMBA_CACHE_DIR if it is set, else beside the
package, else in the user's cache folder. Run this as the user who will run edge-app, or set the same NUMBA_CACHE_DIR
for both. Without a writable folder edge-app still works, but compiles at every start. The few kernels that only the
published rule needs are compiled by the first start with such a state.

examples:
  edge-app warmup
  NUMBA_CACHE_DIR=/var/cache/edge-app edge-app warmup
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    return subparsers.add_parser(
        "warmup",
        help="compile the kernels, so that later starts are quick",
        description="Compile the classifier's kernels into numba's cache and load the encoder once.",
        epilog=EPILOG,
    )


def run(args: argparse.Namespace) -> int:
    """Fill the cache; return 0, also if there is no cache."""
    from edge_app.encoder.model import load_manifest
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.kernel_cache import cache_state, compile_all

    start = perf_counter()
    manifest = load_manifest()
    found = compile_all(manifest)
    state = cache_state()
    # still status 0: without a cache edge-app works, and only its starts are slower
    if state.folder is None:
        print(f"no cache: {state.reason}")
        print(f"compiled {found.compiled} kernels in {perf_counter() - start:.1f} s; every start will take as long")
    else:
        print(f"cache: {state.folder} ({state.reason}; {state.files} files)")
        print(f"compiled {found.compiled} kernels, {found.loaded} were cached, {perf_counter() - start:.1f} s")
    start = perf_counter()
    with TFLiteEncoder(manifest) as encoder:
        print(f"encoder: {manifest.name} by {encoder.runtime}, loaded in {perf_counter() - start:.2f} s")
    return 0
