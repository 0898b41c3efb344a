"""A place for one thing between two threads: the newest wins, and what it displaced is counted."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds the newest thing that was put and not taken."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._thing: T | None = None
        self._dropped = 0
        self._closed = False

    @property
    def dropped(self) -> int:
        """How many things were displaced before anyone took them."""
        return self._dropped

    def put(self, thing: T) -> None:
        """Place the newest; never waits."""
        with self._changed:
            self._dropped += self._thing is not None
            self._thing = thing
            self._changed.notify()

    def take(self, timeout_s: float) -> T | None:
        """Return the newest, waiting up to `timeout_s` for it; None when there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._thing is not None or self._closed, timeout_s)
            thing, self._thing = self._thing, None
            return thing

    def close(self) -> None:
        """Say that nothing more will come; what lies there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        """Whether nothing lies there and nothing will come."""
        with self._changed:
            return self._closed and self._thing is None
