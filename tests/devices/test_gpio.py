"""Buttons, lights and outputs on GPIO lines: a fake chip where one is needed, the kernel's own answers where not."""

import errno
import importlib
import os
from pathlib import Path

import numpy as np
import pytest

from edge_app.devices import open_buttons, open_indicator, open_outputs
from edge_app.devices.clock import MonotonicClock
from edge_app.devices.gpiolines import find_chip, load_library
from edge_app.devices.ports import NS_PER_S, ButtonEdge, Buttons, Indicator, Outputs
from edge_app.errors import DeviceError, InputError, RuntimeMissing
from edge_app.messages import Decision
from edge_app.simulation.devices import SimulatedClock, SimulatedIndicator, SimulatedOutputs

gpiod = pytest.importorskip("gpiod", reason="needs gpiod: pip install 'edge-app[gpio]'")

from edge_app.devices import gpiolines  # noqa: E402
from edge_app.devices.gpio import GpioButtons, GpioLights  # noqa: E402
from support.fake_chip import FakeChip, library_of  # noqa: E402  needs gpiod

CLOCK = MonotonicClock()
CHIP = "/dev/gpiochip0"
LABELS = ("cup", "cat", "dog")


def decision(label: str | None) -> Decision:
    zeros = np.zeros(3, np.int32)
    return Decision(label, LABELS, zeros, zeros, 0, np.zeros(3, np.int64))


@pytest.fixture
def chip() -> FakeChip:
    return FakeChip()


def buttons_on(chip: FakeChip, lines: dict[str, str], **options: object) -> GpioButtons:
    return GpioButtons(CHIP, lines, library=library_of(chip), **options)


def test_edges_are_named_and_carry_the_kernels_time(chip: FakeChip) -> None:
    with buttons_on(chip, {"cup": "17", "undo": "GPIO22"}) as buttons:
        assert isinstance(buttons, Buttons)
        assert buttons.names == ("cup", "undo")
        request = chip.requests[0]
        request.pull(22, False, 2000)
        request.pull(17, False, 1000)
        request.pull(22, True, 3000)
        assert buttons.read(1.0) == [
            ButtonEdge("cup", True, 1000), ButtonEdge("undo", True, 2000), ButtonEdge("undo", False, 3000),
        ]  # fmt: skip
        assert buttons.read(0.0) == []
    assert request.released
    buttons.close()
    with pytest.raises(DeviceError, match="closed"):
        buttons.read(0.0)


def test_the_defaults_suit_a_button_to_ground(chip: FakeChip) -> None:
    buttons_on(chip, {"cup": "17"})
    settings = chip.requests[0].settings
    assert settings.bias is gpiod.line.Bias.PULL_UP
    assert settings.active_low
    assert settings.debounce_period.total_seconds() == 0.01
    assert settings.edge_detection is gpiod.line.Edge.BOTH
    assert settings.event_clock is gpiod.line.Clock.MONOTONIC


def test_options_of_the_uri_reach_the_lines(chip: FakeChip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_app.devices.gpio.load_library", lambda: library_of(chip))
    uri = f"gpio:{CHIP}?cup=17,active=high,bias=pull-down,debounce=5ms"
    with open_buttons(uri, CLOCK) as buttons:
        assert buttons.names == ("cup",)
        settings = chip.requests[0].settings
        assert settings.bias is gpiod.line.Bias.PULL_DOWN
        assert not settings.active_low
        assert settings.debounce_period.total_seconds() == 0.005
        chip.requests[0].pull(17, True, 5)
        assert buttons.read(1.0) == [ButtonEdge("cup", True, 5)]


def test_a_chip_that_is_unplugged_is_told(chip: FakeChip) -> None:
    with buttons_on(chip, {"cup": "17"}) as buttons:
        chip.requests[0].broken = True
        with pytest.raises(DeviceError, match="can no longer be read: No such device"):
            buttons.read(1.0)


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        ({"cup": "32"}, InputError, "cup = 32: the chip has lines 0 to 31"),
        ({"cup": "BUTTON"}, InputError, "cup = BUTTON: the chip has no line of that name; it has GPIO0, GPIO1"),
        ({"cup": "4", "cat": "GPIO4"}, InputError, "cup and cat are both on line 4"),
        ({"cup": "9"}, DeviceError, "cup = 9: the line is in use by spi0 CS1"),
        ({}, InputError, "names no button"),
    ],
)
def test_lines_that_cannot_be_had_are_refused(
    chip: FakeChip, lines: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        buttons_on(chip, lines)
    assert not chip.requests


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EBUSY, "in use by another program; `gpioinfo` shows which"),
        (524, "the chip does not support this setting of a line"),
        (errno.EIO, "the lines cannot be requested"),
    ],
)
def test_what_the_kernel_refuses_is_explained(chip: FakeChip, number: int, message: str) -> None:
    chip.refusal = OSError(number, os.strerror(number))
    with pytest.raises(DeviceError, match=message):
        buttons_on(chip, {"cup": "17"})


def test_a_chip_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(DeviceError, match="there is no /dev/gpiochip_none; GPIO chips here: "):
        open_buttons("gpio:/dev/gpiochip_none?cup=1", CLOCK)


@pytest.mark.parametrize("path", ["/dev/null", __file__])
def test_what_is_no_chip_is_refused(path: str) -> None:
    with pytest.raises(DeviceError, match=f"{path} is not a GPIO chip"):
        open_buttons(f"gpio:{path}?cup=1", CLOCK)


def test_without_permission_the_group_is_named(chip: FakeChip) -> None:
    library = library_of(chip)

    def refuse(path: str) -> FakeChip:
        raise PermissionError(errno.EACCES, "Permission denied")

    library.Chip = refuse
    with pytest.raises(DeviceError, match=r"no permission to use /dev/gpiochip0; add the user to the group gpio"):
        GpioButtons(CHIP, {"cup": "1"}, library=library)


def test_chips_have_labels_too(chip: FakeChip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [Path("/dev/gpiochip3")])
    assert find_chip("gpio:fake", "fake", library_of(chip)) == "/dev/gpiochip3"
    with pytest.raises(DeviceError, match=r"no GPIO chip is called 'pinctrl'; there are: fake \(/dev/gpiochip3\)"):
        find_chip("gpio:pinctrl", "pinctrl", library_of(chip))


def test_without_gpiod_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(gpiolines.importlib, "import_module", missing)
    with pytest.raises(RuntimeMissing, match=r'pip install "edge-app\[gpio\]"'):
        load_library()


def test_gpiod_1_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpiolines.importlib, "import_module", lambda name: importlib)
    with pytest.raises(RuntimeMissing, match="is gpiod 1; version 2 is needed"):
        load_library()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gpio:?cup=1", "names no path"),
        (f"gpio:{CHIP}?cup=", "'cup' needs a value"),
        (f"gpio:{CHIP}?cup=1,cup=2", "given twice"),
        (f"gpio:{CHIP}?cup=1,bias=up", "expected one of pull-up, pull-down, disabled, as-is"),
        (f"gpio:{CHIP}?cup=1,active=yes", "expected low or high"),
        (f"gpio:{CHIP}?cup=1,debounce=-1", "expected a time above zero"),
        (f"gpio:{CHIP}", "names no button"),
    ],
)
def test_bad_uris_are_refused(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_buttons(uri, CLOCK)


def lights_on(chip: FakeChip, clock: SimulatedClock | MonotonicClock, **options: object) -> GpioLights:
    return GpioLights(CHIP, {"cup": "5", "cat": "6", "status": "13"}, clock, library=library_of(chip), **options)


def wait_for(chip: FakeChip, count: int) -> list[tuple[int, dict[int, bool]]]:
    request = chip.requests[0]
    for _ in range(500):
        if len(request.written) >= count:
            return request.written
        CLOCK.sleep(0.01)
    raise AssertionError(f"{len(request.written)} of {count} changes")


def test_lights_show_the_decision_and_go_out(chip: FakeChip) -> None:
    lights = lights_on(chip, CLOCK)
    assert isinstance(lights, Indicator)
    lights.show(decision("cup"))
    wait_for(chip, 1)
    lights.show(decision("cup"))
    lights.show(decision("cat"))
    wait_for(chip, 2)
    lights.show(decision("dog"))
    wait_for(chip, 3)
    lights.close()
    lights.close()
    request = chip.requests[0]
    assert [levels for _, levels in request.written] == [
        {5: True, 6: False, 13: False},
        {5: False, 6: True, 13: False},
        {5: False, 6: False, 13: False},
        {5: False, 6: False, 13: False},
    ]
    assert request.released
    with pytest.raises(DeviceError, match="the lights are closed"):
        lights.show(decision("cup"))


def test_blinking_takes_its_time_from_the_clock() -> None:
    clock = SimulatedClock()
    chip = FakeChip(clock.monotonic_ns)
    lights = lights_on(chip, clock)
    start = clock.monotonic_ns()
    lights.blink("undone")
    written = wait_for(chip, 4)
    lights.close()
    flashes = [((time_ns - start) / NS_PER_S, levels[13]) for time_ns, levels in written[:4]]
    assert flashes == [(0.0, True), (0.15, False), (0.3, True), (0.45, False)]
    assert clock.monotonic_ns() - start == round(0.7 * NS_PER_S)


def test_lights_that_fail_are_told(chip: FakeChip) -> None:
    lights = lights_on(chip, CLOCK)
    chip.requests[0].broken = True
    lights.show(decision("cup"))
    lights._thread.join(5)
    with pytest.raises(DeviceError, match="the lights can no longer be set: No such device"):
        lights.blink("learnt")
    lights.close()
    assert chip.requests[0].released


def test_a_code_of_lights_comes_by_uri(chip: FakeChip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_app.devices.gpio.load_library", lambda: library_of(chip))
    lights = open_indicator(f"gpio:{CHIP}?code=5+6,active=low", CLOCK)
    assert chip.requests[0].settings.active_low
    lights.show(decision("dog"))
    assert wait_for(chip, 1)[0][1] == {5: True, 6: True}
    lights.close()


def test_lights_without_lines_are_refused() -> None:
    with pytest.raises(InputError, match="names no light"):
        open_indicator(f"gpio:{CHIP}", CLOCK)


def test_a_simulated_indicator_stands_among_equals() -> None:
    assert isinstance(open_indicator("sim:", CLOCK), SimulatedIndicator)
    with pytest.raises(InputError, match="unknown option 'cup'"):
        open_indicator("sim:cup", CLOCK)
    with pytest.raises(InputError, match="no indicator driver is called 'dir'; known: sim:, gpio:"):
        open_indicator("dir:a", CLOCK)


def test_outputs_have_a_level_from_the_moment_they_are_taken(chip: FakeChip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_app.devices.gpio.load_library", lambda: library_of(chip))
    outputs = open_outputs(f"gpio:{CHIP}?door=23,lamp=24,bell=25,inverted=bell", CLOCK, {"lamp"})
    assert isinstance(outputs, Outputs)
    assert outputs.names == ("door", "lamp", "bell")
    (request,) = chip.requests
    found = {line: (settings.active_low, settings.output_value.name) for line, settings in request.of_line.items()}
    assert found == {23: (False, "INACTIVE"), 24: (False, "ACTIVE"), 25: (True, "INACTIVE")}
    outputs.set({"door": True, "bell": False})
    assert request.written[-1][1] == {23: True, 25: False}
    request.broken = True
    with pytest.raises(DeviceError, match="the outputs can no longer be set: No such device"):
        outputs.set({"door": False})
    outputs.close()
    outputs.close()
    assert request.released
    with pytest.raises(DeviceError, match="the outputs are closed"):
        outputs.set({"door": True})


def test_outputs_that_are_active_low_are_so_at_once(chip: FakeChip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_app.devices.gpio.load_library", lambda: library_of(chip))
    open_outputs(f"gpio:{CHIP}?door=23,lamp=24,active=low", CLOCK).close()
    assert {settings.active_low for settings in chip.requests[0].of_line.values()} == {True}


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (f"gpio:{CHIP}", "names no output: expected for example"),
        (f"gpio:{CHIP}?door=23,inverted=lamp", "inverted = 'lamp', expected one of door"),
        (f"gpio:{CHIP}?door=23,inverted=door+door", "inverted = 'door.door': expected different names"),
        ("sim:", "output names .. must be unique and not empty, as in sim:door,lamp"),
        ("keyboard:1=door", "no outputs driver is called 'keyboard'; known: sim:, gpio:"),
    ],
)
def test_outputs_that_cannot_be_are_refused(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_outputs(uri, CLOCK)


def test_a_line_that_another_part_of_the_device_has_is_told(chip: FakeChip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_app.devices.gpio.load_library", lambda: library_of(chip))
    monkeypatch.setattr(chip, "get_line_info", lambda _: type("Info", (), {"used": True, "consumer": "edge-app"}))
    with pytest.raises(DeviceError, match="in use by edge-app: give buttons, lights and outputs lines of their own"):
        open_outputs(f"gpio:{CHIP}?door=23", CLOCK)


def test_simulated_outputs_remember_their_changes() -> None:
    clock = SimulatedClock(5)
    outputs = open_outputs("sim:door,lamp", clock, {"lamp"})
    assert isinstance(outputs, SimulatedOutputs)
    outputs.set({"door": True, "lamp": True})
    assert list(outputs.switched) == [(5, "door", True)]
    outputs.broken = True
    with pytest.raises(DeviceError, match="can no longer be set"):
        outputs.set({"door": False})
    outputs.close()
    assert outputs.closed
