"""Keys of a terminal, on a pseudo-terminal."""

import os
import pty
import termios
from collections.abc import Iterator

import pytest

from edge_app.devices import open_buttons
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.keyboard import KeyboardButtons
from edge_app.devices.ports import Buttons
from edge_app.errors import DeviceError, InputError


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    keyboard, screen = pty.openpty()
    yield keyboard, screen
    os.close(keyboard)
    os.close(screen)


def test_keys_are_presses_and_the_terminal_is_put_back(terminal: tuple[int, int]) -> None:
    keyboard, screen = terminal
    before = termios.tcgetattr(screen)
    with KeyboardButtons({"1": "cup", "u": "undo"}, MonotonicClock(), descriptor=screen) as buttons:
        assert isinstance(buttons, Buttons)
        assert buttons.names == ("cup", "undo")
        assert not termios.tcgetattr(screen)[3] & termios.ICANON
        assert buttons.read(0.0) == []
        os.write(keyboard, b"1xu")
        edges = buttons.read(5.0)
        assert [(edge.name, edge.pressed) for edge in edges] == [
            ("cup", True), ("cup", False), ("undo", True), ("undo", False),
        ]  # fmt: skip
    assert termios.tcgetattr(screen) == before
    with pytest.raises(DeviceError, match="closed"):
        buttons.read(0.0)


def test_what_is_no_terminal_is_refused() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(DeviceError, match="not a terminal"):
            KeyboardButtons({"1": "cup"}, MonotonicClock(), descriptor=reader)
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("rest", ["", "1", "12=cup", "=cup", "1=", "1=cup,1=cat", "1=cup,2=cup"])
def test_bad_lists_of_keys_are_refused(rest: str) -> None:
    with pytest.raises(InputError):
        open_buttons(f"keyboard:{rest}", MonotonicClock())
