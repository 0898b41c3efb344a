"""`python -m benchmarks.power_cut`: kill -9 the real `edge-app run` while it is being taught; is anything lost?

Simulated buttons press several times a second, and undo now and then. The process is killed at a seeded random moment:
mostly while it learns, also while it starts and while it stops. After each kill the state must hold exactly what was
acknowledged in its log ("learnt", "undone"), except for the one action in progress; every checksum of the
database must be right; and the network after a start must equal a replay of the whole journal, to the bit. The history
must be whole too: every visit that was stored before is still there, and none is half written. Rules are on: one
switches an output, one sends each new visit with its picture to a receiver that fails now and then. Every message that
was queued for more than a second before a kill has arrived or still waits, and no id comes with two contents.
"""

import argparse
import base64
import json
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from benchmarks.rules import QUEUED_S, Receiver
from edge_app import machine
from edge_app.datasets.pictures import decode_thumbnail
from edge_app.encoder.model import load_manifest
from edge_app.errors import EdgeAppError
from edge_app.history.records import StoredVisit
from edge_app.history.store import HistoryStore
from edge_app.learner import Learner
from edge_app.learner.replay import Trained, replay
from edge_app.learner.state import open_parts
from edge_app.rules.queue import FILE as QUEUE
from edge_app.storage.folder import database_path, history_path, snapshots_path
from edge_app.storage.snapshots import Snapshots
from edge_app.storage.store import Store

RESULTS = Path(__file__).resolve().parent / "results"
CAMERA = "sim:scene=shapes,size=96x64,fps=100"
FAILING = 0.3
"""Share of requests that the receiver refuses, so that kills find messages that wait."""
CONFIG = """
[outputs]
uri = "sim:lamp"

[[webhooks]]
name = "receiver"
url = "http://127.0.0.1:{port}/"
allow_private = true
picture = true
queue = 10000

[[rules]]
name = "comes"
webhook = "receiver"
per_hour = 3600

[[rules]]
name = "goes"
when = "left"
webhook = "receiver"
per_hour = 3600

[[rules]]
name = "lamp"
label = "disc"
output = "lamp"
per_hour = 3600
"""
PLACES = """
[buttons]
places = { ring = "shelf", cross = "shelf" }

[[places]]
name = "gate"
region = [0.0, 0.0, 0.5, 1.0]

[[places]]
name = "shelf"
region = [0.5, 0.0, 0.5, 1.0]
"""
"""With --two-groups: each place has a state of its own, and two of the buttons teach in the second."""
NAMES = ("disc", "square", "ring", "cross")
PRESS_EVERY_S = 0.04
LAST_PRESS_S = 12.0
UNDO_EVERY = 6
BURST, PAUSE_S = 25, 1.5
"""After so many presses there are none for a while: a label holds, and a visit begins."""
A_FOLDER = 25
"""Kills of one state folder, before the next one is made."""
STORED_FIRST = 450
"""Examples in a fresh folder, without a snapshot: the first is due at 500, while the folder is in use."""
LEARNING_S, RECORDING_S, STARTING_S, STOPPING_S = 0.6, 9.0, 1.5, 0.4
"""Longest time to the kill; recording: long enough for batches of visits, which wait for presses for two seconds."""
START_TIMEOUT_S = 600.0

PHASES = ("learning", "recording", "starting", "stopping")
Phase = Literal["learning", "recording", "starting", "stopping"]


class Loss(Exception):
    """The state after a kill is not what was acknowledged."""


class NotStarted(Exception):
    """The device was not ready in time: the machine is too busy, or the device is broken."""


class Kill(NamedTuple):
    """One process that was killed."""

    phase: Phase
    after_s: float
    """From the first example learnt (learning, recording), from the start, or from SIGTERM."""
    acknowledged: int
    """Examples that this process said it has learnt."""
    undone: int
    in_flight: str
    """The change that was stored but not acknowledged: none, an example, or an undo."""
    visits: int
    """Visits that it has stored."""
    fired: int
    """Messages that it has made for the webhook."""
    switched: int
    """Times that a rule switched the output on."""
    due: int
    """Those of its messages that were made more than a second before the kill."""
    waiting: int
    """Messages that wait in the queue after the kill."""


class DeviceProcess:
    """`edge-app run` as a process; what it acknowledges is collected by a thread."""

    def __init__(self, folder: Path, config: Path) -> None:
        options = ["--config", str(config), "--state", str(folder), "--camera", CAMERA, "--buttons", buttons()]
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "edge_app", "run", *options], stderr=subprocess.PIPE, text=True
        )
        self.said: list[tuple[str, int | None]] = []
        """Group ("" where there is one) and number of each example as it was learnt; None for an undo."""
        self.words: list[str] = []
        self.fired: dict[str, float] = {}
        """Id of each message for the webhook -> when its rule said that it fired, time.monotonic()."""
        self.switched = 0
        self.killed_at = 0.0
        self._learnt = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as said:
            for line in said:
                self.words.append(line)
                learnt = re.search(r" learnt +label=.* example=(\d+) ", line)
                if learnt or re.search(r" undone +examples=", line):
                    group = re.search(r" group=(\w+)", line)
                    self.said.append((group[1] if group else "", int(learnt[1]) if learnt else None))
                    self._learnt.set()
                if fired := re.search(r" rule_fired +rule=(\w+) .*id=(\w+)", line):
                    if fired[1] == "lamp":
                        self.switched += 1
                    else:
                        self.fired[fired[2]] = time.monotonic()
        self._learnt.set()

    def wait_until_it_learns(self) -> None:
        """Return with the first acknowledgement. Raises NotStarted when there is none."""
        if not self._learnt.wait(START_TIMEOUT_S) or not self.said:
            self.kill()
            raise NotStarted(f"the device did not start within {START_TIMEOUT_S:g} s: {''.join(self.words[-20:])}")

    def kill(self) -> None:
        """Kill it, and read the rest of its output."""
        self.process.kill()
        self.killed_at = time.monotonic()
        self.process.wait()
        self._reader.join()


def buttons() -> str:
    """Return the URI of buttons that are pressed all the time: the classes in turn, and sometimes undo."""
    times: dict[str, list[str]] = {name: [] for name in (*NAMES, "undo")}
    for number in range(int(LAST_PRESS_S / PRESS_EVERY_S)):
        name = "undo" if number % UNDO_EVERY == UNDO_EVERY - 1 else NAMES[number % len(NAMES)]
        times[name].append(f"{PRESS_EVERY_S * (number + 1) + PAUSE_S * (number // BURST):.2f}")
    return "sim:" + ",".join(f"{name}@{'+'.join(moments)}" for name, moments in times.items())


def main() -> int:
    """Run; 0 when nothing was lost, 1 when something was, or when the device did not start any more."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.power_cut", description=__doc__)
    parser.add_argument("--kills", type=int, default=500, metavar="N", help="processes killed (default: 500)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default: 1)")
    parser.add_argument("--two-groups", action="store_true", help="two places, each with a state of its own")
    parser.add_argument("--out", type=Path, metavar="FILE", help="result, JSON (default: in benchmarks/results)")
    args = parser.parse_args()
    out: Path = args.out or RESULTS / ("power_cut_two_groups.json" if args.two_groups else "power_cut.json")
    start = time.monotonic()
    kills: list[Kill] = []
    losses: list[str] = []
    asked = {"kills": args.kills, "seed": args.seed, "camera": CAMERA, "press_every_s": PRESS_EVERY_S, "burst": BURST}
    asked["groups"] = 2 if args.two_groups else 1
    out.parent.mkdir(parents=True, exist_ok=True)

    def write() -> str:  # anew after each kill, so that a run that is cut short leaves what it has found
        seconds = round(time.monotonic() - start)
        more = {"losses": losses, "asked": [asked], "seconds": seconds, "machine": machine.describe()}
        text = json.dumps(summarise(kills) | more, indent=1) + "\n"
        out.write_text(text)
        return text

    with tempfile.TemporaryDirectory(prefix="edge-app-power-cut-") as folder:
        try:
            for kill in cut(Path(folder), args.kills, args.seed, two_groups=args.two_groups):
                kills.append(kill)
                write()
                sys.stderr.write(f"\r{len(kills)} of {args.kills}: {kill}".ljust(150))
        except (Loss, EdgeAppError) as error:
            losses.append(f"after kill {len(kills)}: {error}")
        except NotStarted as error:
            sys.stderr.write(f"\nended early: {error}")
    sys.stderr.write("\n")
    sys.stdout.write(write())
    return 1 if losses or len(kills) < args.kills else 0


def cut(folder: Path, kills: int, seed: int, *, two_groups: bool = False) -> Iterator[Kill]:
    """Kill so many processes, one after another, in state folders under `folder`; yield each. Raises Loss."""
    random = np.random.default_rng(seed)
    stored: dict[str, list[int]] = {}
    visits: dict[str, dict[int, StoredVisit]] = {}
    waiting: dict[str, bytes] = {}
    receiver = Receiver(seed)
    receiver.failing = FAILING
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    config = folder / "config.toml"
    config.write_text(CONFIG.format(port=receiver.server_port) + PLACES * two_groups)
    for number in range(kills):
        state = folder / f"state-{number // A_FOLDER}"
        groups = {"gate": state, "shelf": state / "groups" / "shelf"} if two_groups else {"": state}
        if not state.exists():
            stored = {group: fill(one, int(random.integers(1 << 30))) for group, one in groups.items()}
            visits, waiting = {group: {} for group in groups}, {}
        device = DeviceProcess(state, config)
        try:
            phase, after_s = kill_sometime(device, random)
        finally:
            device.kill()
        more, started = 0, list[str]()
        for group, one in groups.items():
            said = [number for told, number in device.said if told == group]
            stored[group], unsaid = check_acknowledged(one, stored[group], said)
            started.append(unsaid)
            check_network(one)
            before = len(visits[group])
            visits[group] = check_history(one, visits[group])
            more += len(visits[group]) - before
        in_flight = next((one for one in started if one != "nothing"), "nothing")
        due = {one for one, at in device.fired.items() if device.killed_at - at > QUEUED_S}
        waiting = check_queue(state, waiting, due, receiver)
        learnt = sum(number is not None for _, number in device.said)
        undone, fired = len(device.said) - learnt, len(device.fired)
        taught = phase, round(after_s, 4), learnt, undone, in_flight
        yield Kill(*taught, more, fired, device.switched, len(due), len(waiting))
    receiver.shutdown()
    receiver.server_close()


def kill_sometime(device: DeviceProcess, random: np.random.Generator) -> tuple[Phase, float]:
    """Choose a moment and wait for it; return what the device was doing, and how long after the beginning of that."""
    choice = random.random()
    if choice < 0.1:
        after_s = random.uniform(0, STARTING_S)
        time.sleep(after_s)
        return "starting", after_s
    device.wait_until_it_learns()
    if choice < 0.9:
        phase: Phase = "learning" if choice < 0.6 else "recording"
        after_s = random.uniform(0, LEARNING_S if phase == "learning" else RECORDING_S)
        time.sleep(after_s)
        return phase, after_s
    after_s = random.uniform(0, STOPPING_S)
    device.process.send_signal(signal.SIGTERM)
    time.sleep(after_s)
    return "stopping", after_s


def fill(folder: Path, seed: int) -> list[int]:
    """Make a state folder with examples in it; return their numbers."""
    manifest = load_manifest()
    random = np.random.default_rng(seed)
    centres = random.integers(0, 60, (len(NAMES), manifest.embedding_size))
    with Learner.open(folder, manifest) as learner:
        for number in range(STORED_FIRST):  # an action each: a press of undo takes one back
            values = random.poisson(centres[number % len(NAMES)]).clip(0, 255).astype(np.uint8)
            learner.teach(values, NAMES[number % len(NAMES)], source="power cut")
        stored = [example.id for example in learner.examples()]
    # closing the learner has written one
    Snapshots(snapshots_path(folder)).clear()
    return stored


def check_acknowledged(folder: Path, before: list[int], said: list[int | None]) -> tuple[list[int], str]:
    """Return what is stored, and what of it was not acknowledged. Raises Loss, StateCorrupt."""
    expected = list(before)
    for example in said:
        if example is None:
            # an undo takes back the newest action, and each action here is one example
            expected.pop()
        else:
            expected.append(example)
    with Store.open(database_path(folder)) as store:
        store.check()
        found = [example.id for example in store.examples()]
    with closing(sqlite3.connect(database_path(folder))) as db:  # numbers are never used twice: the last one tells
        last = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'examples'").fetchone()[0]
    if last < max(expected):
        raise Loss(f"example {max(expected)} was acknowledged, and was never stored: the last one stored is {last}")
    if found == expected:
        return found, "nothing"
    # stored before the kill, but its log line did not get out: at most one action can be in this state
    if found[:-1] == expected and found[-1] > max(expected):
        return found, "example"
    if found == expected[:-1]:
        return found, "undo"
    missing = sorted(set(expected) - set(found))
    raise Loss(f"acknowledged and missing: {missing}; stored and unexpected: {sorted(set(found) - set(expected))}")


def check_network(folder: Path) -> None:
    """Raise Loss unless the network after a start equals a replay of the whole journal."""
    manifest = load_manifest()
    with Learner.open(folder, manifest, read_only=True) as learner:
        started = learner.network_state()
    parts = open_parts(folder, manifest, read_only=True)
    with parts.store as store:
        trained = Trained(parts.factory.new())
        replay(trained, parts.rate_code, store.journal, store.count_presentations())
    if trained.network.snapshot() != started:
        raise Loss("the network that a start comes to is not that of a clean replay")


def check_history(folder: Path, before: dict[int, StoredVisit]) -> dict[int, StoredVisit]:
    """Return the visits that are stored, by their numbers. Raises Loss if one is gone, changed or half written."""
    path = history_path(folder)
    if not path.exists():
        if before:
            raise Loss("the history is gone")
        return {}
    with closing(sqlite3.connect(path)) as db:
        problems = [*db.execute("PRAGMA integrity_check"), *db.execute("PRAGMA foreign_key_check")]
        sums = "SELECT picture_bytes, (SELECT SUM(length(jpeg) + length(embedding)) FROM pictures) FROM totals"
        kept, counted = db.execute(sums).fetchone() if problems == [("ok",)] else (0, 0)
    if problems != [("ok",)] or (counted or 0) != kept:
        raise Loss(f"the history is damaged: {problems[:3]}, {kept} bytes of pictures expected, {counted} found")
    with HistoryStore.reader(path) as store:
        visits = {one.id: one for one in store.visits()}
        for one in visits.values():
            if one.frames < 1 or one.duration_ns < 0 or (one.picture and not _whole(store, one.id)):
                raise Loss(f"half written: {one}")
    for number, one in before.items():
        now = visits.get(number)
        # one that was open may have gone on
        if now is None or (now != one and not one.open):
            raise Loss(f"visit {number} was stored as {one}, and is {now}")
    return visits


def check_queue(folder: Path, before: dict[str, bytes], due: set[str], receiver: Receiver) -> dict[str, bytes]:
    """Return the messages that wait, by id; forget those that arrived.

    Raises Loss if one that waited before, or one of `due`, neither arrived nor waits, or if one is half written.
    """
    waiting = _queued(folder / QUEUE)
    with receiver.lock:
        arrived, receiver.arrived = receiver.arrived, {}
    if missing := (before.keys() | due) - waiting.keys() - arrived.keys():
        raise Loss(f"messages were queued, and neither arrived nor wait: {sorted(missing)}")
    for number in waiting.keys() | arrived.keys():
        bodies = arrived.get(number, set()) | {found[number] for found in (before, waiting) if number in found}
        if len(bodies) > 1:
            raise Loss(f"message {number} has two contents")
        event = json.loads(bodies.pop())
        if event["id"] != number or not decode_thumbnail(base64.b64decode(event["data"]["picture"])).size:
            raise Loss(f"message {number} is half written")
    return waiting


def _queued(path: Path) -> dict[str, bytes]:
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as db:
        if (problems := db.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
            raise Loss(f"the queue of the webhook is damaged: {problems[:3]}")
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'messages'").fetchone():  # killed while it started
            return {}
        return dict(db.execute("SELECT id, body FROM messages"))


def _whole(store: HistoryStore, visit: int) -> bool:
    return bool(decode_thumbnail(store.picture(visit) or b"").size) and bool(store.embedding(visit))


def summarise(kills: list[Kill]) -> dict[str, Any]:
    """Return the number of kills of each kind, and the changes they interrupted."""
    return {
        "kills": len(kills),
        "phases": {phase: sum(kill.phase == phase for kill in kills) for phase in PHASES},
        "acknowledged": sum(kill.acknowledged for kill in kills),
        "undone": sum(kill.undone for kill in kills),
        "visits": sum(kill.visits for kill in kills),
        "messages": sum(kill.fired for kill in kills),
        "messages_due": sum(kill.due for kill in kills),
        "kills_with_messages_waiting": sum(kill.waiting > 0 for kill in kills),
        "output_switched": sum(kill.switched for kill in kills),
        "in_flight": {what: sum(kill.in_flight == what for kill in kills) for what in ("nothing", "example", "undo")},
    }


if __name__ == "__main__":
    sys.exit(main())
