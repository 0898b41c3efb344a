"""Pictures, folders and zips are dropped or chosen, looked at, taught as one action, and undone as one."""

import pytest

from support.pictures import fill, picture, zipped

pytestmark = pytest.mark.slow


@pytest.fixture
def ready(page, device):
    """A page with one class."""
    page.open(device)
    page.wait_ready()
    page.add_class("mug")
    return page


def rows(page):
    """The table in the dialog."""
    script = (
        "return [...document.querySelectorAll('#dialog tr')].map((row) => [...row.cells].map((one) => one.innerText))"
    )
    return page.run(script)


def test_a_folder_is_dropped_and_undone_in_one_action(ready, device, tmp_path):
    page = ready
    photos = fill(tmp_path / "photos", ["red", "green"], count=4)
    (photos / "red" / "broken.jpg").write_bytes(b"<html>")
    (photos / "notes.txt").write_text("mine")
    page.drop("#live", photos)
    page.wait(lambda: page.is_shown("#dialog"), "the summary", 60)
    assert rows(page) == [["green", "4 pictures"], ["red", "4 pictures"]]
    assert "1 picture cannot be read: photos/red/broken.jpg" in page.text("#dialog")
    assert "1 other file left out: photos/notes.txt" in page.text("#dialog")
    assert device.counts() == {"mug": 1}
    page.click("#dialog .primary")
    page.undo_in_toast("Taught 2 classes: 8 examples")
    page.wait_toast("Removed 8 examples of green, red")
    page.wait(lambda: page.labels == ["mug"], "only the first class")
    assert device.counts() == {"mug": 1}
    assert not page.is_shown("#upload")


def test_pictures_dropped_on_a_class_become_its_examples(ready, device, tmp_path):
    page = ready
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(picture("red", number))
    page.drop(page.class_button("mug"), *paths)
    page.wait_toast("Taught mug: 3 examples")
    assert device.counts() == {"mug": 4}
    page.drop(page.class_button("mug"), *paths)
    page.wait_toast("Nothing new to teach. 3 duplicates left out.")
    assert device.counts() == {"mug": 4}
    assert not page.all(".dropping")


def test_a_zip_is_chosen_and_taught(ready, device, tmp_path):
    page = ready
    path = zipped(fill(tmp_path / "set", ["blue", "green"], count=3), tmp_path / "set.zip")
    page.find("#upload-zip-input").send_keys(str(path))
    page.wait(lambda: page.is_shown("#dialog"), "the summary", 60)
    assert rows(page) == [["blue", "3 pictures"], ["green", "3 pictures"]]
    page.click("#dialog .primary")
    page.wait_toast("Taught 2 classes: 6 examples")
    assert device.counts() == {"mug": 1, "blue": 3, "green": 3}


def test_a_folder_is_chosen_and_given_up(ready, device, tmp_path):
    page = ready
    photos = fill(tmp_path / "photos", ["red", "green"], count=2)
    page.find("#upload-folder-input").send_keys(str(photos))
    page.wait(lambda: page.is_shown("#dialog"), "the summary", 60)
    page.click_text("#dialog button", "Cancel")
    page.wait(lambda: not page.is_shown("#upload"), "the end of the upload")
    assert device.counts() == {"mug": 1}


def test_pictures_are_added_to_the_class_in_the_gallery(ready, device, tmp_path):
    page = ready
    (tmp_path / "a.png").write_bytes(picture("blue", 1))
    assert not page.is_shown("#class-add")
    page.click(".class .more")
    page.wait(lambda: page.is_shown("#class-add"), "the button")
    page.find("#class-add-input").send_keys(str(tmp_path / "a.png"))
    page.wait_toast("Taught mug: 1 example")
    page.wait(lambda: len(page.all("#gallery-grid li")) == 2, "two pictures")
    assert device.counts() == {"mug": 2}


def test_a_single_class_is_refused_with_the_way_out(ready, device, tmp_path):
    page = ready
    page.drop("#live", fill(tmp_path / "photos", ["red"], count=2))
    page.wait_toast("all pictures would be of the class 'red': to teach one class, drop them on it")
    assert device.counts() == {"mug": 1}


def test_a_visitor_who_may_only_view_is_offered_nothing(start_device, page, tmp_path):
    device = start_device(loopback_role="view")
    page.open(device)
    page.wait_ready()
    assert not page.is_shown("#upload-set")
    (tmp_path / "a.txt").write_text("this must not be opened")
    page.drop("#live", tmp_path / "a.txt")
    sequence = page.sequence
    page.wait(lambda: page.sequence > sequence, "the page to go on")
    assert not page.is_shown("#upload")
    assert device.counts() == {}
