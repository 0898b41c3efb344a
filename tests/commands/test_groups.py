"""`edge-app groups`, and --group of the commands that use a state."""

import json
from pathlib import Path

import numpy as np
import pytest

from edge_app import cli
from edge_app.errors import StateCorrupt
from edge_app.storage.folder import database_path
from edge_app.storage.groups import group_folders, stored_groups
from support.simple_network import open_learner


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state with the groups gate (in the folder itself) and "my shelf", of another encoder's embeddings."""
    for name, folder in group_folders(tmp_path, ["gate", "my shelf"]).items():
        with open_learner(folder) as learner:
            for label in ("open", "closed") if name == "gate" else ("cup",):
                learner.teach(np.arange(32).astype(np.uint8), label, source="test")
    return tmp_path


def test_groups_are_listed_with_their_classes(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["groups", "list", "--state", str(state)]) == 0
    assert capsys.readouterr().out == "gate: open (1), closed (1)\nmy shelf: cup (1)\n"
    assert cli.run(["groups", "list", "--state", str(state), "--json"]) == 0
    groups = {"gate": {"open": 1, "closed": 1}, "my shelf": {"cup": 1}}
    assert json.loads(capsys.readouterr().out) == {"groups": groups, "damaged": []}


def test_a_damaged_group_is_told_and_the_others_are_listed(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shelf = state / "groups" / "my shelf"
    database_path(shelf).write_bytes(b"no database" * 1000)
    assert cli.run(["groups", "list", "--state", str(state)]) == StateCorrupt.exit_status
    shown = capsys.readouterr()
    assert shown.out == "gate: open (1), closed (1)\n"
    assert shown.err.startswith(f"edge-app groups: my shelf: {database_path(shelf)} is damaged: ")
    assert f"`edge-app recover --state {shelf}`" in shown.err
    assert cli.run(["groups", "list", "--state", str(state), "--json"]) == StateCorrupt.exit_status
    found = json.loads(capsys.readouterr().out)
    assert found["groups"] == {"gate": {"open": 1, "closed": 1}}
    ((name, reason),) = ((one["group"], one["reason"]) for one in found["damaged"])
    assert (name, "is damaged" in reason) == ("my shelf", True)


def test_a_group_whose_name_cannot_be_read_hides_no_other(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state / "group.json").write_text("{")
    assert cli.run(["groups", "list", "--state", str(state)]) == StateCorrupt.exit_status
    shown = capsys.readouterr()
    assert shown.out == "my shelf: cup (1)\n"
    assert f"{state / 'group.json'} has the name of the group in {state}, and cannot be read" in shown.err
    assert cli.run(["groups", "list", "--state", str(state), "--json"]) == StateCorrupt.exit_status
    assert json.loads(capsys.readouterr().out)["damaged"][0]["group"] is None


def test_a_group_is_not_renamed_to_a_form_of_another_ones_name(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["groups", "rename", "--state", str(state), "my shelf", "GATE"]) == 2
    assert (
        "there is a group 'gate' already, and the names differ only in upper and lower case" in capsys.readouterr().err
    )
    assert cli.run(["groups", "rename", "--state", str(state), "my shelf", "My Shelf"]) == 0
    assert set(stored_groups(state)) == {"gate", "My Shelf"}


def test_without_anything_taught_there_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["groups", "list", "--state", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no groups: nothing was taught yet\n"


def test_a_command_works_in_the_group_that_it_is_given(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for group, classes in (("gate", "open, closed"), ("my shelf", "cup")):
        assert cli.run(["examples", "--state", str(state), "--group", group]) == 0
        shown = capsys.readouterr().out
        assert all(name in shown for name in classes.split(", "))
    assert cli.run(["examples", "--state", str(state)]) == 0
    assert "open" in capsys.readouterr().out


def test_a_group_that_is_not_there_has_no_state(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["examples", "--state", str(state), "--group", "yard"]) == 2
    assert f"no group 'yard' in {state}, expected one of: gate, my shelf" in capsys.readouterr().err
    assert cli.run(["teach", "--state", str(state), "--group", "../..", "mug", "a.jpg"]) == 2
    assert "group = '../..', expected 1 to 40 letters" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["undo"], ["teach", "mug", "a.jpg"], ["classify", "a.jpg"]])
def test_a_place_is_for_a_running_device_and_a_group_for_a_folder(
    state: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*command, "--state", str(state), "--place", "gate"]) == 2
    assert "--place goes with --live; in a state folder, name the group: --group NAME" in capsys.readouterr().err
    files = [] if command[0] == "teach" else command[2:]
    assert cli.run([*command[:2], *files, "--live", "--state", str(state), "--group", "gate"]) == 2
    assert "--group goes with a state folder; with --live, name the place" in capsys.readouterr().err


def test_removing_the_group_of_the_folder_leaves_the_switches_of_the_rules(state: Path) -> None:
    (state / "rules.json").write_text('{"r": false}')
    assert cli.run(["groups", "remove", "--state", str(state), "gate"]) == 0
    assert (state / "rules.json").read_text() == '{"r": false}'


def test_a_group_is_renamed(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, to in (("gate", "door"), ("my shelf", "tray")):
        assert cli.run(["groups", "rename", "--state", str(state), name, to]) == 0
        assert capsys.readouterr().out == f"{name} renamed to {to}\n"
    assert stored_groups(state) == {"door": state, "tray": state / "groups" / "tray"}
    assert cli.run(["groups", "rename", "--state", str(state), "gate", "x"]) == 2
    assert "no group 'gate'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["gate", "my shelf"])
def test_what_a_removed_group_had_learnt_is_kept_aside(
    state: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["groups", "remove", "--state", str(state), name, "--json"]) == 0
    aside = Path(json.loads(capsys.readouterr().out)["kept"])
    assert aside == state / "removed-groups" / f"{name}-1"
    assert name not in stored_groups(state)
    with open_learner(aside) as learner:
        assert list(learner.classes()) == (["open", "closed"] if name == "gate" else ["cup"])
    # the name is free again, and what is taught under it is new
    folder = group_folders(state, [name])[name]
    with open_learner(folder) as learner:
        assert learner.classes() == {}
