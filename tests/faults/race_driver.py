"""Runs that are told apart by their seeds: processes that open, write, read and kill one another at the same time.

`race_driver.py FIRST COUNT` prints a line of JSON: how many runs there were of each kind, and what went wrong.
"""

import itertools
import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from edge_app.errors import StateBusy, StateNotWritable
from edge_app.roles import ROLES
from edge_app.storage.folder import database_path
from edge_app.storage.store import Store
from edge_app.web.tokens import Tokens
from support.simple_network import clean_replay, embedding, open_learner


def child(work: Callable[[], None]) -> int:
    """Do some work in a child; return its process id. It ends with status 1 when the work raises."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException:  # noqa: BLE001 shown, and the parent sees the status
        traceback.print_exc()
    os._exit(status)


def statuses(pids: list[int]) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def writers(folder: Path, chance: random.Random) -> None:
    """Several open the same state, also with its lock removed; each teaches what it says it has taught."""
    told = folder / "told"
    told.mkdir()

    def teach(number: int) -> None:
        left = [f"{number}/{i}" for i in range(3)]
        deadline = time.monotonic() + 60
        for attempt in itertools.count():
            try:
                with open_learner(folder / "state", snapshot_every=2) as learner:
                    while left:
                        done = learner.teach(embedding(attempt), f"class {number}", source=left[-1])
                        (told / str(done.example_id)).write_text(left.pop())
                return
            except (StateBusy, StateNotWritable):  # the second: its new database was taken for a leftover
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.001 * (1 + attempt % 5))

    pids = [child(lambda number=number: teach(number)) for number in range(3)]  # type: ignore[misc]
    if chance.randrange(2):
        (folder / "state" / "lock").unlink(missing_ok=True)
    assert statuses(pids) == [0, 0, 0]
    with open_learner(folder / "state") as learner:
        stored = {example.id: example.source for example in learner.examples()}
        assert {int(path.name): path.read_text() for path in told.iterdir()}.items() <= stored.items()
        assert len(set(stored.values())) == len(stored)
        assert learner.network_state() == clean_replay(folder / "state")


def tokens(folder: Path, chance: random.Random) -> None:
    """Three change the tokens; nobody's change is lost, and what was removed stays so."""
    path = folder / "tokens.json"

    def change(number: int) -> None:
        role, mine = ROLES[number], Tokens(path)
        for _ in range(4):
            gone = mine.make(role)
            session = mine.start_session(gone)
            assert session is not None
            assert mine.remove(role)
            assert mine.role_of(gone) is None
            assert mine.session_role(session) is None
        (folder / role).write_text(mine.make(role))

    assert statuses([child(lambda n=n: change(n)) for n in range(3)]) == [0, 0, 0]  # type: ignore[misc]
    last = Tokens(path)
    assert [last.role_of((folder / role).read_text()) for role in ROLES] == list(ROLES)


def readers(folder: Path, chance: random.Random) -> None:
    """Readers beside a writer that is killed see one whole moment after the other."""
    state = folder / "state"
    with open_learner(state) as learner:
        learner.teach(embedding(0), "class 0", source="0")

    def write() -> None:
        with open_learner(state, snapshot_every=3) as learner:
            for number in range(1, 10_000):
                learner.teach(embedding(number), f"class {number % 3}", source=str(number), thumbnail=b"x" * 2000)
                if number % 4 == 0:
                    learner.undo()

    def read() -> None:
        before = 0
        for _ in range(15):
            with Store.reader(database_path(state)) as store:
                count = len(store.examples())
                assert count >= before - 1
                before = count
                assert len(store.journal()) == count

    writer = child(write)
    reading = [child(read) for _ in range(2)]
    time.sleep(chance.random() * 0.05)
    os.kill(writer, signal.SIGKILL)
    assert statuses([writer]) == [-signal.SIGKILL]
    assert statuses(reading) == [0, 0]
    with open_learner(state) as learner:
        assert learner.network_state() == clean_replay(state)


KINDS = (writers, tokens, readers)


def main(first: int, count: int) -> None:
    """Do the runs and print what came of them."""
    logging.disable(logging.CRITICAL)
    done, failures = Counter[str](), []
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    for seed in range(first, first + count):
        folder = Path(tempfile.mkdtemp(prefix="edge-app-races-", dir=place))
        kind = KINDS[seed % len(KINDS)]
        try:
            kind(folder, random.Random(seed))
            done[kind.__name__] += 1
        except BaseException:  # noqa: BLE001 reported with its seed
            failures.append({"seed": seed, "error": f"{kind.__name__}: {traceback.format_exc()[-3000:]}"})
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"runs": count, "kinds": done, "failures": failures}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
