"""One thread for the same stage of several places: they take turns, each with its newest item.

So one encoder serves all places fairly: none waits longer than one turn of all the others.
"""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from edge_app.pipeline.stage import SLICE_S


class TurnStage(Protocol):
    """A stage of one place."""

    @property
    def longest_wait_s(self) -> float:
        """Return the longest time that one step may take, seconds."""

    def due_in_s(self) -> float | None:
        """Return the seconds until `step` has something to do: 0 now, None: when something comes."""

    def step(self) -> bool:
        """Do one piece of work; False once there will be no more."""


class InTurn:
    """A stage that steps those of several places; the one that was stepped last comes last."""

    def __init__(self, name: str, stages: Sequence[TurnStage], changed: threading.Condition) -> None:
        """`changed` is that of the slots that the stages take from."""
        self.name = name
        self._waiting = deque(stages)
        self._changed = changed
        self.longest_wait_s = max(stage.longest_wait_s for stage in stages)

    def step(self) -> bool:
        """Step one place, or wait for one; False once all are done."""
        if len(self._waiting) == 1:  # it waits by itself
            return self._waiting[0].step()
        with self._changed:
            soonest_s = SLICE_S
            for stage in self._waiting:
                due_s = stage.due_in_s()
                if due_s == 0:
                    break
                soonest_s = soonest_s if due_s is None else min(soonest_s, due_s)
            else:
                self._changed.wait(soonest_s)
                return True
        self._waiting.remove(stage)
        if stage.step():
            self._waiting.append(stage)
        return bool(self._waiting)
