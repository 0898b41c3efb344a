"""Seeded damage to every file of a state folder: bits flipped, cut off, a block of zeros, gone.

Either nothing is lost, or it is said; the damaged database and its log stay as they are until recovery has copied them,
and recovery gives back only what was stored.
"""

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app.errors import InputError, StateCorrupt
from edge_app.mqtt.inbox import FILE as OFFERS
from edge_app.mqtt.inbox import Inbox
from edge_app.mqtt.offers import Offer
from edge_app.storage.acknowledged import END
from edge_app.storage.folder import database_path
from edge_app.storage.recovery import recover
from edge_app.web.tokens import Tokens
from support.simple_network import clean_replay, embedding, folder_in_memory, open_learner

DATABASE, LOG, NUMBER = "examples.sqlite", "examples.sqlite-wal", f"examples.sqlite{END}"
FILES = {DATABASE: 8, LOG: 8, NUMBER: 2, "snapshots/00000001.snapshot": 2, "tokens.json": 2, OFFERS: 1, "lock": 1}
"""Path in the folder -> how often it is damaged."""
OFFER = Offer("other", "cup", 1, 1, b"content", False)
Stored = dict[int, tuple[str, bytes]]


class Victim:
    """A state as a power cut leaves it, and what is stored in it."""

    def __init__(self, folder: Path) -> None:
        live, self.template, self.state = folder / "live", folder / "template", folder / "state"
        with open_learner(live) as learner:
            for i in range(10):
                learner.teach(embedding(i, i % 3), f"class {i % 3}", source="test", thumbnail=b"picture" * 200)
        with open_learner(live) as learner:
            for i in range(10, 20):
                learner.teach(embedding(i, i % 3), f"class {i % 3}", source="test", thumbnail=b"picture" * 200)
            learner.forget_example(4)
            self.token = Tokens(live / "tokens.json").make("view")
            Inbox(live, 1 << 20).settle(OFFER, "declined")
            self.stored: Stored = {
                example.id: (example.label, learner._store.embedding(example.id)) for example in learner.examples()
            }
            self.network = learner.network_state()
            shutil.copytree(live, self.template)

    def damaged(self, chance: random.Random) -> str:
        """Make a copy with damage to one file; return which."""
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(self.template, self.state)
        name = chance.choices(list(FILES), list(FILES.values()))[0]
        path = self.state / name
        data = bytearray(path.read_bytes())
        how = chance.choice(["flip", "flip", "flip", "cut", "zeros", "gone"])
        if how == "gone" or not data:
            path.unlink()
            return name
        place = chance.randrange(len(data))
        if how == "flip":
            for _ in range(chance.choice([1, 1, 3])):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif how == "cut":
            del data[place:]
        else:
            data[place : place + 512] = bytes(len(data[place : place + 512]))
        path.write_bytes(data)
        return name

    def evidence(self) -> list[bytes | None]:
        paths = [self.state / name for name in (DATABASE, LOG, NUMBER)]
        found = [path.read_bytes() if path.exists() else None for path in paths]
        return [content or None for content in found]

    def found(self) -> Stored:
        with open_learner(self.state) as learner:
            assert learner.network_state() == clean_replay(self.state)
            return {example.id: (example.label, learner._store.embedding(example.id)) for example in learner.examples()}


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """The state that is damaged in many ways."""
    for folder in folder_in_memory(tmp_path_factory):
        yield Victim(folder)


def check(victim: Victim, name: str) -> str:
    """Check what comes of damage to a file; return how it went."""
    tokens = Tokens(victim.state / "tokens.json")
    try:
        assert tokens.role_of(victim.token) in ("view", None)
    except InputError:
        assert name == "tokens.json"
    else:
        assert name == "tokens.json" or tokens.role_of(victim.token) == "view"
    assert name == OFFERS or not Inbox(victim.state, 1 << 20).put("topic", OFFER)
    before = victim.evidence()
    if not database_path(victim.state).exists():
        return "gone"
    try:
        found = victim.found()
    except StateCorrupt:
        assert name in (DATABASE, LOG)
        assert victim.evidence() == before
    else:
        assert found == victim.stored, "opened, and something is missing"
        return "whole"
    try:
        done = recover(victim.state)
    except StateCorrupt:
        assert victim.evidence() == before
        return "beyond repair"
    if done is None:
        return "whole"
    copies = [(done.aside / file).read_bytes() if (done.aside / file).exists() else None for file in (DATABASE, LOG)]
    assert [content or None for content in copies] == before[:2]
    kept = victim.found()
    assert kept.items() <= victim.stored.items() | {(4, ("class 0", embedding(3, 0).tobytes()))}
    assert len(kept) == done.saved
    return "recovered"


def many(victim: Victim, seeds: range) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        name = victim.damaged(random.Random(seed))
        try:
            outcome = check(victim, name)
        except BaseException as error:
            error.add_note(f"seed {seed}, damage to {name}")
            raise
        outcomes[outcome] += 1
    return outcomes


def test_damage_is_found_or_does_no_harm(victim: Victim) -> None:
    assert many(victim, range(30)).total() == 30


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1600, 100))
def test_damage_is_found_or_does_no_harm_in_many_runs(victim: Victim, first: int) -> None:
    outcomes = many(victim, range(first, first + 100))
    assert outcomes["recovered"] > 30
    assert outcomes["beyond repair"] < 15
