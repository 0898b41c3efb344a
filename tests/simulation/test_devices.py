"""The fakes behave."""

import threading
from itertools import pairwise

import numpy as np
import pytest

from edge_app.devices import open_buttons, open_camera
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.ports import NS_PER_S, ButtonEdge, Buttons, CameraStalled, Clock, Indicator
from edge_app.errors import DeviceError, InputError
from edge_app.messages import Decision
from edge_app.simulation.devices import (
    MOST_REMEMBERED,
    Fault,
    SimulatedButtons,
    SimulatedCamera,
    SimulatedClock,
    SimulatedIndicator,
)
from edge_app.simulation.shapes import ShapesScene

NONE = Decision(None, (), np.zeros(0, np.int32), np.zeros(0, np.int32), 0, np.zeros(0, np.int64))


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


def camera_with(clock: SimulatedClock, *faults: Fault) -> SimulatedCamera:
    camera = SimulatedCamera(ShapesScene(size=(64, 48)), clock, fps=10, faults=faults)
    camera.open()
    return camera


@pytest.mark.parametrize("make", [SimulatedClock, MonotonicClock])
def test_clocks_go_forward_only(make: type) -> None:
    clock = make()
    assert isinstance(clock, Clock)
    before = clock.monotonic_ns()
    clock.sleep(0.001)
    clock.sleep(-1)
    assert clock.monotonic_ns() - before >= 1_000_000


@pytest.mark.parametrize("make", [SimulatedClock, MonotonicClock])
def test_waiting_sees_the_event_or_the_time_pass(make: type) -> None:
    clock, event = make(), threading.Event()
    before = clock.monotonic_ns()
    assert not clock.wait(event, 0.001)
    assert clock.monotonic_ns() - before >= 1_000_000
    event.set()
    assert clock.wait(event, 1000.0)
    assert clock.monotonic_ns() - before < 100 * NS_PER_S


def test_a_simulated_clock_cannot_go_back(clock: SimulatedClock) -> None:
    with pytest.raises(InputError, match="cannot advance by"):
        clock.advance(-0.5)


def test_a_stalled_camera_delivers_nothing_then_goes_on(clock: SimulatedClock) -> None:
    camera = camera_with(clock, Fault("stall", 0.2, 1.0))
    assert [camera.read(0.5).sequence for _ in range(2)] == [0, 1]
    with pytest.raises(CameraStalled):
        camera.read(0.5)
    frame = camera.read(1.0)
    assert frame.sequence == 2
    assert frame.time_ns == 2_200_000_000
    assert camera.dropped == 0


def test_an_unplugged_camera_fails_until_it_is_plugged_in(clock: SimulatedClock) -> None:
    camera = camera_with(clock, Fault("unplug", 0.2, 1.0))
    camera.read(0.5)
    camera.read(0.5)
    with pytest.raises(DeviceError, match="unplugged"):
        camera.read(0.5)
    camera.close()
    with pytest.raises(DeviceError, match="unplugged"):
        camera.open()
    clock.advance(1.1)
    camera.open()
    assert camera.read(0.5).image.any()


def test_lying_cameras_lie(clock: SimulatedClock) -> None:
    camera = camera_with(clock, Fault("black", 0.1, 0.1), Fault("garbage", 0.2, 0.2), Fault("repeat", 0.5, 0.2))
    frames = [camera.read(0.5) for _ in range(8)]
    images = [frame.image for frame in frames]
    assert not images[1].any()
    assert images[2].std() > 60
    assert not np.array_equal(images[2], images[3])
    assert np.array_equal(images[5], images[4])
    assert np.array_equal(images[6], images[4])
    assert not np.array_equal(images[7], images[4])
    assert len({frame.time_ns for frame in frames}) == 8


def test_faults_come_by_uri(clock: SimulatedClock) -> None:
    camera = open_camera("sim:scene=shapes,size=64x48,fps=10,black=0.1+0.1,unplug=0.3", clock)
    assert [bool(camera.read(0.5).image.any()) for _ in range(3)] == [True, False, True]
    clock.advance(1000)
    with pytest.raises(DeviceError, match=r"sim:scene=shapes.*unplugged"):
        camera.read(0.5)


def test_presses_are_seen_when_their_time_has_come(clock: SimulatedClock) -> None:
    buttons = open_buttons("sim:cup,cat", clock)
    assert isinstance(buttons, Buttons)
    assert buttons.names == ("cup", "cat")
    start = clock.monotonic_ns()
    buttons.hold("cat", 2.0, at_ns=start + NS_PER_S)
    buttons.press("cup")
    assert buttons.read(0.0) == [ButtonEdge("cup", True, start)]
    assert buttons.read(0.5) == [ButtonEdge("cup", False, start + NS_PER_S // 10)]
    assert buttons.read(0.5) == []
    assert buttons.read(5.0) == [ButtonEdge("cat", True, start + NS_PER_S)]
    assert clock.monotonic_ns() == start + NS_PER_S
    assert buttons.read(5.0) == [ButtonEdge("cat", False, start + 3 * NS_PER_S)]


def test_a_button_that_is_not_there_cannot_be_pressed(clock: SimulatedClock) -> None:
    buttons = SimulatedButtons(["cup"], clock)
    with pytest.raises(InputError, match="unknown button 'dog'; expected one of cup"):
        buttons.press("dog")
    buttons.close()
    with pytest.raises(DeviceError, match="closed"):
        buttons.read(0.0)


@pytest.mark.parametrize("names", [["cup", "cup"], [""]])
def test_button_names_must_be_unique_and_not_empty(names: list[str], clock: SimulatedClock) -> None:
    with pytest.raises(InputError, match="unique and not empty"):
        SimulatedButtons(names, clock)


def test_the_indicator_remembers(clock: SimulatedClock) -> None:
    indicator = SimulatedIndicator(clock)
    assert isinstance(indicator, Indicator)
    indicator.show(NONE._replace(label="cup"))
    clock.advance(1)
    indicator.show(NONE)
    indicator.blink("learnt")
    indicator.close()
    assert list(indicator.shown) == [(NS_PER_S, "cup"), (2 * NS_PER_S, None)]
    assert list(indicator.blinks) == [(2 * NS_PER_S, "learnt")]
    assert indicator.closed


def test_buttons_that_press_themselves(clock: SimulatedClock) -> None:
    buttons = open_buttons("sim:cup@2+500ms,cat@1,undo", clock)
    assert buttons.names == ("cup", "cat", "undo")
    start_ns = clock.monotonic_ns()
    edges = [edge for _ in range(30) for edge in buttons.read(0.1)]
    presses = [(edge.name, (edge.time_ns - start_ns) / NS_PER_S) for edge in edges if edge.pressed]
    assert presses == [("cup", 0.5), ("cat", 1.0), ("cup", 2.0)]
    with pytest.raises(InputError, match="press cup@soon: expected a time above zero"):
        open_buttons("sim:cup@soon", clock)


def test_an_indicator_remembers_only_so_much(clock: SimulatedClock) -> None:
    indicator = SimulatedIndicator(clock)
    for _ in range(MOST_REMEMBERED + 5):
        indicator.show(NONE)
        indicator.blink("learnt")
    assert len(indicator.shown) == len(indicator.blinks) == MOST_REMEMBERED


def test_a_still_scene_differs_by_its_noise_alone(clock: SimulatedClock) -> None:
    with open_camera("sim:scene=still,size=64x48,fps=10", clock) as camera:
        pictures = [camera.read(1.0).image.astype(int) for _ in range(30)]
    changes = [np.abs(after - before).max() for before, after in pairwise(pictures)]
    assert max(changes) <= 6
    assert sum(change > 0 for change in changes) > 20
