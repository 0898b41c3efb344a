"""The board: temperature, throttling, power supply, memory, clock.

A Raspberry Pi's firmware keeps flags (raspberrypi.com, "get_throttled"): bit 0 under-voltage, 1 frequency capped,
2 throttled, 3 soft temperature limit; bits 16 to 19 the same since the start. A Jetson counts over-current events
(NVIDIA's developer guide, "Over Current Throttling").
"""

from collections.abc import Iterator
from pathlib import PurePath

from edge_app.doctor.findings import Finding, System

FIRMWARE_FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"
NEEDED_MB = 300
COMFORTABLE_MB = 450
SUPPLY = "use the power supply made for this board (Raspberry Pi 4: 5 V, 3 A; Pi 5: 5 V, 5 A) and a short cable"


def check_board(system: System) -> Iterator[Finding]:
    """Say which board this is."""
    model = system.text("proc/device-tree/model")
    yield Finding("board", "ok", model or "no device tree: a PC or a virtual machine")


def check_temperature(system: System, sensor: str, slow_at_c: float) -> Iterator[Finding]:
    """Look at the sensor that the configuration names ("": none), and for the hottest of all."""
    if not sensor:
        yield Finding("temperature", "ok", "not looked at, as the configuration says")
        return
    zones = {
        zone.parent.name: value / 1000
        for zone in sorted(system.root.glob("sys/class/thermal/thermal_zone*/temp"))
        if (value := system.number(str(zone.relative_to(system.root)))) is not None
    }
    own = system.number(str(PurePath(sensor).relative_to("/")))
    if own is None:
        there = ", ".join(f"/sys/class/thermal/{name}/temp" for name in zones)
        if there:
            advice = f"name one that can be read as sensor in [temperature]: {there}"
            yield Finding("temperature", "warning", f"{sensor} cannot be read: heat is not noticed", advice)
        else:
            yield Finding("temperature", "ok", "this machine has no thermal zone")
        return
    hottest = max([own / 1000, *zones.values()])
    detail = f"{own / 1000:.0f} C" + (f", the hottest zone {hottest:.0f} C" if hottest > own / 1000 else "")
    if hottest >= slow_at_c:
        yield Finding(
            "temperature", "warning", f"{detail}: slowed down from {slow_at_c:g} C on", "cool it: heat sink, fan, air"
        )
    else:
        yield Finding("temperature", "ok", detail)


def check_power(system: System) -> Iterator[Finding]:
    """Look at under-voltage and throttling, as far as the board tells."""
    found = [*_raspberry_pi(system), *_jetson(system)]
    yield from found or [Finding("power supply", "ok", "this board does not tell")]


def check_memory(system: System) -> Iterator[Finding]:
    """Look whether the program fits into what is free."""
    fields = dict(line.split(":", 1) for line in (system.text("proc/meminfo") or "").splitlines() if ":" in line)
    try:
        free_mb = int(fields["MemAvailable"].split()[0]) // 1024
    except (KeyError, ValueError, IndexError):
        yield Finding("memory", "warning", "/proc/meminfo does not tell what is free")
        return
    detail, advice = (
        f"{free_mb} MB free, about {NEEDED_MB} MB needed",
        "stop other programs; `free -m` shows what is used",
    )
    if free_mb < NEEDED_MB:
        yield Finding("memory", "failed", detail, advice)
    else:
        yield Finding(
            "memory",
            "ok" if free_mb >= COMFORTABLE_MB else "warning",
            detail,
            advice if free_mb < COMFORTABLE_MB else "",
        )


def check_clock(system: System) -> Iterator[Finding]:
    """Look whether the wall clock is set by the network. Only the times of examples depend on it."""
    answer = system.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if answer == "yes":
        yield Finding("clock", "ok", "synchronised")
    elif answer == "no":
        yield Finding(
            "clock", "warning", "not synchronised: the times of examples may be wrong", "sudo timedatectl set-ntp true"
        )
    else:
        yield Finding("clock", "ok", "timedatectl does not tell")


def _raspberry_pi(system: System) -> Iterator[Finding]:
    flags = system.number(FIRMWARE_FLAGS)
    if flags is None:
        answer = system.run(["vcgencmd", "get_throttled"]) or ""
        try:
            flags = int(answer.partition("=")[2], 0)
        except ValueError:
            flags = None
    for alarm in system.root.glob("sys/class/hwmon/hwmon*/in0_lcrit_alarm"):
        folder = str(alarm.parent.relative_to(system.root))
        if system.text(f"{folder}/name") == "rpi_volt" and system.number(f"{folder}/in0_lcrit_alarm"):
            flags = (flags or 0) | 1
        elif system.text(f"{folder}/name") == "rpi_volt" and flags is None:
            flags = 0
    if flags is None:
        return
    if flags & 0x1:
        yield Finding("power supply", "failed", "under-voltage now: the processor is slowed down and may fail", SUPPLY)
    elif flags & 0x10000:
        yield Finding("power supply", "warning", "there was under-voltage since the start", SUPPLY)
    else:
        yield Finding("power supply", "ok", "no under-voltage since the start")
    now = [
        name
        for bit, name in ((1, "frequency capped"), (2, "throttled"), (3, "soft temperature limit"))
        if flags >> bit & 1
    ]
    before = any(flags >> bit & 1 for bit in (17, 18, 19))
    if now:
        yield Finding(
            "throttling", "warning", f"now: {', '.join(now)}", "cool it: heat sink, fan, air; see power supply"
        )
    elif before:
        yield Finding(
            "throttling",
            "warning",
            "slowed down since the start, not now",
            "cool it: heat sink, fan, air; see power supply",
        )
    else:
        yield Finding("throttling", "ok", "none since the start")


def _jetson(system: System) -> Iterator[Finding]:
    events = 0
    counters = sorted(system.root.glob("sys/class/hwmon/hwmon*/oc*_event_cnt"))
    for counter in counters:
        events += system.number(str(counter.relative_to(system.root))) or 0
    if counters and events:
        advice = "use a power supply for the chosen mode, or a mode of fewer watts: sudo nvpmodel -m N"
        yield Finding("power supply", "warning", f"{events} over-current events since the start", advice)
    elif counters:
        yield Finding("power supply", "ok", "no over-current event since the start")
    mode = system.run(["nvpmodel", "-q"])
    if mode:
        yield Finding("power mode", "ok", " ".join(mode.split()))
