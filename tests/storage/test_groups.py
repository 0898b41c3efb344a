"""State folders of groups: where each lies, also in a state of a device that had one place only."""

from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import InputError, StateBusy, StateCorrupt
from edge_app.storage.folder import FolderLock
from edge_app.storage.groups import find_group, folder_of, group_folders, rename_group, stored_groups
from support.simple_network import open_learner


def teach(folder: Path, label: str) -> None:
    with open_learner(folder) as learner:
        learner.teach(np.arange(32).astype(np.uint8), label, source="test")


def known(folder: Path) -> list[str]:
    with open_learner(folder) as learner:
        return list(learner.classes())


def test_a_new_device_has_its_first_group_in_the_folder_and_the_others_below(tmp_path: Path) -> None:
    folders = group_folders(tmp_path, ["gate", "my shelf"])
    assert folders == {"gate": tmp_path, "my shelf": tmp_path / "groups" / "my shelf"}


def test_what_a_device_with_one_place_knew_is_the_first_groups(tmp_path: Path) -> None:
    teach(tmp_path, "open")
    folders = group_folders(tmp_path, ["gate", "shelf"])
    assert known(folders["gate"]) == ["open"]
    assert known(folders["shelf"]) == []


def test_another_order_of_the_places_moves_nothing(tmp_path: Path) -> None:
    teach(tmp_path, "open")
    before = group_folders(tmp_path, ["gate", "shelf"])
    teach(before["shelf"], "cup")
    assert group_folders(tmp_path, ["shelf", "gate"]) == before
    assert group_folders(tmp_path, ["shelf"]) == {"shelf": before["shelf"]}
    assert group_folders(tmp_path, ["new", "shelf", "gate"]) == {**before, "new": tmp_path / "groups" / "new"}


def test_a_group_that_is_configured_no_more_keeps_its_folder(tmp_path: Path) -> None:
    group_folders(tmp_path, ["gate"])
    teach(tmp_path, "open")
    assert group_folders(tmp_path, ["yard"]) == {"yard": tmp_path / "groups" / "yard"}
    assert group_folders(tmp_path, ["gate"]) == {"gate": tmp_path}
    assert known(tmp_path) == ["open"]


@pytest.mark.parametrize("text", ['{"name": 7}', '{"nam', '{"name": "/tmp/elsewhere"}', '{"name": "../x"}', ""])
def test_a_name_that_is_damaged_gives_what_was_learnt_to_nobody_else(tmp_path: Path, text: str) -> None:
    teach(tmp_path, "open")
    (tmp_path / "group.json").write_text(text)
    for use in (lambda: group_folders(tmp_path, ["gate", "shelf"]), lambda: stored_groups(tmp_path)):
        with pytest.raises(StateCorrupt, match=r"group.json has the name of the group .* write .* into it"):
            use()
    assert (tmp_path / "group.json").read_text() == text
    (tmp_path / "group.json").write_text('{"name": "shelf"}')
    assert group_folders(tmp_path, ["gate", "shelf"])["shelf"] == tmp_path


def test_groups_that_something_is_stored_of_are_found(tmp_path: Path) -> None:
    assert stored_groups(tmp_path) == {}
    teach(tmp_path, "open")
    assert stored_groups(tmp_path) == {"default": tmp_path}
    folders = group_folders(tmp_path, ["gate", "shelf"])
    assert stored_groups(tmp_path) == {"gate": tmp_path}
    teach(folders["shelf"], "cup")
    assert stored_groups(tmp_path) == folders
    assert find_group(tmp_path, "shelf") == folders["shelf"]
    assert folder_of(tmp_path, "default") == tmp_path / "groups" / "default", "what lies in the folder is the gate's"
    with pytest.raises(InputError, match=r"no group 'yard' in .*, expected one of: gate, shelf"):
        find_group(tmp_path, "yard")


@pytest.mark.parametrize("name", ["gate", "shelf"])
def test_a_group_is_renamed_with_all_that_it_knows(tmp_path: Path, name: str) -> None:
    for group, folder in group_folders(tmp_path, ["gate", "shelf"]).items():
        teach(folder, group)
    rename_group(tmp_path, name, "yard")
    other = {"gate": "shelf", "shelf": "gate"}[name]
    folders = group_folders(tmp_path, ["yard", other])
    assert {group: known(folder) for group, folder in folders.items()} == {"yard": [name], other: [other]}


def test_a_group_in_use_or_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    folders = group_folders(tmp_path, ["gate", "shelf"])
    for group, folder in folders.items():
        teach(folder, group)
    with pytest.raises(InputError, match="there is a group 'gate' already"):
        rename_group(tmp_path, "shelf", "gate")
    lock = FolderLock(folders["shelf"])
    with pytest.raises(StateBusy):
        rename_group(tmp_path, "shelf", "yard")
    lock.release()
    assert set(stored_groups(tmp_path)) == {"gate", "shelf"}


@pytest.mark.parametrize("name", ["Gate", "\uff47\uff41\uff54\uff45", "Shelf", "shelf"])
def test_a_name_that_differs_only_in_its_form_is_taken(tmp_path: Path, name: str) -> None:
    """On disks that ignore case it would be the same folder."""
    for group, folder in group_folders(tmp_path, ["gate", "shelf", "yard"]).items():
        teach(folder, group)
    with pytest.raises(InputError, match=r"there is a group '(gate|shelf)' already"):
        rename_group(tmp_path, "yard", name)
    if name != "shelf":
        refusal = rf"group '{name}': .* group '(gate|shelf)' .* differ only in .* `edge-app groups rename"
        for use in (lambda: group_folders(tmp_path, ["yard", name]), lambda: folder_of(tmp_path, name)):
            with pytest.raises(InputError, match=refusal):
                use()
    assert set(stored_groups(tmp_path)) == {"gate", "shelf", "yard"}
    # its own name may be written in another form
    rename_group(tmp_path, "shelf", "Shelf")
    rename_group(tmp_path, "gate", "GATE")
    assert set(stored_groups(tmp_path)) == {"GATE", "Shelf", "yard"}
    with pytest.raises(InputError, match="there is a group 'yard' already: choose another name"):
        rename_group(tmp_path, "yard", "yard")


def test_two_groups_that_were_there_before_are_used(tmp_path: Path) -> None:
    for name in ("gate", "Gate"):
        teach(tmp_path / "groups" / name, name)
    folders = group_folders(tmp_path, ["yard", "Gate"])
    assert known(folders["Gate"]) == ["Gate"]


def test_a_group_is_found_however_its_accents_are_written(tmp_path: Path) -> None:
    """A copy over a Mac's disk decomposes the names of folders."""
    composed, decomposed = "K\u00fcche", "Ku\u0308che"
    teach(tmp_path / "groups" / decomposed, "pot")
    for name in (composed, decomposed):
        assert known(find_group(tmp_path, name)) == ["pot"]
        assert known(folder_of(tmp_path, name)) == ["pot"]
    assert known(group_folders(tmp_path, ["yard", composed])[composed]) == ["pot"]
    assert list(stored_groups(tmp_path)) == [composed]
    rename_group(tmp_path, decomposed, "Tu\u0308r")
    assert list(stored_groups(tmp_path)) == ["T\u00fcr"]
    # one that is as it should be counts
    teach(tmp_path / "groups" / "Tu\u0308r", "lock")
    assert known(find_group(tmp_path, "T\u00fcr")) == ["pot"]


def test_a_group_without_a_name_hides_behind_no_other(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "groups" / "default", tmp_path / "groups" / "default-2"):
        teach(folder, "open")
    assert stored_groups(tmp_path) == {
        "default": tmp_path / "groups" / "default",
        "default-2": tmp_path / "groups" / "default-2",
        "default-3": tmp_path,
    }
    rename_group(tmp_path, "default-3", "gate")
    assert find_group(tmp_path, "gate") == tmp_path
