"""Lines that are free, held, not there; none is ever taken."""

import os
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from edge_app.doctor.findings import Finding
from edge_app.doctor.lines import check_lines
from edge_app.errors import InputError, RuntimeMissing
from support.machines import MakeSystem


class Chip:
    """Line 9 is the kernel's, line 10 nobody's word, line 11 edge-app's own; GPIO4 is line 4."""

    held: ClassVar = {9: "spi0 CS1", 10: "", 11: "edge-app"}

    def __init__(self, path: str) -> None:
        if path.endswith("7"):
            raise FileNotFoundError(2, "No such file")

    def __enter__(self) -> "Chip":
        return self

    def __exit__(self, *arguments: object) -> None:
        pass

    def get_info(self) -> Any:
        return SimpleNamespace(num_lines=32, label="fake")

    def get_line_info(self, offset: int) -> Any:
        name = f"GPIO{offset}" if offset < 8 else None
        return SimpleNamespace(name=name, used=offset in self.held, consumer=self.held.get(offset))

    def line_offset_from_id(self, name: str) -> int:
        if not name.startswith("GPIO"):
            raise OSError(2, "No such file or directory")
        return int(name[4:])


def looked(machine: MakeSystem, uri: str, what: str = "buttons") -> list[Finding]:
    return list(check_lines(machine(), what, uri, lambda: SimpleNamespace(Chip=Chip)))


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("4", "ok", "cup: line 4 of fake (GPIO4), free"),
        ("GPIO4", "ok", "cup: line 4 of fake (GPIO4), free"),
        ("12", "ok", "cup: line 12 of fake, free"),
        ("9", "failed", "in use by spi0 CS1"),
        ("10", "failed", "in use by the kernel"),
        ("11", "ok", "in use by edge-app"),
        ("32", "failed", "the chip has lines 0 to 31"),
        ("PQ.05", "failed", "no line of this name"),
    ],
)
def test_lines(machine: MakeSystem, line: str, status: str, said: str) -> None:
    (found,) = looked(machine, f"gpio:/dev/gpiochip0?cup={line},debounce=5ms,bias=as-is")
    assert found.status == status
    assert said in found.detail
    assert bool(found.advice) == (status != "ok")


def test_lights_and_a_code(machine: MakeSystem) -> None:
    found = looked(machine, "gpio:/dev/gpiochip0?status=13,code=4+9,active=low", "lights")
    assert [line.status for line in found] == ["ok", "ok", "failed"]
    assert "bit 1 of the code" in found[2].detail


def test_outputs_are_looked_at_like_lights(machine: MakeSystem) -> None:
    found = looked(machine, "gpio:/dev/gpiochip0?door=4,lamp=9,active=low,inverted=lamp", "outputs")
    assert [(line.name, line.status) for line in found] == [("outputs", "ok"), ("outputs", "failed")]
    (simulated,) = looked(machine, "sim:door", "outputs")
    assert simulated.advice == "set uri in [outputs]: docs/rules.md"


def test_no_chip(machine: MakeSystem) -> None:
    (found,) = looked(machine, "gpio:/dev/gpiochip7?cup=4")
    assert (found.status, "there is no /dev/gpiochip7" in found.detail) == ("failed", True)


@pytest.mark.parametrize(("uri", "status"), [("", "ok"), ("keyboard:1=cup", "ok"), ("sim:", "warning")])
def test_what_has_no_lines(machine: MakeSystem, uri: str, status: str) -> None:
    def load() -> Any:
        raise RuntimeMissing("gpiod is not needed for this")

    (found,) = check_lines(machine(), "buttons", uri, load)
    assert found.status == status


def test_rights(machine: MakeSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    system = machine({"dev/gpiochip0": ""})
    found = list(check_lines(system, "buttons", "gpio:/dev/gpiochip0?cup=4", lambda: SimpleNamespace(Chip=Chip)))
    assert (found[0].name, found[0].status) == ("buttons rights", "warning")
    assert "this user may not use /dev/gpiochip0" in found[0].detail
    assert found[0].advice


def test_options_that_are_wrong_are_named(machine: MakeSystem) -> None:
    with pytest.raises(InputError, match="bias"):
        looked(machine, "gpio:/dev/gpiochip0?cup=4,bias=sideways")
