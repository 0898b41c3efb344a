"""Idempotent requests: a request repeated with the same key is carried out once."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, NamedTuple

from edge_app.control.errors import RequestReused

REMEMBERED = 512
MAX_KEY = 200


class _Done(NamedTuple):
    content: Hashable
    answer: "Future[Any]"


class Requests:
    """The newest requests and their answers. A failed request is forgotten, so that it can be repeated."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._lock = threading.Lock()
        self._done: OrderedDict[str, _Done] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._done)

    def once(self, key: str | None, content: Hashable, work: Callable[[], Any]) -> Any:
        """Return the result of `work`, or its earlier result if this request came before; None: a request without key.

        If the same request comes while the first is carried out, it waits for that one. Raises what `work` raises,
        and RequestReused if the key came with other content.
        """
        if key is None:
            return work()
        mark = mark_of(key)
        with self._lock:
            known = self._done.get(mark)
            if known is None:
                # stored before the work: a repetition that comes meanwhile waits for it
                mine: Future[Any] = Future()
                self._done[mark] = _Done(content, mine)
                while len(self._done) > self._remembered:
                    self._done.popitem(last=False)
            else:
                self._done.move_to_end(mark)
        if known is not None:
            # two clients with one key, or a mistake in a program: not to be answered with the other's result
            if known.content != content:
                raise RequestReused(f"the request {key[:60]!r} came before, with other content: use a new key")
            return known.answer.result()
        try:
            answer = work()
        except BaseException as error:
            with self._lock:
                # before the error is handed on: a client that repeats at once must be served anew
                self._done.pop(mark, None)
            mine.set_exception(error)
            raise
        mine.set_result(answer)
        return answer

    def recall(self, mark: str, content: Hashable, answer: Any) -> None:
        """Remember a request of an earlier run of the program by its mark (`mark_of`)."""
        done: Future[Any] = Future()
        done.set_result(answer)
        with self._lock:
            self._done[mark] = _Done(content, done)


def mark_of(key: str) -> str:
    """Return the mark of a request's key, under which it is stored: 16 hexadecimal digits. Raises RequestReused."""
    if not 1 <= len(key) <= MAX_KEY:
        raise RequestReused(f"the key of a request has {len(key)} characters, expected 1 to {MAX_KEY}")
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
