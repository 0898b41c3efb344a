"""References to classes follow renaming, merging and undo, also of changes made while the device did not run."""

import errno
from pathlib import Path

import pytest

from edge_app.pipeline import references as module
from edge_app.pipeline.references import FILE, ClassReferences
from edge_app.storage.records import Action, ExampleChange
from support.simple_network import embedding, open_learner


def action(number: int, kind: str, *moves: tuple[str | None, str | None]) -> Action:
    return Action(number, 0, kind, tuple(ExampleChange(index, *move) for index, move in enumerate(moves)))


RENAME = action(7, "rename", ("cup", "mug"), ("cup", "mug"))
MERGE = action(8, "merge", ("mug", "glass"))


def test_a_reference_follows_renaming_and_merging_and_undo_brings_it_back() -> None:
    found = ClassReferences()
    assert found.label("left", "cup") == "cup"
    assert found.label("right", "glass") == "glass"
    found.follow(RENAME, undone=False)
    assert found.label("left", "cup") == "mug"
    found.follow(MERGE, undone=False)
    assert (found.label("left", "cup"), found.label("right", "glass")) == ("glass", "glass")
    found.follow(MERGE, undone=True)
    assert (found.label("left", "cup"), found.label("right", "glass")) == ("mug", "glass")
    found.follow(RENAME, undone=True)
    assert found.label("left", "cup") == "cup"


def test_two_classes_that_swap_their_names_take_their_references_along() -> None:
    found = ClassReferences()
    found.label("a", "cup")
    found.label("b", "key")
    for number, old, new in ((1, "cup", "x"), (2, "key", "cup"), (3, "x", "key")):
        found.follow(action(number, "rename", (old, new)), undone=False)
    assert (found.label("a", "cup"), found.label("b", "key")) == ("key", "cup")


def test_a_reference_made_after_the_renaming_follows_when_that_is_undone() -> None:
    found = ClassReferences()
    found.set("choice", "mug")
    found.follow(RENAME, undone=True)
    assert found.find("choice") == "cup"


def test_only_corrections_of_whole_classes_are_followed() -> None:
    found = ClassReferences()
    found.label("left", "cup")
    for kind in ("teach", "relabel", "forget", "import"):
        found.follow(action(3, kind, ("cup", "mug")), undone=False)
    assert found.label("left", "cup") == "cup"


def test_another_name_in_the_configuration_begins_anew(tmp_path: Path) -> None:
    found = ClassReferences(tmp_path / FILE)
    found.label("left", "cup")
    found.follow(RENAME, undone=False)
    again = ClassReferences(tmp_path / FILE, [RENAME])
    assert again.label("left", "cup") == "mug"
    assert again.label("left", "cat") == "cat"
    assert again.items("le") == {"ft": "cat"}
    again.remove("left")
    again.remove("left")
    assert again.find("left") is None


def test_what_happened_while_the_service_was_stopped_is_made_up_for(tmp_path: Path) -> None:
    found = ClassReferences(tmp_path / FILE)
    found.label("left", "cup")
    assert ClassReferences(tmp_path / FILE, [action(6, "teach", (None, "cup")), RENAME]).label("left", "cup") == "mug"
    found = ClassReferences(tmp_path / FILE, [RENAME])
    found.label("right", "mug")  # writes what it made up for
    assert ClassReferences(tmp_path / FILE, [RENAME, MERGE]).label("left", "cup") == "glass"
    found.follow(MERGE, undone=False)
    assert ClassReferences(tmp_path / FILE, [RENAME]).label("left", "cup") == "mug", "the merge was undone"
    assert ClassReferences(tmp_path / FILE, [action(107, "teach", (None, "x"))]).label("left", "cup") == "glass", (
        "actions too old for undo are not taken for undone"
    )


def test_the_history_of_a_real_state_is_understood(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        learner.teach(embedding(1), "cup", source="test")
        ClassReferences(tmp_path / FILE, learner.history()).label("left", "cup")
        learner.rename_class("cup", "mug")
        assert ClassReferences(tmp_path / FILE, learner.history()).label("left", "cup") == "mug"
        ClassReferences(tmp_path / FILE, learner.history()).set("other", "mug")
        learner.undo()
        assert ClassReferences(tmp_path / FILE, learner.history()).label("left", "cup") == "cup"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b"[]",
        b'{"references": {"left": {"configured": 3}}}',
        b'{"references": {"left": {"configured": "cup", "label": "x", "moves": [3]}}, "last_action": 1}',
        b'{"references": {"left": {"configured": "cup", "label": "x", "moves": []}}}',
        b"\xff",
    ],
)
def test_a_file_that_is_damaged_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert ClassReferences(tmp_path / FILE).label("left", "cup") == "cup"


def test_a_full_disk_is_logged_and_the_reference_holds_until_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_atomically", full)
    found = ClassReferences(tmp_path / FILE)
    found.label("left", "cup")
    found.follow(RENAME, undone=False)
    assert found.label("left", "cup") == "mug"
    assert f"cannot write {FILE}" in caplog.text
