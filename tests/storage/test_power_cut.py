"""A process is killed (SIGKILL) at random moments: what it acknowledged is there, and the network follows from it."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_app.storage.folder import database_path
from edge_app.storage.snapshots import Snapshots
from edge_app.storage.store import Store
from support.simple_network import clean_replay, open_learner
from support.teaching_child import colanet, shown

CHILD = Path(__file__).parents[1] / "support" / "teaching_child.py"


@pytest.fixture
def teachers() -> Iterator[subprocess.Popen[str]]:
    """The process that starts teaching processes."""
    command = [sys.executable, str(CHILD)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _killed(teachers: subprocess.Popen[str], task: str, chance: random.Random) -> dict[int, int]:
    """Let a process teach and kill it; return the number that each acknowledged example was made of (-1: forgotten)."""
    assert teachers.stdin is not None
    assert teachers.stdout is not None
    teachers.stdin.write(task + "\n")
    teachers.stdin.flush()
    lines = iter(teachers.stdout.readline, "end\n")
    first, second = next(lines), next(lines)
    assert "ready\n" in {first, second}
    child = int((second if first == "ready\n" else first).split()[1])
    acknowledged: dict[int, int] = {}
    for _ in range(chance.randrange(12)):
        _note(next(lines), acknowledged)
    for _ in range(chance.randrange(200_000)):
        pass  # up to some milliseconds, about one example: a sleep would be far too coarse
    os.kill(child, signal.SIGKILL)
    for line in lines:
        _note(line, acknowledged)
    return acknowledged


def _note(line: str, acknowledged: dict[int, int]) -> None:
    example, number = (int(word) for word in line.split())
    acknowledged[abs(example)] = number if example > 0 else -1


def _survives(teachers: subprocess.Popen[str], folder: Path, what: str, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged: dict[int, int] = {}
    for kill in range(kills):
        acknowledged |= _killed(teachers, f"{folder} {what} {1000 * kill}", chance)
        with colanet(folder) if what == "colanet" else open_learner(folder, snapshot_every=7) as learner:
            stored = {example.id: int(example.source) for example in learner.examples()}
            kept = {example for example, number in acknowledged.items() if number >= 0}
            unsaid = kept - stored.keys()  # forgotten, and killed before it could be said
            assert len(unsaid) <= (what == "corrections")
            acknowledged |= dict.fromkeys(unsaid, -1)
            assert {example: acknowledged[example] for example in kept - unsaid}.items() <= stored.items()
            assert not stored.keys() & {example for example, number in acknowledged.items() if number < 0}
            assert learner.network_state() == (_clean_colanet(folder) if what == "colanet" else clean_replay(folder))
            for example in list(stored)[-2:]:
                number = stored[example]
                assert learner._store.embedding(example) == shown(what, number).tobytes()
                assert learner.thumbnail(example) == b"x" * 999
    assert len(acknowledged) > kills
    assert list(folder.rglob("*.tmp")) == []
    files = len(Snapshots(folder / "snapshots").files())
    # killed before the third was removed: the next save does it; those that may have learnt what went for good are gone
    assert (1 if what == "corrections" else 2) <= files <= 3


def _clean_colanet(folder: Path) -> bytes:
    """Return the snapshot of a CoLaNET that has learnt the stored journal from the beginning, one example at a time."""
    from edge_app.colanet.network import CoLaNET
    from edge_app.colanet.params import Params
    from edge_app.encoder.background import load_background
    from edge_app.encoder.model import load_manifest
    from edge_app.encoder.ratecode import RateCode

    manifest = load_manifest()
    rate_code = RateCode.for_model(manifest)
    network = CoLaNET(Params(), rate_code.n_inputs, background=load_background(manifest))
    with Store.reader(database_path(folder)) as store:
        for entry in store.journal():
            if entry.label not in network.labels:
                network.add_class(entry.label)
            network.learn_one(rate_code(np.frombuffer(entry.embedding, np.uint8)), entry.label)
    return network.snapshot()


@pytest.mark.parametrize("what", ["teach", "snapshots", "corrections"])
def test_every_acknowledged_example_survives_kill_9(teachers: subprocess.Popen[str], tmp_path: Path, what: str) -> None:
    _survives(teachers, tmp_path, what, kills=40, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["teach", "snapshots", "corrections"])
def test_every_acknowledged_example_survives_kill_9_many_times(
    teachers: subprocess.Popen[str], tmp_path: Path, what: str
) -> None:
    _survives(teachers, tmp_path, what, kills=100, seed=2)


@pytest.mark.slow
def test_the_real_classifier_survives_kill_9(teachers: subprocess.Popen[str], tmp_path: Path) -> None:
    _survives(teachers, tmp_path, "colanet", kills=25, seed=3)
