"""Boards as their kernels describe them."""

import pytest

from edge_app.doctor import board
from edge_app.doctor.findings import Finding
from support.machines import MakeSystem

SENSOR = "/sys/class/thermal/thermal_zone0/temp"
RPI_VOLT = "sys/class/hwmon/hwmon1"


def statuses(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.status for finding in findings}


def test_board(machine: MakeSystem) -> None:
    (found,) = board.check_board(machine({"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}))
    assert found.detail == "Raspberry Pi 5 Model B Rev 1.0"


def test_no_board(machine: MakeSystem) -> None:
    (found,) = board.check_board(machine())
    assert (found.status, "PC" in found.detail) == ("ok", True)


@pytest.mark.parametrize(
    ("files", "sensor", "status", "said"),
    [
        ({SENSOR[1:]: "48312\n"}, SENSOR, "ok", "48 C"),
        ({SENSOR[1:]: "48312\n", "sys/class/thermal/thermal_zone1/temp": "61000"}, SENSOR, "ok", "hottest zone 61 C"),
        ({SENSOR[1:]: "75000\n"}, SENSOR, "warning", "the rate is lowered at 75 C"),
        ({SENSOR[1:]: "48312", "sys/class/thermal/thermal_zone1/temp": "90000"}, SENSOR, "warning", "90 C"),
        ({SENSOR[1:]: "48312", "sys/class/thermal/thermal_zone1/temp": "off"}, SENSOR, "ok", "48 C"),
        ({"sys/class/thermal/thermal_zone3/temp": "40000"}, SENSOR, "warning", "overheating is not detected"),
        ({}, SENSOR, "ok", "no thermal zone"),
        ({}, "", "ok", "not monitored"),
    ],
)
def test_temperature(machine: MakeSystem, files: dict[str, str], sensor: str, status: str, said: str) -> None:
    (found,) = board.check_temperature(machine(files), sensor, 75.0)
    assert found.status == status
    assert said in found.detail
    assert bool(found.advice) == (status != "ok")


@pytest.mark.parametrize(
    ("flags", "power", "throttling"),
    [
        ("0", "ok", "ok"),
        ("50005", "failed", "warning"),
        ("10000", "warning", "ok"),
        ("1", "failed", "ok"),
        ("8", "ok", "warning"),
        ("e0000", "ok", "warning"),
    ],
)
def test_raspberry_pi(machine: MakeSystem, flags: str, power: str, throttling: str) -> None:
    expected = {"power supply": power, "throttling": throttling}
    found = list(board.check_power(machine({board.FIRMWARE_FLAGS: f"0x{flags}\n"})))
    assert statuses(found) == expected
    assert all(bool(line.advice) == (line.status != "ok") for line in found)


def test_raspberry_pi_by_its_own_program(machine: MakeSystem) -> None:
    system = machine(programs={"vcgencmd get_throttled": "throttled=0x50000"})
    assert statuses(list(board.check_power(system))) == {"power supply": "warning", "throttling": "warning"}


def test_a_program_that_says_something_else(machine: MakeSystem) -> None:
    (found,) = board.check_power(machine(programs={"vcgencmd get_throttled": "error"}))
    assert (found.status, found.detail) == ("ok", "not reported by this board")


@pytest.mark.parametrize(("alarm", "status"), [("1", "failed"), ("0", "ok")])
def test_raspberry_pi_by_its_voltage_sensor(machine: MakeSystem, alarm: str, status: str) -> None:
    system = machine({f"{RPI_VOLT}/name": "rpi_volt\n", f"{RPI_VOLT}/in0_lcrit_alarm": alarm})
    assert statuses(list(board.check_power(system)))["power supply"] == status


def test_another_sensor_is_no_raspberry_pi(machine: MakeSystem) -> None:
    (found,) = board.check_power(machine({f"{RPI_VOLT}/name": "other", f"{RPI_VOLT}/in0_lcrit_alarm": "1"}))
    assert found.detail == "not reported by this board"


@pytest.mark.parametrize(("events", "status"), [("0", "ok"), ("3", "warning")])
def test_jetson(machine: MakeSystem, events: str, status: str) -> None:
    files = {f"sys/class/hwmon/hwmon0/oc{n}_event_cnt": events for n in (1, 2)}
    found = list(board.check_power(machine(files, {"nvpmodel -q": "NV Power Mode: 15W\n0"})))
    assert statuses(found) == {"power supply": status, "power mode": "ok"}
    assert found[1].detail == "NV Power Mode: 15W 0"


@pytest.mark.parametrize(
    ("free_kb", "status"), [(200_000, "failed"), (400_000, "warning"), (3_000_000, "ok"), (None, "warning")]
)
def test_memory(machine: MakeSystem, free_kb: int | None, status: str) -> None:
    text = f"MemTotal: 4000000 kB\nMemAvailable: {free_kb} kB\n" if free_kb else "MemTotal: 4000000 kB\n"
    (found,) = board.check_memory(machine({"proc/meminfo": text}))
    assert found.status == status


@pytest.mark.parametrize(("answer", "status"), [("yes", "ok"), ("no", "warning"), (None, "ok"), ("odd", "ok")])
def test_clock(machine: MakeSystem, answer: str | None, status: str) -> None:
    command = "timedatectl show --property=NTPSynchronized --value"
    (found,) = board.check_clock(machine(programs={command: answer} if answer else {}))
    assert found.status == status
