"""Delivers the pipeline's events to any number of listeners."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from edge_app.pipeline.events import Event, Listener


class Listenable(Protocol):
    """Delivers events: all of a device, or those of one place."""

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event; returns a function that removes it again."""


class EventsOf:
    """The events of a hub that concern one place."""

    def __init__(self, hub: Listenable, concerns: Callable[[Event], bool]) -> None:
        self._hub, self._concerns = hub, concerns

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event that concerns the place; see `Hub.listen`."""
        concerns = self._concerns

        def chosen(event: Event) -> None:
            if concerns(event):
                listener(event)

        return self._hub.listen(chosen)


class Hub:
    """Listeners and how to reach them; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event, from the stages' threads: it must return at once.

        Returns a function that removes it again.
        """
        with self._lock:
            # a new tuple: `tell` runs through the old one without a lock
            self._listeners = (*self._listeners, listener)
        return lambda: self._remove(listener)

    def tell(self, event: Event) -> None:
        """Deliver an event. A listener that raises is logged and removed: it must not stop the stage."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                logging.getLogger(__name__).exception("an event listener failed and was removed")
                self._remove(listener)

    def _remove(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one != listener)
