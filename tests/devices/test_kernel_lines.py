"""Debouncing and bias as the kernel does them: a finger on gpio-sim's lines that bounces.

EDGE_APP_TEST_GPIO=/dev/gpiochipN,SYSFS_FOLDER_OF_ITS_LINES, whose lines 0 and 1 are buttons.
"""

import os
from pathlib import Path

import pytest

from edge_app.devices import open_buttons
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.gpio import GpioButtons
from edge_app.devices.ports import NS_PER_S, ButtonEdge, Buttons
from edge_app.errors import DeviceError

CLOCK = MonotonicClock()
DEBOUNCE = "1s"
"""Far longer than a bounce takes here, even where a busy machine emulates the processor that writes it."""
QUIET_S = 2.5


class Finger:
    """Pulls a line of gpio-sim up and down."""

    def __init__(self, folder: Path, line: int) -> None:
        self._line = folder / f"sim_gpio{line}"

    def pull(self, level: str) -> None:
        (self._line / "pull").write_text(f"pull-{level}")

    def bounce(self, to: str, times: int = 8) -> None:
        """Go to a level as a contact does: there and back, and at last there."""
        back = "up" if to == "down" else "down"
        for level in (*(to, back) * times, to):
            self.pull(level)
            CLOCK.sleep(0.003)  # gpio-sim merges edges that come faster

    @property
    def level(self) -> str:
        return (self._line / "value").read_text().strip()


@pytest.fixture
def chip() -> tuple[str, Path]:
    path, _, folder = os.environ.get("EDGE_APP_TEST_GPIO", "").partition(",")
    if not folder:
        pytest.skip("no gpio-sim chip to test with: set EDGE_APP_TEST_GPIO=/dev/gpiochipN,SYSFS_FOLDER_OF_ITS_LINES")
    return path, Path(folder)


def edges_of(buttons: Buttons) -> list[ButtonEdge]:
    """Return all edges until there were none for a while."""
    found: list[ButtonEdge] = []
    last_ns = CLOCK.monotonic_ns()
    while CLOCK.monotonic_ns() - last_ns < QUIET_S * NS_PER_S:
        news = buttons.read(0.2)
        found += news
        if news:
            last_ns = CLOCK.monotonic_ns()
    return found


def pressed(edges: list[ButtonEdge]) -> list[bool]:
    return [edge.pressed for edge in edges]


def test_a_bouncing_press_is_one_press(chip: tuple[str, Path]) -> None:
    with open_buttons(f"gpio:{chip[0]}?cup=0,debounce={DEBOUNCE}", CLOCK) as buttons:
        finger = Finger(chip[1], 0)
        start_ns = CLOCK.monotonic_ns()
        finger.bounce("down")
        down = edges_of(buttons)
        finger.bounce("up")
        up = edges_of(buttons)
        assert (pressed(down), pressed(up)) == ([True], [False])
        assert start_ns < down[0].time_ns < up[0].time_ns <= CLOCK.monotonic_ns()


def test_without_debouncing_every_bounce_is_told(chip: tuple[str, Path]) -> None:
    with GpioButtons(chip[0], {"cup": "0"}, debounce_s=0.0) as buttons:
        Finger(chip[1], 0).bounce("down")
        assert len(edges_of(buttons)) > 1, "the finger of these tests bounces"
        Finger(chip[1], 0).pull("up")


def test_a_spike_shorter_than_the_debouncing_is_no_press(chip: tuple[str, Path]) -> None:
    with open_buttons(f"gpio:{chip[0]}?cup=0,debounce={DEBOUNCE}", CLOCK) as buttons:
        finger = Finger(chip[1], 0)
        finger.pull("down")
        finger.pull("up")
        assert edges_of(buttons) == []


def test_two_lines_are_debounced_apart(chip: tuple[str, Path]) -> None:
    with open_buttons(f"gpio:{chip[0]}?cup=0,cat=1,debounce={DEBOUNCE}", CLOCK) as buttons:
        for line in (0, 1):
            Finger(chip[1], line).bounce("down")
        assert sorted(edge[:2] for edge in edges_of(buttons)) == [("cat", True), ("cup", True)]
        for line in (0, 1):
            Finger(chip[1], line).pull("up")
        edges_of(buttons)


@pytest.mark.parametrize(("bias", "level", "active"), [("pull-up", "1", "low"), ("pull-down", "0", "high")])
def test_the_bias_holds_an_open_line_at_its_resting_level(
    chip: tuple[str, Path], bias: str, level: str, active: str
) -> None:
    finger = Finger(chip[1], 0)
    finger.pull("down" if bias == "pull-up" else "up")  # whatever it was before
    with open_buttons(f"gpio:{chip[0]}?cup=0,bias={bias},active={active},debounce=1ms", CLOCK) as buttons:
        assert finger.level == level
        edges_of(buttons)
        finger.pull("down" if bias == "pull-up" else "up")
        assert pressed(edges_of(buttons)) == [True]


def test_a_chip_that_is_removed_is_told(chip: tuple[str, Path]) -> None:
    live = Path("/sys/kernel/config/gpio-sim")
    configured = list(live.glob("*/live")) if live.is_dir() else []
    if not configured:
        pytest.skip("only a simulated chip can be removed")
    with open_buttons(f"gpio:{chip[0]}?cup=0", CLOCK) as buttons:
        configured[0].write_text("0")
        try:
            with pytest.raises(DeviceError, match="the buttons can no longer be read"):
                edges_of(buttons)
        finally:
            configured[0].write_text("1")
