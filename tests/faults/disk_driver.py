"""Runs that are told apart by their seeds: a state is taught, corrected, imported into and saved while its disk fails.

Run with shim.c preloaded: `disk_driver.py FIRST COUNT`. Each run arms one fault before one of its actions. Whatever
fails, only errors of edge-app come out; what was acknowledged is there, what was refused is not, and the network
follows from the journal. Prints a line of JSON: how many runs met their fault, of which kinds, and what went wrong.
"""

import contextlib
import ctypes
import errno
import json
import logging
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from edge_app.config import ConsolidationConfig
from edge_app.control.transfer import open_export
from edge_app.errors import EdgeAppError
from edge_app.learner.samples import Sample
from edge_app.mqtt.inbox import Inbox
from edge_app.mqtt.offers import Offer
from edge_app.storage.exchange import Archive
from edge_app.storage.records import NewExample
from edge_app.storage.recovery import recover
from edge_app.web.tokens import Tokens
from support.simple_network import clean_replay, embedding, open_learner

SHIM = ctypes.CDLL(None)
OPEN, WRITE, SYNC, RENAME, READ, TRUNCATE = (1 << bit for bit in range(6))
FAULTS = {
    "EIO": (WRITE | SYNC | TRUNCATE | RENAME, errno.EIO),
    "EIO on reading": (READ, errno.EIO),
    "ENOSPC": (WRITE | TRUNCATE | OPEN | RENAME, errno.ENOSPC),
    "EMFILE": (OPEN, errno.EMFILE),
    "EROFS": (WRITE | OPEN | RENAME | TRUNCATE, errno.EROFS),
    "short write": (WRITE, 0),
}
BOUNDS = ConsolidationConfig(dreams=2, per_class=100, rehearsals=2)
Model = dict[int, str]


class Run:
    """One state, and what has to be in it."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = random.Random(seed)
        self.folder = folder
        self.state = folder / "state"
        self.number = seed * 1000
        self.learner = open_learner(self.state, snapshot_every=4)
        self.model: Model = {}
        self.history: list[Model] = []
        self.settled: list[Offer] = []
        self.secret: str | None = None
        for _ in range(3):
            self.teach()

    # Actions: each changes the model only when it is acknowledged

    def teach(self) -> None:
        self.number += 1
        label = f"class {self.number % 3}"
        before = dict(self.model)
        done = self.learner.teach(embedding(self.number), label, source="test", thumbnail=b"x" * 3000)
        self.history.append(before)
        self.model[done.example_id] = label

    def teach_many(self) -> None:
        self.number += 3
        before = dict(self.model)
        shown = [Sample(embedding(self.number - i), b"y" * 2000) for i in range(3)]
        done = self.learner.teach_many(shown, "many", source="test")
        self.history.append(before)
        self.model |= {one.example_id: "many" for one in done}

    def undo(self) -> None:
        if self.history:
            self.learner.undo()
            self.model = self.history.pop()

    def forget(self) -> None:
        if self.model:
            example = self.chance.choice(list(self.model))
            self.learner.forget_example(example, background=True)
            self.history.append(dict(self.model))
            del self.model[example]

    def relabel(self) -> None:
        if self.model:
            example = self.chance.choice(list(self.model))
            label = f"other {self.chance.randrange(1 << 30)}"
            self.learner.relabel(example, label)
            self.history.append(dict(self.model))
            self.model[example] = label

    def import_examples(self) -> None:
        self.number += 40
        news = [NewExample(embedding(self.number - i).tobytes(), "import", 1, "file") for i in range(40)]
        action = self.learner.import_examples(news, thumbnail=lambda index: b"z" * 500)
        assert action is not None
        self.history.append(dict(self.model))
        self.model |= {change.example: "import" for change in action.changes}

    def dream(self) -> None:
        task = self.learner.next_dream(BOUNDS)
        if task is not None:
            values = embedding(self.chance.randrange(1 << 20)) if task.thumbnail is not None else None
            self.learner.learn_dream(task, values)  # type: ignore[arg-type]

    def save(self) -> None:
        self.learner.save()

    def purge(self) -> None:
        gone = self.learner.forgotten()
        self.learner.purge(gone)
        if gone:
            self.history.clear()  # how far undo reaches after that is not the matter here

    def export(self) -> None:
        if self.model:
            exported = open_export(self.state, [])
            with exported.file:
                target = self.folder / "out.zip"
                target.write_bytes(exported.file.read())
            with Archive(target) as archive:
                assert len(archive.examples) == len(self.model)

    def token(self) -> None:
        self.secret = Tokens(self.state / "tokens.json").make("view")

    def offers(self) -> None:
        self.number += 1
        offer = Offer("other", "cup", 1, 1, b"%d" % self.number, False)
        Inbox(self.state, 1 << 20).settle(offer, "declined")
        self.settled.append(offer)

    def reopen(self) -> None:
        self.learner.close()
        self.learner = open_learner(self.state, snapshot_every=4)

    def recover(self) -> None:
        self.learner.close()
        done = recover(self.state)
        if done is not None:  # a page that could not be read then
            assert done.lost == 0
            self.history.clear()
        self.learner = open_learner(self.state, snapshot_every=4)

    # The check

    def check(self) -> None:
        with contextlib.suppress(EdgeAppError):
            self.learner.close()
        self.learner = open_learner(self.state, snapshot_every=4)
        found = {example.id: example.label for example in self.learner.examples()}
        assert found == self.model, f"stored {found}, acknowledged {self.model}"
        inbox = Inbox(self.state, 1 << 20)
        assert not any(inbox.put("topic", offer) for offer in self.settled)
        assert self.secret is None or Tokens(self.state / "tokens.json").role_of(self.secret) == "view"
        self.learner._store.check()
        assert self.learner._store.staged() == []
        assert self.learner.network_state() == clean_replay(self.state)
        self.teach()
        self.learner.close()
        assert recover(self.state) is None
        drafts = [path.name for path in self.state.rglob("*") if path.suffix in (".part", ".tmp", ".new")]
        assert len(drafts) <= 1, drafts


ACTIONS: tuple[tuple[Callable[[Run], None], int], ...] = (
    (Run.teach, 6),
    (Run.teach_many, 3),
    (Run.undo, 2),
    (Run.forget, 2),
    (Run.relabel, 2),
    (Run.import_examples, 3),
    (Run.dream, 2),
    (Run.save, 2),
    (Run.purge, 1),
    (Run.export, 1),
    (Run.token, 1),
    (Run.offers, 1),
    (Run.reopen, 3),
    (Run.recover, 1),
)


def one(seed: int, folder: Path) -> tuple[str, str, bool]:
    """Do one run; return its fault, the action that met it, and whether it was met."""
    run = Run(seed, folder)
    chance = run.chance
    kind = chance.choice(list(FAULTS))
    operations, number = FAULTS[kind]
    actions = chance.choices([action for action, _ in ACTIONS], [weight for _, weight in ACTIONS], k=5)
    at, met = chance.randrange(5), False
    for index, action in enumerate(actions):
        if index == at:
            after = chance.choice([0, 0, 1, 2, 3, 5, 8, 13])
            SHIM.fault_arm(operations, after, number, chance.randrange(2), str(run.state).encode())
        try:
            action(run)
        except EdgeAppError:
            assert index == at, "a fault that has passed still has its effect"
            if run.learner._closed:  # it could not be opened again
                met = SHIM.fault_disarm() > 0
                run.learner = open_learner(run.state, snapshot_every=4)
        finally:
            if index == at:
                with contextlib.suppress(EdgeAppError):
                    run.learner.wait()  # a correction that is followed in the background meets the fault too
                met = SHIM.fault_disarm() > 0 or met
    run.check()
    return kind, actions[at].__name__, met


def main(first: int, count: int) -> None:
    """Do the runs and print what came of them."""
    logging.disable(logging.CRITICAL)
    met, failures = Counter[str](), []
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    for seed in range(first, first + count):
        folder = Path(tempfile.mkdtemp(prefix="edge-app-faults-", dir=place))
        try:
            kind, action, hit = one(seed, folder)
            met[f"{kind}: {action}"] += hit
        except BaseException:  # noqa: BLE001 reported with its seed
            SHIM.fault_disarm()
            failures.append({"seed": seed, "error": traceback.format_exc()[-3000:]})
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"runs": count, "met": met.total(), "kinds": +met, "failures": failures}))


if __name__ == "__main__":
    np.seterr(all="ignore")
    main(int(sys.argv[1]), int(sys.argv[2]))
