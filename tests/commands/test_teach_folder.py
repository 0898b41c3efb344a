"""teach --folder, with the real encoder: classes from a data set, repeatable after an interruption."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from edge_app import cli
from edge_app.datasets.contents import Item
from edge_app.errors import EdgeAppError
from edge_app.learner.bulk import BATCH, in_turns
from edge_app.storage.folder import database_path
from edge_app.storage.store import Store
from support.pictures import fill, picture, zipped


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    top = fill(tmp_path / "set", ["red", "green"], count=BATCH + 3)
    (top / "red" / "._0.png").write_bytes(b"\0\5\x16\7")
    (top / "notes.txt").write_text("mine")
    return top


def teach(state: Path, folder: Path, *options: str) -> int:
    return cli.run(["teach", "--state", str(state), "--folder", str(folder), *options])


def stored(state: Path) -> list[tuple[str, str]]:
    with Store.reader(database_path(state)) as store:
        return sorted((example.label, example.source) for example in store.examples())


def test_a_dry_run_shows_the_classes_and_writes_nothing(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["teach", "--folder", str(photos), "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert f"{photos}: CLASS folders, {2 * BATCH + 6} pictures" in text
    assert "1 file left out (not a picture): notes.txt" in text
    assert "1 file left out (hidden, or made by the operating system): red/._0.png" in text
    assert cli.run(["teach", "--folder", str(photos), "--dry-run", "--json", "--limit", "5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["classes"] == {"green": 5, "red": 5}
    assert {left["name"] for left in found["left_out"]} == {"notes.txt", "red/._0.png"}


def test_every_picture_becomes_an_example_of_its_class(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "red" / "broken.png").write_bytes(picture("red", 0)[:50])
    (photos / "red" / "again.png").write_bytes(picture("red", 1))
    (photos / "red" / "both.png").write_bytes(picture("green", 1))
    state = tmp_path / "state"
    assert teach(state, zipped(photos, tmp_path / "set.zip"), "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert found["taught"] == {"green": BATCH + 3, "red": BATCH + 4}
    assert found["state"] == found["taught"]
    assert found["duplicates"] == ["red/again.png"] or found["duplicates"] == ["red/1.png"]
    assert len(found["ambiguous"]) == 1
    assert [failed["file"] for failed in found["failed"]] == ["red/broken.png"]
    assert found["right_before"] > BATCH
    names = stored(state)
    assert len(names) == 2 * BATCH + 7
    assert ("green", "green/0.png") in names
    with Store.reader(database_path(state)) as store:
        assert all(example.has_thumbnail and example.before is not None for example in store.examples())
        assert len(store.history()) == 4


def test_a_second_run_teaches_what_is_new(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    assert teach(state, photos) == 0
    assert f"{2 * BATCH + 6} examples taught, 2 classes in all" in capsys.readouterr().out
    (photos / "red" / "new.png").write_bytes(picture("red", 99))
    assert teach(state, photos) == 0
    text = capsys.readouterr().out
    assert "1 example taught, 2 classes in all" in text
    assert f"{2 * BATCH + 6} pictures stored already, or twice in a class: " in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["mug"], "name no CLASS"),
        (["--split", "train"], "--split train: no such split; there are: none"),
        (["--names", "klingon"], None),
    ],
)
def test_options_that_do_not_fit_are_named(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str | None
) -> None:
    assert teach(tmp_path / "state", photos, *options, "--dry-run") == (2 if message else 0)
    assert (message or "") in capsys.readouterr().err


def test_what_cannot_be_taught_is_refused_before_anything_is(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "one", ["red"], count=2)
    assert teach(tmp_path / "state", tmp_path / "one") == 2
    assert "to teach one class: edge-app teach CLASS FILE" in capsys.readouterr().err
    (photos / "red").rename(photos / ("x" * 150))
    assert teach(tmp_path / "state", photos) == 2
    assert "has 150 characters, expected 1..100" in capsys.readouterr().err
    assert not database_path(tmp_path / "state").exists() or stored(tmp_path / "state") == []
    assert cli.run(["teach"]) == 2
    assert "no class was named" in capsys.readouterr().err


def test_classes_take_turns() -> None:
    items = [Item("", label, f"{label}{number}") for label in "ab" for number in range(BATCH + 2)]
    order = "".join(item.label for item in in_turns(items))
    assert order == "a" * BATCH + "b" * BATCH + "aabb"
    assert [item.name for item in in_turns(items, 1)] == ["a0", "b0"]


@pytest.mark.slow
def test_a_killed_run_keeps_every_batch_and_is_continued(tmp_path: Path) -> None:
    photos, state = fill(tmp_path / "set", ["red", "green", "blue"], count=BATCH + 28), tmp_path / "state"
    command = [sys.executable, "-m", "edge_app", "teach", "--state", str(state), "--folder", str(photos)]
    before = 0
    for wanted in (1, 2, 4):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and (not database_path(state).exists() or batches(state) < wanted):
                try:
                    process.wait(0.02)
                except subprocess.TimeoutExpired:
                    continue
            process.send_signal(signal.SIGKILL)
        count = len(stored(state))
        assert count >= before
        assert count % BATCH in (0, 28, 56 % BATCH)
        before = count
    assert subprocess.run(command, capture_output=True, env=dict(os.environ), check=False).returncode == 0
    assert len(stored(state)) == len(set(stored(state))) == 3 * (BATCH + 28)


def batches(state: Path) -> int:
    try:
        with Store.reader(database_path(state)) as store:
            return len(store.history())
    except (EdgeAppError, sqlite3.Error):  # it is being created
        return 0
