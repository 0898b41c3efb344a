"""Wall times of a run, while the clock is set."""

from edge_app.devices.ports import NS_PER_S
from edge_app.history.records import ClockState
from edge_app.history.wallclock import RunClock
from edge_app.simulation.devices import SimulatedClock
from support.visits import WALL_NS


class Rig:
    def __init__(self, wall_ns: int = WALL_NS, earliest_ns: int = 0) -> None:
        self.clock, self.wall_ns, self.synchronised = SimulatedClock(), wall_ns, False
        self.run = RunClock(self.clock, lambda: self.wall_ns, earliest_ns, lambda: self.synchronised)


def test_a_clock_that_goes_on_changes_nothing() -> None:
    rig = Rig()
    begin_ns = rig.clock.monotonic_ns()
    rig.clock.advance(60)
    rig.wall_ns += 60 * NS_PER_S + 900_000_000
    assert rig.run.look() is None
    assert rig.run.wall_ns(begin_ns) == WALL_NS + 900_000_000
    assert rig.run.state == ClockState.UNCHECKED


def test_a_clock_that_is_set_is_told_with_the_jump() -> None:
    rig = Rig(wall_ns=NS_PER_S, earliest_ns=WALL_NS)
    assert rig.run.state == ClockState.DOUBTFUL
    rig.wall_ns, rig.synchronised = WALL_NS, True
    assert rig.run.look() == (WALL_NS - NS_PER_S, ClockState.SYNCHRONISED)
    assert rig.run.wall_ns(rig.clock.monotonic_ns()) == WALL_NS
    assert rig.run.look() is None
    rig.wall_ns -= 86_400 * NS_PER_S
    assert rig.run.look() == (-86_400 * NS_PER_S, ClockState.SYNCHRONISED)


def test_a_clock_that_is_only_confirmed_is_told_once() -> None:
    rig = Rig()
    rig.synchronised = True
    assert rig.run.look() == (0, ClockState.SYNCHRONISED)
    assert rig.run.look() is None
