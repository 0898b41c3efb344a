"""After the power cuts: each disk is mounted, checked, and opened by edge-app; with the last one the device starts."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from bench import APP, GUEST, PYTHON, STATE, Bench, require, run
from scenario import Figures, Scenario

FOUND = Path("/mnt")
TOLD = Path("/opt/material/cuts.json")
"""The visits that were stored before the cuts, and what each life acknowledged."""


def sound(bench: Bench) -> Figures:
    """Compare what is on each disk with what was acknowledged before its cut."""
    told = json.loads(TOLD.read_text())
    cuts, visits = told["cuts"], told["visits"]
    folders = [FOUND / f"cut{number}" for number in range(len(cuts))]
    for number, folder in enumerate(folders):
        device = f"/dev/disk/by-id/virtio-cut{number}"
        folder.mkdir(exist_ok=True)
        run("mount", "-t", "ext4", "-o", "rw,noatime", device, str(folder))  # replays the journal, as a boot does
        run("umount", str(folder))
        run("e2fsck", "-fn", device)
        run("mount", "-t", "ext4", "-o", "rw,noatime", device, str(folder))
    said = run(PYTHON, f"{GUEST}/reopen.py", *map(str, folders), user="edge-app")
    opened = [json.loads(line.removeprefix("STATE ")) for line in said.splitlines() if line.startswith("STATE ")]
    require(len(opened) == len(cuts), f"every state can be opened: {said[-3000:]}")
    wrong: list[str] = []
    for number, (folder, cut, state) in enumerate(zip(folders, cuts, opened, strict=True)):
        wrong += [f"cut {number}: {reason}" for reason in _amiss(folder, cut["acknowledged"], visits, state)]
        run("umount", str(folder))
    require(not wrong, "; ".join(wrong))
    more = [len(state["visits"]) - len(visits) for state in opened]
    return {"cuts": len(cuts), "acknowledged": [len(cut["taught"]) for cut in cuts], "new_visits": more}


def _amiss(folder: Path, acknowledged: list[list[object]], visits: list[int], state: dict[str, Any]) -> list[str]:
    wrong = []
    for name in ("examples.sqlite", "history.sqlite"):
        with closing(sqlite3.connect(folder / name)) as db:
            integrity = [row[0] for row in db.execute("PRAGMA integrity_check")]
        wrong += [] if integrity == ["ok"] else [f"{name} says {integrity}"]
    wrong += [f"visit {known} was stored and is not there" for known in visits if known not in state["visits"]]
    wrong += [f"visit {torn} is half written" for torn in state["torn_visits"]]
    stored = state["examples"]
    wrong += [f"example {known} was acknowledged and is not there" for known in acknowledged if known not in stored]
    beyond = len(stored) - len(acknowledged)
    wrong += [f"{beyond} examples more than were acknowledged"] if beyond > 1 else []  # one may be under way
    wrong += [] if state["as_replayed"] else ["the network is not the one that its examples make"]
    return wrong


def starts(bench: Bench) -> Figures:
    """The device starts with the disk of the last cut."""
    bench.service.wait_ready()
    cuts = json.loads(TOLD.read_text())["cuts"]
    stored = [[example["id"], example["label"]] for example in bench.stored()]
    require(all(known in stored for known in cuts[-1]["acknowledged"]), "what was acknowledged is there")
    bench.tells_apart()
    said = run(APP, "examples", "--state", STATE, user="edge-app")
    return {"ready_s": round(bench.service.seconds(), 1), "classes": said.strip().splitlines()[-1]}


SCENARIOS = (
    Scenario("power cuts", "every acknowledged example and stored visit is there; all is sound", sound),
    Scenario("after a cut", "the device starts with what the last cut left", starts),
)
