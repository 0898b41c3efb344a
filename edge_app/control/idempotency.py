"""Makes a retry harmless: the same request, told apart by the name that its sender gave it, is carried out once."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, NamedTuple

from edge_app.control.errors import RequestReused

REMEMBERED = 512
MAX_NAME = 200


class _Done(NamedTuple):
    wish: Hashable
    answer: "Future[Any]"


class Requests:
    """The newest requests and their answers; those that failed are forgotten, so that they can be tried again."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._lock = threading.Lock()
        self._done: OrderedDict[str, _Done] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._done)

    def once(self, name: str | None, wish: Hashable, work: Callable[[], Any]) -> Any:
        """Return what `work` returns, or returned when this request came before; None: a request without a name.

        A second one that comes while the first is carried out waits for it. Raises what `work` raises, and
        RequestReused when the name stood for another wish.
        """
        if name is None:
            return work()
        mark = mark_of(name)
        with self._lock:
            known = self._done.get(mark)
            if known is None:
                mine: Future[Any] = Future()
                self._done[mark] = _Done(wish, mine)
                while len(self._done) > self._remembered:
                    self._done.popitem(last=False)
            else:
                self._done.move_to_end(mark)
        if known is not None:
            if known.wish != wish:
                raise RequestReused(f"the request {name[:60]!r} came before, for something else: give it a new name")
            return known.answer.result()
        try:
            answer = work()
        except BaseException as error:
            with self._lock:
                self._done.pop(mark, None)
            mine.set_exception(error)
            raise
        mine.set_result(answer)
        return answer

    def recall(self, mark: str, wish: Hashable, answer: Any) -> None:
        """Remember a request of an earlier run of the program by its mark (`mark_of`)."""
        done: Future[Any] = Future()
        done.set_result(answer)
        with self._lock:
            self._done[mark] = _Done(wish, done)


def mark_of(name: str) -> str:
    """Return what stands for a request's name where it is stored: 16 hexadecimal digits. Raises RequestReused."""
    if not 1 <= len(name) <= MAX_NAME:
        raise RequestReused(f"the name of a request has {len(name)} characters, expected 1..{MAX_NAME}")
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
