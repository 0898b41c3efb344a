"""One suite over every button driver that is present."""

import os
import pty
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from edge_app.devices import open_buttons
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.keyboard import KeyboardButtons
from edge_app.devices.ports import NS_PER_S, Buttons
from edge_app.errors import DeviceError
from edge_app.simulation.devices import SimulatedButtons

CLOCK = MonotonicClock()


class Bench(NamedTuple):
    """Buttons called cup and cat, and a finger for each."""

    buttons: Buttons
    press: Callable[[str], None]
    """Goes down, and up again."""


@contextmanager
def make_sim() -> Iterator[Bench]:
    buttons = SimulatedButtons(["cup", "cat"], CLOCK)
    yield Bench(buttons, lambda name: buttons.hold(name, 0.0))


@contextmanager
def make_keyboard() -> Iterator[Bench]:
    keyboard, screen = pty.openpty()
    try:
        buttons = KeyboardButtons({"1": "cup", "2": "cat"}, CLOCK, descriptor=screen)
        yield Bench(buttons, lambda name: os.write(keyboard, {"cup": b"1", "cat": b"2"}[name]))
    finally:
        os.close(keyboard)
        os.close(screen)


@contextmanager
def make_gpio() -> Iterator[Bench]:
    pytest.importorskip("gpiod", reason="needs gpiod: pip install 'edge-app[gpio]'")
    from edge_app.devices.gpio import GpioButtons
    from support.fake_chip import FakeChip, library_of

    chip = FakeChip()
    buttons = GpioButtons("/dev/gpiochip0", {"cup": "17", "cat": "27"}, library=library_of(chip))

    def press(name: str) -> None:
        for high in (False, True):
            chip.requests[0].pull({"cup": 17, "cat": 27}[name], high)

    yield Bench(buttons, press)


@contextmanager
def make_real_gpio() -> Iterator[Bench]:
    chip, _, folder = os.environ.get("EDGE_APP_TEST_GPIO", "").partition(",")
    if not folder:
        pytest.skip("no gpio-sim chip to test with: set EDGE_APP_TEST_GPIO=/dev/gpiochipN,SYSFS_FOLDER_OF_ITS_LINES")
    buttons = open_buttons(f"gpio:{chip}?cup=0,cat=1,active=high,bias=pull-down,debounce=1ms", CLOCK)

    def press(name: str) -> None:
        pull = Path(folder) / f"sim_gpio{ {'cup': 0, 'cat': 1}[name] }" / "pull"
        for level in ("pull-up", "pull-down"):
            pull.write_text(level)
            CLOCK.sleep(0.1)  # longer than the kernel's debouncing

    yield Bench(buttons, press)


MAKERS = {"sim": make_sim, "keyboard": make_keyboard, "gpio": make_gpio, "gpio-chip": make_real_gpio}


@pytest.fixture(params=sorted(MAKERS))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with MAKERS[request.param]() as bench, bench.buttons:
        yield bench


def read(buttons: Buttons, count: int) -> list[tuple[str, bool, int]]:
    edges: list[tuple[str, bool, int]] = []
    deadline_ns = CLOCK.monotonic_ns() + 5 * NS_PER_S
    while len(edges) < count and CLOCK.monotonic_ns() < deadline_ns:
        edges += buttons.read(0.5)
    return edges


def test_presses_come_with_name_direction_and_time(bench: Bench) -> None:
    assert isinstance(bench.buttons, Buttons)
    assert bench.buttons.names == ("cup", "cat")
    before_ns = CLOCK.monotonic_ns()
    bench.press("cat")
    bench.press("cup")
    edges = read(bench.buttons, 4)
    assert [edge[:2] for edge in edges] == [("cat", True), ("cat", False), ("cup", True), ("cup", False)]
    times = [edge[2] for edge in edges]
    assert times == sorted(times)
    assert before_ns <= times[0] <= times[-1] <= CLOCK.monotonic_ns()


def test_nothing_pressed_is_an_empty_list_in_time(bench: Bench) -> None:
    start_ns = CLOCK.monotonic_ns()
    assert bench.buttons.read(0.0) == []
    assert bench.buttons.read(0.05) == []
    assert 0.05 <= (CLOCK.monotonic_ns() - start_ns) / NS_PER_S < 1.0


def test_an_edge_is_told_once(bench: Bench) -> None:
    bench.press("cup")
    assert len(read(bench.buttons, 2)) == 2
    assert bench.buttons.read(0.0) == []


def test_closed_buttons_cannot_be_read(bench: Bench) -> None:
    bench.buttons.close()
    bench.buttons.close()
    with pytest.raises(DeviceError, match="closed"):
        bench.buttons.read(0.0)


def test_a_press_from_elsewhere_ends_the_waiting(bench: Bench, request: pytest.FixtureRequest) -> None:
    if "sim" in request.node.callspec.id.split("-"):
        pytest.skip("simulated presses are laid down before the reading, at their time")
    timer = threading.Timer(0.1, bench.press, ["cup"])
    timer.start()
    start_ns = CLOCK.monotonic_ns()
    assert bench.buttons.read(5.0)
    assert (CLOCK.monotonic_ns() - start_ns) / NS_PER_S < 3.0
    timer.join()
