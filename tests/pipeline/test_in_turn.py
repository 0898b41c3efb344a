"""Several places take turns in one thread."""

import threading

from edge_app.pipeline.in_turn import InTurn
from edge_app.pipeline.latest import Latest


class Taker:
    """Takes what lies in a slot, and notes whose it was."""

    longest_wait_s = 2.0

    def __init__(self, name: str, slot: Latest[int], taken: list[str]) -> None:
        self.name, self.slot, self.taken = name, slot, taken
        self.due_s: float | None = None

    def due_in_s(self) -> float | None:
        return (0.0 if self.due_s is None else self.due_s) if self.slot.ready else None

    def step(self) -> bool:
        if (found := self.slot.take(0)) is not None:
            self.taken.append(f"{self.name}{found}")
        return not self.slot.over


class Rig:
    def __init__(self, names: str) -> None:
        self.changed, self.taken = threading.Condition(), list[str]()
        self.slots = {name: Latest[int](self.changed) for name in names}
        self.takers = {name: Taker(name, slot, self.taken) for name, slot in self.slots.items()}
        self.stage = InTurn("encode", list(self.takers.values()), self.changed)


def test_each_place_has_its_turn_however_fast_another_is() -> None:
    rig = Rig("abc")
    for number in range(6):
        rig.slots["a"].put(number)
        if number < 2:
            rig.slots["b"].put(number)
        if number == 3:
            rig.slots["c"].put(number)
        assert rig.stage.step()
    # b was taken at the second step, so that its newest item had its turn when a had been taken once more
    assert rig.taken == ["a0", "b1", "a2", "c3", "a4", "a5"]


def test_who_waited_longest_comes_first() -> None:
    rig = Rig("abc")
    for name in "cab":
        rig.slots[name].put(1)
    for _ in range(3):
        rig.stage.step()
    for name in "cab":
        rig.slots[name].put(2)
    for _ in range(3):
        rig.stage.step()
    assert rig.taken == ["a1", "b1", "c1", "a2", "b2", "c2"]


def test_a_place_that_is_not_due_holds_up_no_other() -> None:
    rig = Rig("ab")
    rig.takers["a"].due_s = 60.0
    rig.slots["a"].put(1)
    rig.slots["b"].put(1)
    assert rig.stage.step()
    assert rig.taken == ["b1"]


def test_it_waits_until_something_comes_for_any_of_them() -> None:
    rig = Rig("ab")
    stepped = threading.Event()

    def work() -> None:
        while rig.stage.step():
            stepped.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert stepped.wait(30)
    rig.slots["b"].put(7)
    for slot in rig.slots.values():
        slot.close()
    thread.join(30)
    assert not thread.is_alive()
    assert rig.taken == ["b7"]


def test_it_ends_with_the_last_place() -> None:
    rig = Rig("ab")
    rig.slots["a"].close()
    assert rig.stage.step()
    rig.slots["b"].put(1)
    rig.slots["b"].close()
    assert not rig.stage.step()
    assert rig.taken == ["b1"]


def test_it_may_take_as_long_as_the_slowest() -> None:
    rig = Rig("ab")
    assert rig.stage.longest_wait_s == 2.0
