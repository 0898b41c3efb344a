"""Another day: rebooted, and then everything goes wrong that can."""

import json
import os
import re
import signal
import time
from pathlib import Path

from bench import APP, CACHE, PYTHON, STATE, UNIT, Bench, require, require_flashes, run, uptime_s, wait_until
from day import CONFIG, SEEN, TAUGHT, VISIT_S, in_order
from sandbox import sandbox
from scenario import Figures, Scenario

from devices import CHECKERS, RED, SECOND, Flashes

WATCHDOG_S, ABORT_S, RESTART_S = 30.0, 10.0, 5.0
"""WatchdogSec, TimeoutStopSec (until a process that does not abort is killed) and RestartSec of the unit."""
FAILED = 6
"""Flashes of the status light."""
FILLER = Path(STATE) / "filler"
PLACES = f"""
[[cameras]]
name = "second"
uri = "v4l2:{SECOND}?size=320x180,fps=5"

[[places]]
name = "left"
region = [0.0, 0.0, 0.5, 1.0]

[[places]]
name = "right"
region = [0.5, 0.0, 0.5, 1.0]

[[places]]
name = "other"
camera = "second"
"""
HISTORY_STOPS = 64 << 20
"""Free space below which no visits are stored; docs/history.md."""
DAY_S = 86_400
GONE = 4
"""Every so many compiled kernels are missing at the cold start."""


def reboot(bench: Bench) -> Figures:
    """Boot again on the same disks."""
    bench.service.wait_ready()
    require(bench.service.restarts == 0, "the service came up with the machine, at the first attempt")
    ready_s = int(bench.service.get("ActiveEnterTimestampMonotonic")) / 1e6
    require(bench.stored() == json.loads(TAUGHT.read_text()), "what was taught is there")
    seen = json.loads(SEEN.read_text())
    require(bench.visits()[: len(seen)] == seen, "the visits of the day before are there")
    bench.tells_apart()
    return {"kernel_to_ready_s": round(ready_s, 1), "ready_s": round(bench.service.seconds(), 1)}


def camera(bench: Bench) -> Figures:
    """Pull the camera out, and plug it in again."""
    mark, pid = bench.journal.mark(), bench.service.pid
    start = time.monotonic()
    bench.camera.unplug()
    bench.journal.wait("camera_fault", mark)
    noticed_s = time.monotonic() - start
    bench.journal.wait("camera_absent", mark)
    wait_until(lambda: "camera reopening" in bench.service.get("StatusText"), "the status text says it")
    bench.camera.plug_in()
    start = time.monotonic()
    bench.journal.wait("camera_reopened", mark)
    recovered_s = time.monotonic() - start
    bench.tells_apart()
    require(bench.service.pid == pid, "the same process went on")
    return {"noticed_s": round(noticed_s, 1), "recovered_s": round(recovered_s, 1)}


def lines(bench: Bench) -> Figures:
    """Take the chip away from buttons and lights, and give it back."""
    mark = bench.journal.mark()
    start = time.monotonic()
    bench.lines.unplug()
    said = bench.journal.wait(r"stage_failed .*(can no longer be read|can no longer be set)", mark)
    reported_s = time.monotonic() - start
    bench.journal.wait("status=8", mark)
    bench.journal.wait("no GPIO chip is called|there is no /dev/gpiochip", mark)
    bench.lines.plug_in()
    start = time.monotonic()
    bench.service.wait_ready()
    recovered_s = time.monotonic() - start
    bench.look_at(CHECKERS)
    bench.teach("cat")
    bench.tells_apart()
    return {"reported_s": round(reported_s, 1), "recovered_s": round(recovered_s, 1), "report": said.group(0)[:120]}


def frozen(bench: Bench) -> Figures:
    """Stop the process, so that no ping comes."""
    before, restarts, pid = bench.stored(), bench.service.restarts, bench.service.pid
    mark = bench.journal.mark()
    start = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    bench.journal.wait("Watchdog timeout", mark)
    noticed_s = time.monotonic() - start
    wait_until(lambda: bench.service.restarts == restarts + 1, "systemd restarts the service")
    restarted_s = time.monotonic() - start
    bench.service.wait_ready()
    ready_s = time.monotonic() - start
    require(noticed_s <= WATCHDOG_S + 2, f"the watchdog bit after {noticed_s:.1f} s of at most {WATCHDOG_S:g}")
    limit_s = WATCHDOG_S + ABORT_S + RESTART_S + 5
    require(restarted_s <= limit_s, f"it was started anew after {restarted_s:.1f} s, expected at most {limit_s:g}")
    require(bench.stored() == before, "nothing that was taught is lost")
    bench.tells_apart()
    return {"watchdog_s": round(noticed_s, 1), "restarted_s": round(restarted_s, 1), "ready_s": round(ready_s, 1)}


def disk_full(bench: Bench) -> Figures:
    """Fill the disk that the state is on, teach, and make room again."""
    restarts, seen, start = bench.service.restarts, bench.visits(), bench.journal.mark()
    try:
        _leave_free(HISTORY_STOPS // 2)
        bench.look_at(CHECKERS)
        why = bench.journal.wait("history_stopped reason=.* MB free.*", start).group(0)
        wait_until(lambda: "history stopped" in bench.service.get("StatusText"), "the status text says it")
        bench.teach("cat")
        before = bench.stored()
        _fill()
        mark = bench.journal.mark()
        with Flashes(bench.lines) as flashes:
            bench.lines.press("cat")
            said = bench.journal.wait(r"(command_failed|learnt) .*", mark).group(0)
            require("command_failed" in said, f"there is no room for an example: {said}")
            require_flashes(flashes, FAILED)
        require("the disk is full: free some space" in said, f"the message says what to do: {said}")
        bench.tells_apart()
    finally:
        FILLER.unlink()
    require(bench.stored() == before, "what was stored before is unchanged")
    bench.look_at(CHECKERS)
    bench.teach("cat")
    require(len(bench.stored()) == len(before) + 1, "with room again, teaching goes on")
    bench.journal.wait("history_resumed", start)
    visits = bench.visits()
    require(visits[: len(seen) - 1] == seen[:-1], "the visits from before are unchanged")
    require(len(visits) > len(seen), "the history goes on, with the visits that waited")
    require(bench.service.restarts == restarts, "the service went on")
    return {"flashes": flashes.count, "message": said[said.index("reason=") :][:160], "history": why[:160]}


def _leave_free(size: int) -> None:
    """Fill the disk but for some bytes."""
    disk = os.statvfs(STATE)
    with FILLER.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - size)


def _fill() -> None:
    """Fill the rest of the disk."""
    size = 1 << 20
    with FILLER.open("ab", buffering=0) as file:
        while size >= 1024:
            try:
                while file.write(bytes(size)) == size:
                    os.fsync(file.fileno())
                size //= 2
            except OSError:
                size //= 2
    require(os.statvfs(STATE).f_bavail < 4, "the disk is full")


def memory(bench: Bench) -> Figures:
    """Lower the limit below what the service needs, and raise it again."""
    bench.look_at(RED)
    bench.teach("cup")
    before, restarts = bench.stored(), bench.service.restarts
    limit, used = bench.service.get("MemoryMax"), int(bench.service.get("MemoryCurrent"))
    mark, start = bench.journal.mark(), time.monotonic()
    run("systemctl", "set-property", "--runtime", UNIT, f"MemoryMax={used // 3}")
    try:
        bench.journal.wait("oom-kill", mark)
        killed_s = time.monotonic() - start
    finally:
        run("systemctl", "set-property", "--runtime", UNIT, f"MemoryMax={limit}")
    wait_until(lambda: bench.service.restarts > restarts, "systemd restarts the service")
    bench.service.wait_ready()
    require(bench.service.get("MemoryMax") == limit, "the limit is as it was")
    require(bench.stored() == before, "nothing that was taught is lost")
    bench.tells_apart()
    return {"used_mb": used // 10**6, "killed_s": round(killed_s, 1), "ready_s": round(time.monotonic() - start, 1)}


def cold(bench: Bench) -> Figures:
    """Start with a part of the compiled kernels gone from the cache, and once more with all of them.

    A part, as this processor takes minutes for all, and has compiled them once, at the installation.
    """
    times, compiled = [], []
    run("systemctl", "stop", UNIT)
    kernels = sorted(Path(CACHE).rglob("*.nbi"))
    for path in kernels[::GONE]:
        path.unlink()
    for start in ("start", "restart"):
        mark = bench.journal.mark()
        run("systemctl", start, UNIT)
        bench.service.wait_ready()
        times.append(bench.service.seconds())
        compiled.append(int(bench.journal.wait(r"loaded .*compiled=(\d+)", mark).group(1)))
    require(compiled[0] > 0, f"of {len(kernels)} kernels every {GONE}th was missing, and none was compiled")
    require(compiled[1] == 0, f"the next start uses what that one compiled; it compiled {compiled[1]}")
    # each kernel that is compiled extends TimeoutStartSec, so the start may take as long as the host makes it take
    require(times[1] < times[0], f"a start with compiled kernels took {times[1]:.0f} s, without them {times[0]:.0f} s")
    return {"compiled": compiled[0], "cold_ready_s": round(times[0], 1), "warm_ready_s": round(times[1], 1)}


def contracts(bench: Bench) -> Figures:
    """Run the suites of cameras, buttons and lights against this kernel."""
    run("systemctl", "stop", UNIT)
    environ = {
        "PYTHONPATH": "/opt/test-tools",
        "PYTHONDONTWRITEBYTECODE": "1",
        "EDGE_APP_TEST_VIVID": "vivid.0",
        "EDGE_APP_TEST_V4L2": "/dev/video0",
        "EDGE_APP_TEST_GPIO": f"{bench.lines.chip},{bench.lines.folder}",
    }
    suites = (
        "test_live_camera_contract.py",
        "test_buttons_contract.py",
        "test_kernel_devices.py",
        "test_kernel_lines.py",
    )
    said = run(
        "env", "--chdir=/opt/material", *(f"{name}={value}" for name, value in environ.items()),
        PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tb=short", "-rsf",
        "-k", "v4l2-device or gpio-chip or kernel",
        *(f"tests/devices/{name}" for name in suites),
    )  # fmt: skip
    found = re.search(r"(\d+) passed", said)
    require(found and "skipped" not in said.splitlines()[-1], f"all of the suites run, none is skipped: {said[-1500:]}")
    run("systemctl", "start", UNIT)
    return {"tests": int(found.group(1)) if found else 0}


def history_clock(bench: Bench) -> Figures:
    """Set the clock back by a day, see something, and set it right again."""
    before = bench.visits()
    mark, start, now = bench.journal.mark(), time.monotonic(), time.time()
    run_s = uptime_s() - int(bench.service.get("ExecMainStartTimestampMonotonic")) / 1e6
    earlier = sum(visit["begin_ms"] / 1000 < now - run_s for visit in before)
    try:
        run("date", "-s", f"@{now - DAY_S:.3f}")
        bench.camera.show(RED)
        bench.journal.wait(r"history_clock jump_s=-86\d{3}", mark)
        during = bench.visits()
    finally:
        run("date", "-s", f"@{now + time.monotonic() - start:.3f}")
    bench.camera.show(CHECKERS)
    bench.journal.wait(r"history_clock jump_s=86\d{3}", mark)
    time.sleep(VISIT_S)
    bench.camera.show(RED)
    after = bench.visits()
    require(during[:earlier] == after[:earlier] == before[:earlier], "the visits of earlier runs do not change")
    last = before[-2]  # the last one may still go on
    for found, shift_s, clock in ((during, -DAY_S, "doubtful"), (after, 0, "unchecked")):
        same = found[before.index(last)]
        require(same["seconds"] == last["seconds"], f"it lasted as long as before: {last} {same}")
        off_s = (same["begin_ms"] - last["begin_ms"]) / 1000 - shift_s
        require(abs(off_s) < 2, f"the visit follows the clock: {last} {same}")
        require(found[-1]["clock"] == clock, f"how sure the time is: {found[-1]}, expected {clock}")
        require(in_order(found[earlier:]), f"the visits of this run are in their order: {found[earlier:]}")
    require([one["id"] for one in after[: len(before)]] == [one["id"] for one in before], "no visit is lost")
    return {"visits": len(after), "clock": f"{during[-1]['clock']}, then {after[-1]['clock']}"}


def output(bench: Bench) -> Figures:
    """Kill the service while an output is on."""
    bench.look_at(RED)
    bench.wait_lights("cup", "cat")
    time.sleep(VISIT_S)
    mark, restarts = bench.journal.mark(), bench.service.restarts
    bench.camera.show(CHECKERS)
    wait_until(lambda: bench.lines.lit("door"), "the output is on")
    start = time.monotonic()
    os.kill(bench.service.pid, signal.SIGKILL)
    wait_until(lambda: not bench.lines.lit("door"), "the kernel has released the line: it has its pull-down's level")
    released_s = time.monotonic() - start
    bench.journal.wait("status=9/KILL", mark)
    wait_until(lambda: bench.service.restarts > restarts, "the service is started again")
    bench.camera.show(RED)
    bench.service.wait_ready()
    require(not bench.lines.lit("door"), "the output has its level of the start")
    bench.wait_lights("cup", "cat")
    return {"released_s": round(released_s, 2), "ready_s": round(time.monotonic() - start, 1)}


def places(bench: Bench) -> Figures:
    """Divide the picture, add a second camera, pull the first one's plug, and kill the process."""
    before, text = bench.stored(), CONFIG.read_text()
    CONFIG.write_text(text.replace("\n#places = {}", '\nplaces = { cup = "right" }', 1) + PLACES)
    start = time.monotonic()
    try:
        said = run(APP, "check-config", str(CONFIG))
        require("right: 50% x 100% at 50%, 0% of the camera 'camera'" in said, f"the places are explained: {said}")
        run("systemctl", "restart", UNIT)
        bench.service.wait_ready()
        require(bench.stored() == before, "what the device knew is what its first place knows")
        bench.look_at(CHECKERS)
        mark = bench.journal.mark()
        bench.lines.press("cup")
        bench.journal.wait(r"learnt label=cup example=1 .*place=right group=right", mark)
        goes_on_s = _goes_on(bench)
        bench.look_at(RED)
        bench.teach("cat")
        restarts = bench.service.restarts
        os.kill(bench.service.pid, signal.SIGKILL)
        wait_until(lambda: bench.service.restarts > restarts, "the service is started again")
        bench.service.wait_ready()
        require([one["label"] for one in bench.stored("right")] == ["cup"], "what the second group learnt is there")
        require(bench.stored()[:-1] == before, "what the first group learnt is there")
    finally:
        CONFIG.write_text(text)
        run("systemctl", "restart", UNIT)
    bench.service.wait_ready()
    require(bench.stored()[:-1] == before, "without places the device knows what its first group knew")
    return {"other_camera_s": round(goes_on_s, 1), "all_s": round(time.monotonic() - start, 1)}


def _goes_on(bench: Bench) -> float:
    """Unplug the first camera and plug it in again; return how long it took to see that the other's place goes on."""

    def lasted_s() -> float:
        return sum(visit["seconds"] for visit in bench.visits("other"))

    mark, start = bench.journal.mark(), time.monotonic()
    with bench.camera.unplugged():
        bench.journal.wait("camera_fault .*name=camera", mark)
        seen_s = lasted_s()
        # visits that go on are stored every ten seconds
        wait_until(lambda: lasted_s() > seen_s + 5, "the place of the other camera goes on")
        took_s = time.monotonic() - start
    bench.journal.wait("camera_reopened .*name=camera", mark)
    return took_s


SCENARIOS = (
    Scenario("reboot", "a second boot on the same disks: what was taught is known", reboot, needed=True),
    Scenario("camera", "the camera unbound and bound again through sysfs: it recovers", camera),
    Scenario("lines", "the GPIO chip removed: reported; it recovers", lines),
    Scenario("output", "kill -9 while an output is on: the line is released, and off after the restart", output),
    Scenario("frozen", "the process stopped by SIGSTOP: the watchdog restarts it in time", frozen),
    Scenario("disk full", "the history stops first, teaching last; lights, status and log say so", disk_full),
    Scenario("history clock", "the clock set back by a day: visits and durations stay, doubt is told", history_clock),
    Scenario("places", "three places, two cameras: one unplugged, kill -9; both groups know what they did", places),
    Scenario("memory", "the memory limit hit: restarted with nothing lost", memory),
    Scenario("sandbox", "the unit denies what it claims to", sandbox),
    Scenario("cold start", "started without a part of numba's cache, and with all of it", cold),
    Scenario("drivers", "the contract suites of the drivers, debouncing and bias on this kernel", contracts),
)
