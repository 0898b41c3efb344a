"""The first day: installed, started, taught, corrected, stopped."""

import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from bench import (
    APP,
    CACHE,
    LIMIT_S,
    PYTHON,
    STATE,
    UNIT,
    Bench,
    require,
    require_flashes,
    rested,
    run,
    uptime_s,
    wait_until,
)
from scenario import Figures, Scenario

from devices import CAMERA, CHECKERS, RED, Flashes

CONFIG = Path("/etc/edge-app/config.toml")
SETTINGS = {
    "camera": {"uri": f'"v4l2:{CAMERA}?size=320x180,fps=5"'},
    "buttons": {"uri": '"gpio:bench?cup=0,cat=1,undo=2"'},
    "lights": {"uri": '"gpio:bench?cup=3,cat=4,status=5"'},
    "outputs": {"uri": '"gpio:bench?door=6"'},
    "web": {"enabled": "true", "loopback_role": '"none"'},
}
"""Settings that a person would write into the file that install-service made."""
RULES = """
[[rules]]
name = "door"
label = "cat"
when = "held"
for_s = 8
output = "door"
pulse_ms = 3000
"""
"""`for_s` is many decisions of an emulated processor, which makes one or two a second: a flicker lasts less."""
LEARNT, UNDONE = 1, 2
"""Flashes of the status light; docs/buttons.md."""
HOLD_S = 8.0
"""A pattern that is shown for less makes no pulse."""
VISIT_S = 6.0
"""Time for some decisions of an emulated processor: until a visit begins or ends."""
FLICKERS = 3
PAGE = "http://127.0.0.1:8765"
TAUGHT, SEEN = Path("/root/taught.json"), Path("/root/seen.json")
"""The examples and the visits stored at the end of the day, for the days after."""
STOP_S = 10.0
"""TimeoutStopSec of the unit: systemd would kill what takes longer."""


def install(bench: Bench) -> Figures:
    """Install the wheel by pip without a network, and the service by edge-app itself."""
    start = time.monotonic()
    run(PYTHON, "-m", "pip", "install", "-q", "--no-index", "--no-deps", *map(str, Path("/opt/material").glob("*.whl")))
    wheel_s = time.monotonic() - start
    require("No broken" in run(PYTHON, "-m", "pip", "check"), "pip check finds all that the wheel needs")
    start = time.monotonic()
    said = run(APP, "install-service")
    require("installed; now: edit" in said, f"install-service says what to do next: {said}")
    service_s = time.monotonic() - start
    require(list(Path(CACHE).rglob("*.nbc")), f"install-service left compiled kernels in {CACHE}")
    require(Path(STATE).owner() == "edge-app", f"{STATE}, a disk of its own, belongs to the service's user")
    wait_until(lambda: Path(bench.lines.chip).group() == "gpio", "the udev rule gives the chip to the group gpio")
    CONFIG.write_text(_edited(CONFIG.read_text()))
    said = run(APP, "check-config", str(CONFIG))
    expected = 'When "cat" has been in view for 8 s: switch "door" on for 3000 ms'
    require(expected in said, f"the rule is explained: {said}")
    return {"wheel_s": round(wheel_s, 1), "install_service_s": round(service_s, 1)}


def _edited(text: str) -> str:
    """Return the configuration with the settings: each key's comment made a line that counts."""
    for section, keys in SETTINGS.items():
        start = text.index(f"[{section}]\n")
        for key, value in keys.items():
            place = text.index(f"\n#{key} = ", start) + 1
            text = f"{text[:place]}{key} = {value}{text[text.index(chr(10), place) :]}"
    return text + RULES


def ready(bench: Bench) -> Figures:
    """Start it as a person would."""
    run("systemctl", "enable", "--now", UNIT)
    bench.service.wait_ready()
    require(bench.service.restarts == 0, "it came up at the first attempt")
    loaded = bench.journal.wait("loaded .*", 0).group(0)
    require("compiled=0" in loaded, f"the service uses the kernels that install-service compiled: {loaded}")
    found = re.search(r'runtime="([^"]+)"', loaded)
    return {"ready_s": round(bench.service.seconds(), 1), "runtime": found.group(1) if found else loaded}


def decides(bench: Bench) -> Figures:
    """See a rate in the status text."""
    found = wait_until(
        lambda: re.search(r"([\d.]+) frames/s", bench.service.get("StatusText")), "the status text has a rate"
    )
    require(float(found.group(1)) > 0, "frames are decided on")
    return {"frames_per_s": float(found.group(1)), "memory_mb": round(int(bench.service.get("MemoryCurrent")) / 1e6)}


def teaches(bench: Bench) -> Figures:
    """Press while red is shown, and show something else at once."""
    bench.look_at(RED)
    mark = bench.journal.mark()
    with Flashes(bench.lines) as flashes:
        bench.lines.down("cup")
        # a frame that was begun before the press may still be drawn
        time.sleep(0.1)
        bench.camera.show(CHECKERS)
        time.sleep(0.15)
        bench.lines.up("cup")
        found = bench.journal.wait(r"learnt label=cup example=1 .*frame_age_ms=([\d.]+) ms=([\d.]+)", mark)
        require_flashes(flashes, LEARNT)
    (example,) = bench.stored()
    red, green, blue = example["colour"]
    require(red > 2 * max(green, blue), f"the frame that was taught is the red one: its mean is {example['colour']}")
    bench.camera.show(RED)
    wait_until(lambda: bench.lines.lit("cup"), "the light of the class is on while it is shown")
    return {"frame_age_ms": float(found.group(1)), "learnt_after_ms": float(found.group(2))}


def apart(bench: Bench) -> Figures:
    """Teach the other pattern, and show both in turn."""
    bench.look_at(CHECKERS)
    bench.teach("cat")
    return {"light_follows_s": bench.tells_apart()}


def rules(bench: Bench) -> Figures:
    """Let the taught pattern flicker, and then appear."""
    bench.look_at(RED)
    bench.wait_lights("cup", "cat")
    # until a visit of the other pattern is over, and with it the pulse that it made
    time.sleep(VISIT_S)
    wait_until(lambda: not bench.lines.lit("door"), "the output is off at rest")
    shown_s = []
    with Flashes(bench.lines, "door") as pulses:
        for _ in range(FLICKERS):
            start = time.monotonic()
            bench.camera.show(CHECKERS)
            time.sleep(0.25)
            bench.camera.show(RED)
            shown_s.append(time.monotonic() - start)
            time.sleep(VISIT_S)
            bench.wait_lights("cup", "cat")
    # on a machine that stood still the pattern was shown for long, and is no flicker
    require(pulses.count == 0 or max(shown_s) > HOLD_S, f"{FLICKERS} flickers made {pulses.count} pulses")
    mark, start = bench.journal.mark(), time.monotonic()
    with Flashes(bench.lines, "door") as pulses:
        bench.camera.show(CHECKERS)
        bench.journal.wait("rule_fired rule=door label=cat", mark)
        wait_until(lambda: bench.lines.lit("door"), "the output is on")
        seconds = time.monotonic() - start
        wait_until(lambda: not bench.lines.lit("door"), "the pulse is over")
        pulses.settled()
    require(pulses.count == 1, f"the pattern made {pulses.count} pulses, expected 1")
    return {"flickers": FLICKERS, "pulse_after_s": round(seconds, 2), "longest_flicker_ms": round(1000 * max(shown_s))}


def undo(bench: Bench) -> Figures:
    """Take the second class back, and teach it again."""
    before = bench.stored()
    bench.camera.show(CHECKERS)
    mark = bench.journal.mark()
    with Flashes(bench.lines) as flashes:
        bench.lines.press("undo")
        bench.journal.wait("undone .*action=teach", mark)
        require_flashes(flashes, UNDONE)
    require(bench.stored() == before[:-1], "the last example is gone, and nothing else")
    bench.wait_lights(None, "cat")
    bench.look_at(CHECKERS)
    bench.teach("cat")
    bench.tells_apart()
    return {}


def page(bench: Bench) -> Figures:
    """Ask the API on loopback: without a token, with a wrong one, with a right one."""
    making = f"from edge_app.web.tokens import Path, Tokens; print(Tokens(Path('{STATE}/tokens.json')).make('view'))"
    token = run(PYTHON, "-c", making, user="edge-app").strip()
    for wrong in ("", "edge-wrong"):
        status, _ = _get("/api/v1/state", wrong)
        require(status == 401, f"without a right token the state is refused; the status was {status}")
    start = time.monotonic()
    status, text = _get("/api/v1/state", token)
    answered_s = time.monotonic() - start
    state = json.loads(text)
    require(status == 200 and "cup" in state["classes"], f"the state with a token: {status} {text[:500]}")
    status, text = _get("/", "")
    require(status == 200 and "<html" in text.lower(), f"the page itself comes: {status}")
    listening = [line.split()[3] for line in run("ss", "-Hltn").splitlines()]
    require(listening == ["127.0.0.1:8765"], f"it listens on loopback alone: {listening}")
    return {"answered_ms": round(1000 * answered_s)}


def _get(path: str, token: str) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(PAGE + path, headers=headers), timeout=LIMIT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def clock(bench: Bench) -> Figures:
    """Set the clock back by years, teach, and forward again."""
    now = time.time()
    before = [example["label"] for example in bench.stored()]
    restarts = bench.service.restarts
    try:
        for years in (-6, 6):
            run("date", "-s", f"@{int(now + years * 365.25 * 86400)}")
            bench.look_at(CHECKERS)
            bench.teach("cat")
            bench.tells_apart()
    finally:
        run("date", "-s", f"@{int(now + 30)}")
    labels = [example["label"] for example in bench.stored()]
    require(labels == [*before, "cat", "cat"], f"what was taught is in the order of teaching: {labels}")
    require(bench.service.restarts == restarts, "the service went on")
    return {}


def stop(bench: Bench) -> Figures:
    """Stop it as systemd does at a shutdown, right after a press: the stages have 3 s to learn it."""
    before = bench.stored()
    bench.look_at(RED)
    mark, since = bench.journal.mark(), time.time()
    bench.lines.down("cup")
    if rested():
        time.sleep(0.5)  # the press is on its way, and perhaps not learnt yet
    else:
        bench.journal.wait("learnt label=cup", mark)
    start = time.monotonic()
    run("systemctl", "stop", UNIT)
    seconds = time.monotonic() - start
    bench.lines.up("cup")
    bench.journal.wait("stopped reason=SIGTERM", mark)
    found = bench.service.show("Result", "ExecMainStatus")
    require(found == {"Result": "success", "ExecMainStatus": "0"}, f"it ended by itself: {found}")
    require(seconds < STOP_S, f"it took {seconds:.1f} s")
    snapshots = [path for path in Path(STATE, "snapshots").iterdir() if path.stat().st_mtime >= since - 1]
    require(snapshots, "a snapshot of the network was saved at the stop")
    stored = bench.stored()
    require(len(stored) == len(before) + 1, "what was pressed before the stop is learnt")
    TAUGHT.write_text(json.dumps(stored))
    visits = bench.visits()
    labels = {visit["label"] for visit in visits if not visit["open"] and visit["picture"]}
    require({"cup", "cat"} <= labels, f"the history has visits of both classes, with pictures: {visits}")
    require(in_order(visits), f"visits are in their order, though the clock was set meanwhile: {visits}")
    SEEN.write_text(json.dumps(visits))
    return {"stop_s": round(seconds, 1), "visits": len(visits)}


def in_order(visits: list[dict[str, Any]]) -> bool:
    """Return whether the times of visits of one run, the oldest first, rise, and none lasted longer than the run."""
    begins = [visit["begin_ms"] for visit in visits]
    return begins == sorted(begins) and all(0 <= visit["seconds"] <= uptime_s() for visit in visits)


SCENARIOS = (
    Scenario("install", "wheel by pip offline, service by edge-app install-service", install, needed=True),
    Scenario("ready", "READY with camera and lines under the unit as shipped", ready, needed=True),
    Scenario("decides", "frames are decided on", decides),
    Scenario("teaches", "a press teaches the frame of that moment, the lights answer", teaches, needed=True),
    Scenario("tells apart", "two classes taught on two test patterns are told apart", apart, needed=True),
    Scenario("rules", "a pulse on an output when a taught pattern appears, none when it flickers", rules),
    Scenario("undo", "undo by button", undo),
    Scenario("page", "the page answers on loopback, and refuses without a token", page),
    Scenario("clock", "the clock set back and forward by years: nothing breaks", clock),
    Scenario("stop", "SIGTERM stops in time, with state and history saved", stop, needed=True),
)
