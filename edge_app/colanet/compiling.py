"""Compiles kernels with numba and caches them; without a writable cache they are compiled at every start.

Numba looks for a writable folder: NUMBA_CACHE_DIR, else `__pycache__` beside the source, else the user's cache folder.
Without one `njit(cache=True)` raises at import; a full disk, or a cache file that a power cut left empty, raises at the
first call. Here each of these only makes the start slower. A file holds machine code, which numba runs unchecked: here
each carries a digest, so that a flipped bit causes no wrong results and no crash. Numba identifies a cached kernel by
its own source file, so kernels that call one another must be in one file: else an outdated one may stay in the cache.

FunctionCache, IndexDataCacheFile, Dispatcher, its events and literals are numba's own: only this module uses them, and
pyproject.toml bounds numba's version.
"""

import hashlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numba
from numba.core import event
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.dispatcher import Dispatcher
from numba.core.types.misc import unliteral

DIGEST_BYTES = 32


class _CheckedFile(IndexDataCacheFile):  # type: ignore[misc]
    """Numba's files of one function, each with a digest of its content."""

    def _dump(self, obj: Any) -> bytes:
        content: bytes = super()._dump(obj)
        return _digest(content) + content

    def _load_data(self, name: str) -> Any:
        with open(self._data_path(name), "rb") as file:
            return pickle.loads(_whole(file.read()))  # noqa: S301 our own, and whole

    def _load_index(self) -> dict[Any, str]:
        try:
            with open(self._index_path, "rb") as file:
                # numba's own layout: its version as a pickle first, so that another version is recognised before more
                # is unpickled
                version, content = pickle.load(file), file.read()  # noqa: S301
        except FileNotFoundError:
            return {}
        if version != self._version:
            return {}
        stamp, overloads = pickle.loads(_whole(content))  # noqa: S301
        return dict(overloads) if stamp == self._source_stamp else {}


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def _whole(data: bytes) -> bytes:
    """Return what follows a digest. Raises ValueError when it is not what was written."""
    if data[:DIGEST_BYTES] != _digest(data[DIGEST_BYTES:]):
        raise ValueError("a file of the cache is damaged")
    return data[DIGEST_BYTES:]


class _TolerantCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function; a failure counts as a miss, and a damaged entry is replaced."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        found = self._impl
        # replaces the file object that FunctionCache made of the same three values
        self._cache_file = _CheckedFile(self._cache_path, found.filename_base, found.locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 a damaged pickle raises anything
            # otherwise the damaged entry would be tried, and fail, at each start
            self._start_afresh()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception:  # noqa: BLE001 the index that it reads first may be damaged
            self._start_afresh()

    def _start_afresh(self) -> None:
        try:
            self.flush()
        except OSError:
            return


class _Counting(event.Listener):  # type: ignore[misc]
    def __init__(self, report: Callable[[int], None]) -> None:
        self._report = report
        self._begun = 0

    def on_start(self, begun: object) -> None:
        self._begun += 1
        self._report(self._begun)

    def on_end(self, ended: object) -> None:
        """Nothing: the next function that is compiled tells that this one is done."""


@contextmanager
def reported(report: Callable[[int], None]) -> Iterator[None]:
    """Call `report` with the number of each function that begins to be compiled in the block, from 1 on.

    One that is read from the cache does not count.
    """
    with event.install_listener("numba:compile", _Counting(report)):
        yield


def _once_for_all_constants(dispatcher: Any) -> None:
    """Make calls by other kernels compile one function for all constants of a type, not one for each constant."""
    of_types = dispatcher.get_call_template

    def call_template(args: Sequence[Any], kws: dict[str, Any]) -> Any:
        return of_types(tuple(map(unliteral, args)), {name: unliteral(kind) for name, kind in kws.items()})

    dispatcher.get_call_template = call_template


def is_compiled(value: object) -> bool:
    """Return whether `value` is a compiled function."""
    return isinstance(value, Dispatcher)


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator: `numba.njit` without the GIL and cached where possible; `options` are njit's."""

    def decorate(function: Callable[..., Any]) -> Any:
        # without cache=True, which would raise here where no folder can be written; nothing takes a kernel's C address
        dispatcher = numba.njit(nogil=True, no_cfunc_wrapper=True, **options)(function)
        _once_for_all_constants(dispatcher)
        try:
            dispatcher._cache = _TolerantCache(function)
        except RuntimeError:  # numba found no folder that it may write
            return dispatcher
        return dispatcher

    return decorate
