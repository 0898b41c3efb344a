"""Compiles kernels with numba and caches them; without a writable cache they are compiled at every start.

Numba looks for a writable folder: NUMBA_CACHE_DIR, else `__pycache__` beside the source, else the user's cache folder.
Without one `njit(cache=True)` raises at import; a full disk, or a cache file that a power cut left empty, raises at the
first call. Here each of these only makes the start slower. Numba identifies a cached kernel by its own source file, so
kernels that call one another must be in one file: otherwise an outdated one may stay in the cache.

FunctionCache and Dispatcher are private classes of numba: only this module uses them, and pyproject.toml bounds numba's
version.
"""

import pickle
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

FAULTS = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ImportError, pickle.PickleError)
"""Raised by numba for a folder that cannot be written, or a damaged cache file."""


class _TolerantCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function; a failure counts as a miss, and a damaged entry is replaced."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except FAULTS:
            self._start_afresh()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except FAULTS:
            self._start_afresh()

    def _start_afresh(self) -> None:
        try:
            self.flush()
        except OSError:
            return


def is_compiled(value: object) -> bool:
    """Return whether `value` is a compiled function."""
    return isinstance(value, Dispatcher)


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator: `numba.njit` without the GIL and cached where possible; `options` are njit's."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(nogil=True, **options)(function)
        try:
            dispatcher._cache = _TolerantCache(function)
        except RuntimeError:  # numba found no folder that it may write
            return dispatcher
        return dispatcher

    return decorate
