"""A slot for one item between two threads: the newest replaces an older one, which is counted as dropped."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds the newest item that was put and not taken."""

    def __init__(self, changed: threading.Condition | None = None) -> None:
        """Slots that share `changed` are waited for together (in_turn.py)."""
        self._changed = changed or threading.Condition()
        self._item: T | None = None
        self._dropped = 0
        self._closed = False

    @property
    def dropped(self) -> int:
        """Items replaced before anyone took them."""
        return self._dropped

    @property
    def ready(self) -> bool:
        """Whether `take` would return at once: there is an item, or there will be none."""
        # without the lock: this is asked for every place whenever one of them has something new
        return self._item is not None or self._closed

    def put(self, item: T) -> None:
        """Store the newest item; never waits."""
        with self._changed:
            self._dropped += self._item is not None
            self._item = item
            # one reader
            self._changed.notify()

    def take(self, timeout_s: float) -> T | None:
        """Return the newest item, waiting up to `timeout_s` for one; None if there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Accept no more items; the one that is stored can still be taken."""
        with self._changed:
            self._closed = True
            # whoever waits must see that nothing will come
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        """Whether the slot is closed and empty."""
        with self._changed:
            return self._closed and self._item is None
