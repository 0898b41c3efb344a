"""The board: temperature, throttling, power supply, memory, clock.

A Raspberry Pi's firmware keeps flags (raspberrypi.com, "get_throttled"): bit 0 under-voltage, 1 frequency capped,
2 throttled, 3 soft temperature limit; bits 16 to 19 the same since boot. A Jetson counts over-current events
(NVIDIA's developer guide, "Over Current Throttling").
"""

from collections.abc import Iterator
from pathlib import PurePath

from edge_app.doctor.findings import Finding, System

FIRMWARE_FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"
NEEDED_MB = 300
COMFORTABLE_MB = 450
COOLING = "add a heat sink or a fan; see power supply"
SUPPLY = "use the power supply made for this board (Raspberry Pi 4: 5 V, 3 A; Pi 5: 5 V, 5 A) and a short cable"


def check_board(system: System) -> Iterator[Finding]:
    """Report the board."""
    model = system.text("proc/device-tree/model")
    yield Finding("board", "ok", model or "no device tree: a PC or a virtual machine")


def check_temperature(system: System, sensor: str, slow_at_c: float) -> Iterator[Finding]:
    """Read the configured sensor ("": none), and find the hottest zone."""
    if not sensor:
        yield Finding("temperature", "ok", "not monitored: sensor is empty in [temperature]")
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
            advice = f"set sensor in [temperature] to one of: {there}"
            yield Finding("temperature", "warning", f"{sensor} cannot be read: overheating is not detected", advice)
        else:
            yield Finding("temperature", "ok", "this machine has no thermal zone")
        return
    hottest = max([own / 1000, *zones.values()])
    detail = f"{own / 1000:.0f} C" + (f", hottest zone {hottest:.0f} C" if hottest > own / 1000 else "")
    if hottest >= slow_at_c:
        yield Finding(
            "temperature", "warning", f"{detail}: the rate is lowered at {slow_at_c:g} C", "add a heat sink or a fan"
        )
    else:
        yield Finding("temperature", "ok", detail)


def check_power(system: System) -> Iterator[Finding]:
    """Check for under-voltage and throttling, if the board reports them."""
    found = [*_raspberry_pi(system), *_jetson(system)]
    yield from found or [Finding("power supply", "ok", "not reported by this board")]


def check_memory(system: System) -> Iterator[Finding]:
    """Check that the program fits into the free memory."""
    fields = dict(line.split(":", 1) for line in (system.text("proc/meminfo") or "").splitlines() if ":" in line)
    try:
        free_mb = int(fields["MemAvailable"].split()[0]) // 1024
    except (KeyError, ValueError, IndexError):
        yield Finding("memory", "warning", "/proc/meminfo does not report free memory")
        return
    detail, advice = (
        f"{free_mb} MB free, about {NEEDED_MB} MB needed",
        "stop other programs; `free -m` shows the use",
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
    """Check that the wall clock is synchronised. Only the times of examples depend on it."""
    answer = system.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if answer == "yes":
        yield Finding("clock", "ok", "synchronised")
    elif answer == "no":
        yield Finding(
            "clock", "warning", "not synchronised: the times of examples may be wrong", "sudo timedatectl set-ntp true"
        )
    else:
        yield Finding("clock", "ok", "not reported by timedatectl")


def _raspberry_pi(system: System) -> Iterator[Finding]:
    flags = _firmware_flags(system)
    if flags is None:
        return
    # bits: see the module's text
    if flags & 0x1:
        yield Finding("power supply", "failed", "under-voltage now: the processor is throttled and may fail", SUPPLY)
    elif flags & 0x10000:
        yield Finding("power supply", "warning", "under-voltage has occurred since boot", SUPPLY)
    else:
        yield Finding("power supply", "ok", "no under-voltage since boot")
    now = [
        name
        for bit, name in enumerate(("frequency capped", "throttled", "soft temperature limit"), 1)
        if flags >> bit & 1
    ]
    if now:
        yield Finding("throttling", "warning", f"now: {', '.join(now)}", COOLING)
    elif flags & 0xE0000:
        yield Finding("throttling", "warning", "has occurred since boot, not now", COOLING)
    else:
        yield Finding("throttling", "ok", "none since boot")


def _firmware_flags(system: System) -> int | None:
    """Return the flags described above; None on other boards."""
    flags = system.number(FIRMWARE_FLAGS)
    if flags is None:
        answer = system.run(["vcgencmd", "get_throttled"]) or ""
        try:
            flags = int(answer.partition("=")[2], 0)
        except ValueError:
            flags = None
    # readable by every user, where vcgencmd needs the group video
    for alarm in system.root.glob("sys/class/hwmon/hwmon*/in0_lcrit_alarm"):
        folder = str(alarm.parent.relative_to(system.root))
        if system.text(f"{folder}/name") == "rpi_volt":
            flags = (flags or 0) | bool(system.number(f"{folder}/in0_lcrit_alarm"))
    return flags


def _jetson(system: System) -> Iterator[Finding]:
    events = 0
    counters = sorted(system.root.glob("sys/class/hwmon/hwmon*/oc*_event_cnt"))
    for counter in counters:
        events += system.number(str(counter.relative_to(system.root))) or 0
    if counters and events:
        advice = "use a power supply rated for this mode, or a mode with fewer watts: sudo nvpmodel -m N"
        yield Finding("power supply", "warning", f"{events} over-current events since boot", advice)
    elif counters:
        yield Finding("power supply", "ok", "no over-current events since boot")
    mode = system.run(["nvpmodel", "-q"])
    if mode:
        yield Finding("power mode", "ok", " ".join(mode.split()))
