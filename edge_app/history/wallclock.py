"""How the wall clock stands to the monotonic one, and how sure it is: a Raspberry Pi has no clock of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.history.records import ClockState

SYNCHRONISED_FILE = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd creates it when it has set the clock from a time server."""
JUMP_NS = NS_PER_S
"""A smaller difference is the clock being slowed or sped up, which is no jump."""


class ClockChange(NamedTuple):
    """The wall clock was set, or was confirmed."""

    delta_ns: int
    """By how much it jumped; 0: it was only confirmed."""
    state: ClockState


class RunClock:
    """Wall times from monotonic ones, for one run of the device; for one thread."""

    def __init__(
        self,
        clock: Clock,
        wall: Callable[[], int],
        earliest_ns: int = 0,
        synchronised: Callable[[], bool] = SYNCHRONISED_FILE.exists,
    ) -> None:
        """`earliest_ns`: a wall time that has passed for certain. `synchronised`: whether a server set the clock."""
        self._clock = clock
        self._wall = wall
        self._synchronised = synchronised
        self._earliest_ns = earliest_ns
        self._offset_ns = self._measured()
        self.state = self._judged()

    def wall_ns(self, monotonic_ns: int) -> int:
        """Return the wall time of a moment, as the clock was when it was last looked at."""
        return monotonic_ns + self._offset_ns

    def look(self) -> ClockChange | None:
        """Look at the clock again; return what changed, None: nothing that matters."""
        offset_ns, before = self._measured(), self.state
        jump_ns = offset_ns - self._offset_ns
        self._offset_ns = offset_ns
        self.state = self._judged()
        if abs(jump_ns) >= JUMP_NS:
            return ClockChange(jump_ns, self.state)
        return ClockChange(0, self.state) if self.state > before else None

    def _measured(self) -> int:
        return self._wall() - self._clock.monotonic_ns()

    def _judged(self) -> ClockState:
        if self._synchronised():
            return ClockState.SYNCHRONISED
        return ClockState.DOUBTFUL if self._wall() < self._earliest_ns else ClockState.UNCHECKED
