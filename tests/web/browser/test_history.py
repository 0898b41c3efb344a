"""The history: a day as a timeline, filters, corrections, groups of unknown things, deletion."""

import json
from urllib.request import urlopen

import pytest

from support.browsing import Keys

pytestmark = pytest.mark.slow


UNKNOWN_S = 120.0
"""On a busy machine few decisions come while a shape is shown for its second."""


@pytest.fixture
def history(page, device):
    """A page that shows the history of a device that knows disc and ring, and not square and cross."""
    device.ask("DELETE", "visits?everything=true")
    page.open(device)
    page.wait_ready()
    for label in ("disc", "ring"):
        page.add_class(label, when=label)
    for label in ("disc", "ring"):
        page.wait_shape(label)
        page.click(page.class_button(label))
        page.wait(lambda label=label: page.count(label) == 2, "the example")
    page.run("document.getElementById('history').scrollIntoView()")
    return page


def visits(device, query=""):
    return device.ask("GET", f"visits?limit=500{query}")["visits"]


def rows(page):
    """Title and note of each visit in the list."""
    script = "return [...document.querySelectorAll('#history-list .visit')].map((row) => row.innerText)"
    return page.run(script)


def wait_for_rows(page, part, count=1):
    return page.wait(lambda: sum(shows(row, part) for row in rows(page)) >= count, f"{count} visits of {part}")


def shows(row, part):
    """Whether a row has that title, or that part in its note."""
    return row.splitlines()[0] == part or f", {part}" in row


def choose(page, selector, text):
    """Choose an option of a select; it is there once the device has such a visit."""
    page.wait(lambda: text in page.text(selector), f"the option {text}")
    script = """const select = document.querySelector(arguments[0]);
    select.value = [...select.options].find((option) => option.text === arguments[1]).value;
    select.dispatchEvent(new Event("change"));"""
    page.run(script, selector, text)


def press_in_row(page, part, button):
    """Press a button of the first visit that `shows` a part, in one go: the list may change. Return the visit's id."""
    script = """const row = [...document.querySelectorAll("#history-list .visit")].find((one) =>
      one.querySelector(".title").textContent === arguments[0] ||
      one.querySelector(".note").textContent.includes(`, ${arguments[0]}`));
    [...(row?.querySelectorAll("button") ?? [])].find((one) => one.textContent === arguments[1])?.click();
    return Number(row?.dataset.visit ?? 0);"""
    return page.wait(lambda: page.run(script, part, button), f"{button} of {part}")


def test_the_day_is_shown_as_it_goes_on(history, device):
    page = history
    wait_for_rows(page, "disc")
    wait_for_rows(page, "unknown")
    page.wait(lambda: len(page.all("#history-lanes .span")) >= 3, "spans on the timeline")
    assert "Timeline of the day" in page.find("#history-lanes svg").get_attribute("aria-label")
    page.wait(lambda: page.all("#history-plot rect"), "the plot")
    assert "unknown" in page.text("#history-plot .legend")
    page.click(".figures summary")
    cells = page.run("return [...document.querySelectorAll('#history-table tr')].map((row) => row.innerText)")
    assert any("disc" in row for row in cells)
    page.run("document.querySelector('#history-list img').scrollIntoView()")
    page.wait(lambda: page.run("return document.querySelector('#history-list img').naturalWidth") > 0, "a picture")


def test_filters_choose_what_is_listed_and_exported(history, device):
    page = history
    wait_for_rows(page, "disc")
    choose(page, "#history-label", "ring")
    page.wait(lambda: rows(page) and all("ring" in row.splitlines()[0] for row in rows(page)), "only rings")
    link = page.find("#history-json").get_attribute("href")
    with urlopen(link) as answer:
        assert {one["label"] for one in json.load(answer)["visits"]} == {"ring"}
    page.wait(lambda: visits(device, "&unknown=true"), "an unknown visit", UNKNOWN_S)
    choose(page, "#history-label", "all")
    choose(page, "#history-show", "unsure first")
    page.wait(lambda: rows(page) and "unknown" in rows(page)[0].splitlines()[0], "the unsure ones first")
    page.click("#history-earlier")
    page.wait_text("#history-count", "no visits")
    page.wait(lambda: not page.is_shown("#history-plot"), "the plot to go")
    page.click("#history-all")
    wait_for_rows(page, "ring")
    page.wait(lambda: page.text("#history-period") == "Day", "the plot of days")
    page.wait(lambda: page.all("#history-lanes svg") == [], "the timeline to go")


def test_it_was_something_else(history, device):
    page = history
    wait_for_rows(page, "disc")
    before = device.counts()
    press_in_row(page, "disc", "It was something else")
    page.wait_text("#dialog", "The device took it for: disc.")
    page.click_text("#dialog .chip", "ring")
    page.wait(lambda: device.counts()["ring"] > before["ring"], "the example")
    assert device.counts() == {"disc": before["disc"], "ring": before["ring"] + 1}
    # the visit is marked once the example is stored
    (taught,) = page.wait(lambda: [one for one in visits(device) if one["taught"]], "the mark")
    assert (taught["label"], taught["taught"]) == ("disc", "ring")
    wait_for_rows(page, "taught as ring")
    page.click("#undo")
    page.wait_toast("Removed 1 example of ring")
    assert device.counts() == before
    page.wait(lambda: not any("taught as" in row for row in rows(page)), "the row to be as before")


def test_a_correction_is_corrected(history, device):
    page = history
    wait_for_rows(page, "unknown")
    press_in_row(page, "unknown", "What is it?")
    page.find("#dialog-input").send_keys("square", Keys.ENTER)
    page.wait_toast("Taught square: 1 example")
    wait_for_rows(page, "taught as square")
    press_in_row(page, "taught as square", "It was something else")
    page.wait_text("#dialog", "It was taught as square.")
    page.find("#dialog-input").send_keys("cross", Keys.ENTER)
    page.wait(lambda: "cross" in device.counts(), "the example to move")
    assert "square" not in device.counts()
    wait_for_rows(page, "taught as cross")


def test_unknown_things_that_look_alike_are_named_together(history, device):
    page = history
    page.wait(lambda: len(visits(device, "&unknown=true")) >= 5, "unknown visits", UNKNOWN_S)
    page.click("#alike summary")
    page.wait_text("#alike-groups li p", "look alike: what is it?")
    count = int(page.text("#alike-groups li p").split()[1])
    assert len(page.all("#alike-groups li:first-child img")) == min(count, 6)
    page.click("#alike-groups .primary")
    page.wait_text("#dialog", f"All {count} pictures become examples of one class")
    page.find("#dialog-input").send_keys("new thing", Keys.ENTER)
    page.wait_toast(f"Taught new thing: {count} examples")
    assert device.counts()["new thing"] == count
    page.click("#undo")
    page.wait_toast(f"Removed {count} examples of new thing")
    assert "new thing" not in device.counts()


def test_visits_are_deleted_when_one_is_sure(history, device):
    page = history
    wait_for_rows(page, "ring", 2)
    gone = press_in_row(page, "ring", "Delete")
    page.wait_text("#dialog", "It cannot be restored")
    page.click("#dialog .solid")
    page.wait_toast("Deleted 1 visit")
    assert gone not in [one["id"] for one in visits(device)]
    choose(page, "#history-label", "ring")
    page.wait(lambda: rows(page) and all("ring" in row.splitlines()[0] for row in rows(page)), "only rings")
    page.click("#history-delete")
    page.wait_text("#dialog", "All visits of ring on ")
    page.click("#dialog .solid")
    page.wait_toast("Deleted")
    assert visits(device, "&unknown=true") != []


def test_the_tray_is_still_there_after_a_restart(start_device, page):
    device = start_device()
    device.ask("POST", "classes/disc/teach", {"frame": None})
    page.open(device)
    page.wait_ready()
    page.wait(lambda: len(page.all("#tray-grid li")) >= 2, "visits in the tray")
    kept = [one["id"] for one in device.ask("GET", "tray")["moments"]]
    page.expected |= {"WebSocket", "ERR_CONNECTION"}
    device.stop()
    device.start()
    assert set(kept) <= {one["id"] for one in device.ask("GET", "tray")["moments"]}
    page.open(device)
    page.wait(lambda: len(page.all("#tray-grid li")) >= len(kept), "the same visits")
    page.all("#tray-grid .tile input")[-1].click()
    page.click_text("#tray-grid .chip", "disc")
    page.wait_toast("Taught disc: 1 example")
    assert device.counts() == {"disc": 2}


def test_without_a_history_the_page_says_so(start_device, page):
    device = start_device(more={"history": {"enabled": False}})
    device.ask("POST", "classes/disc/teach", {"frame": None})
    page.open(device)
    page.wait_ready()
    page.wait_text("#tray-empty", "keeps no history ([history] enabled)")
    page.wait(lambda: page.is_shown("#history-off"), "the reason")
    assert not page.is_shown("#history-body")


def test_the_page_says_why_nothing_is_stored(start_device, page, tmp_path):
    device = start_device()
    device.stop()
    (database,) = tmp_path.rglob("history.sqlite")
    for path in database.parent.glob("history.sqlite*"):
        path.unlink()
    database.mkdir()
    page.expected |= {"503"}
    device.start()
    page.open(device)
    page.wait_ready()
    page.wait_text("#history-stopped", "No visits are stored at the moment:")
    database.rmdir()
