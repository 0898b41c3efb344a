"""How long to wait before the next attempt to reach the broker."""

import random

SHORTEST_S, LONGEST_S = 1.0, 60.0
WELL_AFTER_S = 10.0
"""A connection that lasted so long was a good one: the next wait is short again."""


class BackOff:
    """1, 2, 4, ... 60 s, each shortened at random by up to a half, so that devices do not all come back at once."""

    def __init__(self, source: random.Random, *, shortest_s: float = SHORTEST_S, longest_s: float = LONGEST_S) -> None:
        self._source = source
        self._shortest_s, self._longest_s = shortest_s, longest_s
        self._next_s = shortest_s

    def wait_s(self, lasted_s: float) -> float:
        """Return how long to wait, after a connection that lasted so long; 0: there was none."""
        if lasted_s >= WELL_AFTER_S:
            self._next_s = self._shortest_s
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, self._longest_s)
        return wait_s * self._source.uniform(0.5, 1.0)
