"""Corrections: examples, whole classes, and the tray."""

import pytest

from support.browsing import Keys

pytestmark = pytest.mark.slow


@pytest.fixture
def taught(page, device):
    """A page with four examples of disc and two of ring."""
    page.open(device)
    page.wait_ready()
    for label, count in (("disc", 4), ("ring", 2)):
        for _ in range(count):
            device.ask("POST", f"classes/{label}/teach", {"frame": None})
    page.wait(lambda: [page.count(label) for label in page.labels] == [4, 2], "six examples")
    return page


def open_gallery(page, label, count):
    page.click(f'.class[data-label="{label}"] .more')
    page.wait(lambda: len(page.all("#gallery-grid li")) == count, f"{count} pictures of {label}")


def test_the_gallery_shows_a_class(taught, device):
    page = taught
    page.wait(lambda: len(page.all("#gallery-grid li")) == 6, "all pictures")
    open_gallery(page, "ring", 2)
    assert page.text("#gallery-count") == "2 examples"
    page.run("document.querySelector('#gallery-grid img').scrollIntoView()")
    page.wait(lambda: page.run("return document.querySelector('#gallery-grid img').naturalWidth") > 0, "a thumbnail")


def test_several_pictures_are_moved_to_another_class(taught, device):
    page = taught
    open_gallery(page, "disc", 4)
    boxes = page.all("#gallery-grid input[type=checkbox]")[1:]
    boxes[0].click()
    page.actions.key_down(Keys.SHIFT).click(boxes[2]).key_up(Keys.SHIFT).perform()
    page.wait_text("#gallery-grid .tools", "3 pictures selected")
    page.click_text("#gallery-grid .chip", "ring")
    page.wait_toast("Moved 3 examples to ring")
    page.wait(lambda: device.counts() == {"disc": 1, "ring": 5}, "the device to follow")
    page.wait(lambda: len(page.all("#gallery-grid li")) == 1, "one picture of disc")
    page.click("#undo")
    page.wait_toast("Moved 3 examples back")
    assert device.counts() == {"disc": 4, "ring": 2}


def test_pictures_are_moved_to_a_new_class(taught, device):
    page = taught
    open_gallery(page, "ring", 2)
    page.all("#gallery-grid .tile input")[0].click()
    page.click_text("#gallery-grid .chip", "New class")
    page.find("#dialog-input").send_keys("hoop", Keys.ENTER)
    page.wait_toast("Moved 1 example to hoop")
    assert device.counts() == {"disc": 4, "ring": 1, "hoop": 1}


def test_pictures_are_deleted_and_the_message_offers_them_back(taught, device):
    page = taught
    open_gallery(page, "disc", 4)
    page.click("#gallery-grid .tick input")
    page.wait_text("#gallery-grid .tools", "4 pictures selected")
    page.click("#gallery-grid .danger")
    page.undo_in_toast("Deleted 4 examples")
    page.wait_toast("Restored 4 examples of disc")
    page.wait(lambda: sorted(page.labels) == ["disc", "ring"], "both classes again")
    assert device.counts() == {"disc": 4, "ring": 2}


def test_a_class_is_renamed(taught, device):
    page = taught
    open_gallery(page, "disc", 4)
    page.click("#class-rename")
    page.type("#dialog-input", "round thing")
    page.press(Keys.ENTER)
    page.wait_toast("Renamed disc to round thing")
    assert device.counts() == {"round thing": 4, "ring": 2}


def test_classes_are_merged_after_a_word_on_what_happens(taught, device):
    page = taught
    open_gallery(page, "ring", 2)
    page.click("#class-merge")
    assert "The 2 examples of ring will move to disc" in page.text("#dialog")
    assert "Undo restores everything" in page.text("#dialog")
    page.click("#dialog .primary")
    page.wait_toast("Merged ring into disc")
    page.wait(lambda: page.labels == ["disc"], "one class")
    assert device.counts() == {"disc": 6}
    page.click("#undo")
    page.wait_toast("Undid the merge")
    assert device.counts() == {"disc": 4, "ring": 2}


def test_a_class_is_forgotten_when_one_is_sure(taught, device):
    page = taught
    open_gallery(page, "disc", 4)
    page.click("#class-forget")
    page.press(Keys.ESCAPE)
    page.wait(lambda: not page.is_shown("#dialog"), "the dialog to close")
    assert device.counts() == {"disc": 4, "ring": 2}
    page.click("#class-forget")
    page.wait_text("#dialog", "This removes 4 examples")
    page.click("#dialog .solid")
    page.wait_toast("Forgot disc (4 examples)")
    page.wait(lambda: page.labels == ["ring"], "one class")
    page.click("#undo")
    page.wait_toast("Restored 4 examples of disc")


def test_unsure_pictures_are_named_in_one_go(taught, device):
    page = taught
    page.wait(lambda: len(page.all("#tray-grid li")) >= 3, "three visits in the tray")
    boxes = page.all("#tray-grid .tile input")
    boxes[0].click()
    boxes[1].click()
    page.wait_text("#tray-grid .tools", "2 pictures selected")
    page.click_text("#tray-grid .chip", "New class")
    page.find("#dialog-input").send_keys("other", Keys.ENTER)
    page.wait_toast("Taught other: 2 examples")
    page.wait(lambda: device.counts().get("other") == 2, "two examples of the new class")
    page.wait(lambda: page.labels == ["disc", "ring", "other"], "the new class")


def test_unsure_pictures_are_left_out(taught, device):
    page = taught
    page.wait(lambda: page.all("#tray-grid li"), "a visit in the tray")
    moment = device.ask("GET", "tray")["moments"][0]["id"]
    page.click("#tray-grid .tick input")
    page.click_text("#tray-grid button", "Dismiss")
    page.wait(lambda: moment not in [one["id"] for one in device.ask("GET", "tray")["moments"]], "the tray to shrink")
    assert device.counts() == {"disc": 4, "ring": 2}


@pytest.mark.parametrize("label", ["a/b", "%2F", "a//b/", "?#&=+", "teach", "classes"])
def test_a_class_of_any_name_can_be_changed(page, device, label):
    page.open(device)
    page.wait_ready()
    page.add_class(label)
    page.click(".class .class-button")
    page.wait(lambda: device.counts() == {label: 2}, "a second example")
    page.click(".class .more")
    page.wait(lambda: page.is_shown("#class-rename"), "the class to be selected")
    page.click("#class-rename")
    page.type("#dialog-input", f"{label} 2")
    page.press(Keys.ENTER)
    page.wait_toast("Renamed")
    page.wait(lambda: page.labels == [f"{label} 2"], "the new name")
    assert device.counts() == {f"{label} 2": 2}
