"""The steps of the demo."""

from collections import Counter

import pytest

from edge_app.demo.script import ADDED, NEW, SLIP, STRANGER, TAUGHT, UNDO, write_script
from edge_app.devices.ports import NS_PER_S
from edge_app.errors import InputError
from edge_app.simulation.photographs import Photographs


def test_every_class_is_pressed_as_often_as_asked(photographs: Photographs) -> None:
    script = write_script(photographs, seed=1, shots=3, frames=20, start_ns=0)
    teach = [beat for beat in script.beats if beat.chapter == "teach"]
    assert Counter(beat.press[0] for beat in teach) == dict.fromkeys(TAUGHT, 3)
    assert all(beat.press == (beat.shot.name,) for beat in teach)
    assert {beat.shot.name for beat in teach[: len(TAUGHT)]} == set(TAUGHT)


def test_naming_shows_what_was_not_taught_and_nobody_presses(photographs: Photographs) -> None:
    script = write_script(photographs, seed=1, shots=3, frames=20, start_ns=0)
    name = [beat for beat in script.beats if beat.chapter == "name"]
    assert len(name) == 20
    assert not any(beat.press for beat in name)
    for beat in name:
        assert beat.shot.use == "test"
        assert photographs.objects[beat.shot.name][beat.shot.view].use in ("test", "both")


def test_one_press_adds_a_class_one_is_undone_and_one_thing_is_never_taught(photographs: Photographs) -> None:
    beats = write_script(photographs, seed=1, shots=1, frames=1, start_ns=0).beats
    presses = [(beat.shot.name, beat.press) for beat in beats if beat.press and beat.chapter != "teach"]
    assert presses == [(ADDED, (NEW,)), (SLIP[0], (SLIP[1], UNDO))]
    assert all(not beat.press for beat in beats if beat.shot.name == STRANGER)


def test_seeds_give_other_scripts_and_the_same_seed_the_same(photographs: Photographs) -> None:
    one, same, other = (write_script(photographs, seed=s, shots=2, frames=9, start_ns=5) for s in (4, 4, 5))
    assert one == same
    assert one != other


def test_beats_follow_the_clock(photographs: Photographs) -> None:
    script = write_script(photographs, seed=0, shots=1, frames=1, start_ns=7 * NS_PER_S)
    assert script.beat(0) is script.beats[0]
    assert script.beat(8 * NS_PER_S - 1) is script.beats[0]
    assert script.beat(8 * NS_PER_S) is script.beats[1]
    end = (7 + len(script.beats)) * NS_PER_S
    assert not script.over(end - 1)
    assert script.over(end)
    assert script.shot(10_000) is script.beats[-1].shot


@pytest.mark.parametrize(
    ("option", "value"), [("seed", -1), ("shots", 0), ("shots", 101), ("frames", 0), ("frames", 10_001)]
)
def test_options_out_of_range_are_refused_by_name(photographs: Photographs, option: str, value: int) -> None:
    with pytest.raises(InputError, match=f"{option} = {value}, expected"):
        write_script(photographs, **({"seed": 0, "shots": 1, "frames": 1, "start_ns": 0} | {option: value}))
