"""Messages to publish, kept until the broker has acknowledged them.

Events are kept in order, up to a bound; beyond it the oldest is dropped and counted. Of a state, which is retained,
only the newest content is kept. Adding never waits for the broker.
"""

import threading
from collections.abc import Callable
from typing import NamedTuple

MAX_IN_FLIGHT = 16
"""Messages sent and not yet acknowledged."""


class Outgoing(NamedTuple):
    """A message to publish."""

    number: int
    """Unique, rising; a newer content of the same state has a newer number."""
    topic: str
    payload: bytes
    retained: bool
    correlation: bytes | None = None
    """MQTT's correlation data, for a response."""


class Outbox:
    """A bounded buffer between the device's threads and the thread of the connection; safe to use from any thread."""

    def __init__(self, bound: int, wake: Callable[[], None] = lambda: None) -> None:
        """`bound` events are kept. `wake` is called when there is something to send; it must return at once."""
        self._bound = bound
        self._wake = wake
        self._lock = threading.Lock()
        self._number = 0
        # dicts keep the order of insertion, which is that of the numbers
        self._events: dict[int, Outgoing] = {}
        """To be sent, by number, the oldest first; so are the changed states."""
        self._changed: dict[int, Outgoing] = {}
        self._sent: dict[int, Outgoing] = {}
        self._states: dict[str, Outgoing] = {}
        self._lost = 0

    @property
    def lost(self) -> int:
        """Events dropped since the start."""
        with self._lock:
            return self._lost

    @property
    def waiting(self) -> int:
        """Messages that the broker has not acknowledged yet."""
        with self._lock:
            return len(self._events) + len(self._changed) + len(self._sent)

    @property
    def crowded(self) -> bool:
        """Whether more than half of the room for events is taken."""
        with self._lock:
            return len(self._events) > self._bound // 2

    def event(self, topic: str, payload: bytes, correlation: bytes | None = None) -> None:
        """Add an event; events are delivered in this order, at least once."""
        with self._lock:
            if len(self._events) >= self._bound:
                # the oldest: what happened last matters more
                del self._events[next(iter(self._events))]
                self._lost += 1
            message = self._numbered(topic, payload, False, correlation)
            self._events[message.number] = message
        self._wake()

    def remove(self, topic: str) -> None:
        """Remove a retained message that an earlier run left; skipped while crowded, because events come first."""
        self.retain(topic, b"")

    def retain(self, topic: str, payload: bytes) -> None:
        """Replace a retained message that an earlier run left, in order with events; skipped while crowded."""
        if not self.crowded:
            with self._lock:
                message = self._numbered(topic, payload, True)
                self._events[message.number] = message
            self._wake()

    def state(self, topic: str, payload: bytes, *, again: bool = False) -> None:
        """Set the content of a state; an empty payload removes it from the broker.

        An unchanged one is sent only with `again`: after the messages before it, also after a reconnection.
        """
        with self._lock:
            before = self._states.get(topic)
            if before is not None:
                if before.payload == payload and not again:
                    return
                # the older content need not be sent any more
                self._changed.pop(before.number, None)
            message = self._numbered(topic, payload, True)
            self._states[topic] = self._changed[message.number] = message
        self._wake()

    def holds(self, topic: str) -> bool:
        """Return whether a state with a content is kept for a topic."""
        with self._lock:
            state = self._states.get(topic)
            return state is not None and bool(state.payload)

    def take(self) -> Outgoing | None:
        """Return the next message to send; None if there is none, or if enough are in flight."""
        with self._lock:
            firsts = [next(iter(due)) for due in (self._events, self._changed) if due]
            if not firsts or len(self._sent) >= MAX_IN_FLIGHT:
                return None
            # events and states in the order in which they happened
            number = min(firsts)
            message = self._events.pop(number, None) or self._changed.pop(number)
            self._sent[number] = message
            return message

    def done(self, number: int) -> None:
        """Forget a message that the broker has acknowledged or refused."""
        with self._lock:
            self._sent.pop(number, None)

    def give_up_largest(self) -> Outgoing | None:
        """Drop the largest message in flight for good: the broker closed the connection because of its size."""
        with self._lock:
            if not self._sent:
                return None
            largest = max(self._sent.values(), key=lambda message: len(message.payload))
            del self._sent[largest.number]
            # otherwise `reconnected` would send it again
            if self._states.get(largest.topic) is largest:
                del self._states[largest.topic]
            return largest

    def reconnected(self) -> None:
        """Send again what was in flight when the connection was lost, and every state: the broker may have none."""
        with self._lock:
            events = [message for message in self._sent.values() if not message.retained]
            self._sent.clear()
            # at least once: what was in flight may have arrived, or not
            self._events = {message.number: message for message in (*events, *self._events.values())}
            newest = sorted(self._states.values(), key=lambda message: message.number)
            self._changed = {message.number: message for message in newest}

    def _numbered(self, topic: str, payload: bytes, retained: bool, correlation: bytes | None = None) -> Outgoing:
        self._number += 1
        return Outgoing(self._number, topic, payload, retained, correlation)
