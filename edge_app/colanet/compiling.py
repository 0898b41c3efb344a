"""How kernels are compiled: once, kept in numba's cache; where that cannot be written, again at every start.

Numba looks for a folder that it may write: NUMBA_CACHE_DIR, else `__pycache__` beside the source, else the user's cache
folder. Without one `njit(cache=True)` raises at import; a full disk, or a cache file that a power cut left empty,
raises at the first call. Here each of them makes the start slower, and nothing more. Numba knows a cached kernel by its
own source file alone: kernels that call one another belong into one file, or an old one may stay in the cache.
"""

import pickle
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache

FAULTS = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ImportError, pickle.PickleError)
"""What a folder that cannot be written, or a damaged cache file, makes numba raise."""


class _TolerantCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function; a failure is a miss, and what is damaged is replaced."""

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
