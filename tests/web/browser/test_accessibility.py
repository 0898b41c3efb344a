"""Accessibility: phone and desktop, light and dark, keyboard and screen reader."""

from itertools import pairwise

import pytest

from support.browsing import AXE, Keys

pytestmark = pytest.mark.slow

SIZES = {
    "phone": {"width": 360, "height": 740, "mobile": True},
    "tablet": {"width": 820, "height": 1100},
    "desk": {"width": 1440, "height": 900},
}


@pytest.fixture(scope="module")
def furnished(shared_device):
    """A device with something in every part of its page; these tests change nothing of it."""
    shared_device.forget_all()
    for label in ("disc", "ring"):
        shared_device.ask("POST", f"classes/{label}/teach", {"frame": None})
    return shared_device


@pytest.fixture
def full(page, furnished):
    page.open(furnished)
    page.wait_ready()
    page.wait(lambda: page.all("#tray-grid li") and len(page.all("#gallery-grid li")) == 2, "tray and gallery")
    page.click("#gallery-grid .tile input")
    return page


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("desk", "dark")])
def test_axe_finds_nothing(full, axe, size, scheme):
    full.show(**SIZES[size], prefers_color_scheme=scheme)
    full.wait(lambda: full.run("return innerWidth") == SIZES[size]["width"], "the window's size")
    full.run(axe)
    assert full.browser.execute_async_script(AXE, "body") == []


def test_axe_finds_nothing_in_the_questions_and_focus_comes_back(full, axe):
    full.click('.class[data-label="disc"] .more')
    full.run(axe)
    for opener in ("#class-rename", "#class-merge", "#class-forget", "#export", "#help-open"):
        full.wait(lambda opener=opener: full.is_shown(opener), opener)
        full.click(opener)
        full.wait(lambda: full.is_shown("#dialog"), "the dialog")
        assert full.browser.execute_async_script(AXE, "#dialog") == [], opener
        full.press(Keys.ESCAPE)
        full.wait(lambda: not full.is_shown("#dialog"), "the dialog to close")
        assert full.focus.get_attribute("id") == opener[1:]


def test_nothing_makes_the_page_scroll_sideways(full):
    wide = """return [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() &&
      !e.closest(".unseen, .skip") && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML)"""
    for size in SIZES.values():
        full.show(**size)
        full.wait(lambda size=size: full.run("return innerWidth") == size["width"], "the window's size")
        assert full.run(wide) == []
        assert full.run("return document.documentElement.scrollWidth <= innerWidth")


def test_what_is_pressed_is_large_enough_for_a_finger(full):
    full.show(**SIZES["phone"])
    small = """
    return [...document.querySelectorAll("button, select, label.tile, summary")]
      .filter((element) => element.checkVisibility())
      .filter((element) => Math.min(element.getBoundingClientRect().width, element.getBoundingClientRect().height) < 24)
      .map((element) => element.outerHTML);
    """
    assert full.run(small) == []
    assert full.run("return document.querySelector('.class-button').getBoundingClientRect().height") >= 60


def test_a_screen_reader_hears_of_decisions_and_not_too_often(full):
    full.run(
        """window.heard = [];
        const spoken = document.getElementById("spoken");
        new MutationObserver(() => window.heard.push([performance.now(), spoken.textContent]))
          .observe(spoken, {childList: true});"""
    )
    heard = full.wait(
        lambda: len(full.run("return window.heard")) >= 3 and full.run("return window.heard"), "three words"
    )
    assert all("sure" in text or "guessing" in text or text == "Unknown" for _, text in heard)
    assert all(later - earlier > 2500 for (earlier, _), (later, _) in pairwise(heard))


def test_less_motion_is_respected(full):
    full.show(prefers_reduced_motion="reduce")
    full.wait(lambda: full.run("return matchMedia('(prefers-reduced-motion: reduce)').matches"), "the wish")
    assert full.run("return getComputedStyle(document.querySelector('#confidence > span')).transitionDuration") == "0s"


def test_a_very_long_name_fits_a_phone(page, device):
    page.show(**SIZES["phone"])
    page.open(device)
    page.wait_ready()
    page.add_class("W" * 100)
    page.wait(lambda: page.all("#gallery-grid li"), "its picture")
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")


def test_dark_follows_the_system(page, device):
    page.show(prefers_color_scheme="dark")
    page.open(device)
    dark = page.run("return getComputedStyle(document.body).backgroundColor")
    page.show(prefers_color_scheme="light")
    page.wait(lambda: page.run("return getComputedStyle(document.body).backgroundColor") != dark, "other colours")


def test_everything_is_reached_and_done_by_keyboard(page, device):
    page.open(device)
    page.wait_ready()
    page.press(Keys.TAB)
    assert page.focus.text == "Skip to classes"
    page.press(Keys.ENTER)
    reached = []
    while (active := page.focus).get_attribute("id") != "new-class-name":
        reached.append(active.get_attribute("id"))
        page.press(Keys.TAB)
        assert len(reached) < 10
    page.press("thing" + Keys.ENTER)
    page.wait(lambda: page.labels == ["thing"], "the class")
    page.actions.key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
    assert "Examples" in page.focus.text
    page.run("document.querySelector('.class-button').focus()")
    page.press(Keys.SPACE)
    page.wait(lambda: page.count("thing") == 2, "one more by the space bar")
    page.press(Keys.ENTER)
    page.wait(lambda: page.count("thing") == 3, "one more by Enter")
    assert device.counts() == {"thing": 3}
