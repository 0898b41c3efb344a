"""The commands that list and correct examples: examples, undo, relabel, forget, rename, merge."""

import json
from pathlib import Path

import pytest

from edge_app import cli
from edge_app.storage.folder import database_path
from edge_app.storage.store import Store

Captured = pytest.CaptureFixture[str]

UNKNOWN = "no class 'dog'; known classes: cat, coffee, astronaut"


def _classes(state: Path) -> dict[str, int]:
    with Store.reader(database_path(state)) as store:
        return store.classes()


def _run(state: Path, command: str, *arguments: str) -> int:
    return cli.run([command, "--state", str(state), *arguments])


def test_examples_lists_what_was_taught(taught: Path, capsys: Captured) -> None:
    assert _run(taught, "examples") == 0
    *rows, classes = capsys.readouterr().out.splitlines()
    assert len(rows) == 9
    assert rows[0].split()[:2] == ["1", "cat"]
    assert rows[0].endswith("cat0.jpg")
    assert classes == "classes: cat (3), coffee (3), astronaut (3)"
    assert _run(taught, "examples", "coffee", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [example["id"] for example in said["examples"]] == [4, 5, 6]
    assert said["examples"][0]["has_thumbnail"] is True
    assert _run(taught, "examples", "dog") == 2
    assert UNKNOWN in capsys.readouterr().err


def test_undo_takes_back_and_says_what(taught: Path, capsys: Captured) -> None:
    assert _run(taught, "undo") == 0
    assert capsys.readouterr().out.splitlines() == [
        "undone: example 9 was taught as astronaut",
        "classes: cat (3), coffee (3), astronaut (2)",
    ]
    assert _run(taught, "undo", "--times", "8") == 0
    assert _classes(taught) == {}
    assert _run(taught, "undo") == 2
    assert "nothing to undo" in capsys.readouterr().err


def test_corrections_and_the_history_of_them(taught: Path, photos: dict[str, list[Path]], capsys: Captured) -> None:
    assert _run(taught, "relabel", "1", "coffee") == 0
    assert _run(taught, "rename", "astronaut", "person") == 0
    assert _run(taught, "merge", "cat", "coffee") == 0
    assert _run(taught, "forget", "--example", "8", "--example", "9") == 0
    out = capsys.readouterr().out
    assert "example 1 became coffee instead of cat" in out
    assert "astronaut renamed to person (3 examples)" in out
    assert "coffee merged into cat (4 examples)" in out
    assert "1 example of person forgotten" in out
    assert _classes(taught) == {"cat": 6, "person": 1}
    assert _run(taught, "examples", "--history") == 0
    assert len(capsys.readouterr().out.splitlines()) == 9 + 5
    assert _run(taught, "examples", "--history", "--json") == 0
    assert json.loads(capsys.readouterr().out)["history"][-1]["changes"] == [
        {"example": 9, "before": "person", "after": None}
    ]
    assert _run(taught, "classify", "--json", str(photos["cat"][3])) == 0
    assert set(json.loads(capsys.readouterr().out)["decisions"][0]["spikes"]) == {"cat", "person"}
    assert _run(taught, "undo", "--times", "5", "--json") == 0
    assert _classes(taught) == {"cat": 3, "coffee": 3, "astronaut": 3}


def test_forgetting_a_class_and_deleting_it_for_good(taught: Path, capsys: Captured) -> None:
    assert _run(taught, "forget", "cat", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["action"] == "forget"
    assert said["classes"] == {"coffee": 3, "astronaut": 3}
    assert _run(taught, "forget", "--for-good") == 0
    assert capsys.readouterr().out.splitlines()[0] == "3 examples deleted for good"
    assert _run(taught, "forget", "coffee", "--for-good", "--json") == 0
    assert json.loads(capsys.readouterr().out)["examples"] == [4, 5, 6]
    assert _run(taught, "undo", "--times", "3") == 0
    assert _classes(taught) == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["forget"], "give a class"),
        (["forget", "cat", "--example", "1"], "not both"),
        (["examples", "dog"], UNKNOWN),
        (["forget", "dog"], UNKNOWN),
        (["forget", "dog", "--for-good"], UNKNOWN),
        (["rename", "dog", "bird"], UNKNOWN),
        (["forget", "--example", "99"], "no example 99"),
        (["forget", "--example", "99", "--for-good"], "no example 99"),
        (["relabel", "99", "cat"], "no example 99"),
        (["rename", "cat", "coffee"], "exists"),
        (["merge", "cat", "dog"], UNKNOWN),
        (["merge", "dog", "cat"], UNKNOWN),
    ],
)
def test_what_cannot_be_done_is_said(taught: Path, arguments: list[str], words: str, capsys: Captured) -> None:
    assert _run(taught, *arguments) == 2
    assert words in capsys.readouterr().err
    assert _classes(taught) == {"cat": 3, "coffee": 3, "astronaut": 3}
