"""Places on the page: drawn by mouse, finger and keyboard, opened, taught, and known after a restart."""

import pytest

from edge_app.web.tokens import Tokens
from support.browsing import AXE, Keys

pytestmark = pytest.mark.slow

LEFT, RIGHT, DOWN, DELETE = "\ue012", "\ue014", "\ue015", "\ue017"
BOXES = "return [...document.querySelectorAll('.place-box')].map((box) => box.dataset.place)"
GATE = {"name": "gate", "region": [0.25, 0.2, 0.5, 0.6]}
WHOLE = {"name": "camera", "group": "default"}


@pytest.fixture
def placed(start_device, page):
    """A device whose port stays over restarts, and whose page expects them."""
    device = start_device()
    device.stop()
    device.start()
    page.expected |= {"net::ERR_", "WebSocket connection", "404", "503"}
    return device


def open_panel(page):
    page.wait(lambda: page.is_shown("#places"), "the panel")
    if not page.run("return document.getElementById('places-panel').open"):
        page.click("#places-panel summary")
    width = "return document.querySelector('.place-picture canvas')?.width ?? 0"
    page.wait(lambda: page.run(width) == 320, "the whole picture")


def drag(page, selector, start, *, by):
    """Drag on the first element from a point (fractions of it) by a distance (fractions of the picture)."""
    page.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
    box = page.find(selector)
    size, picture = box.size, page.find(".place-picture").size
    x, y = (round((start[at] - 0.5) * size[side]) for at, side in enumerate(("width", "height")))
    right, down = round(by[0] * picture["width"]), round(by[1] * picture["height"])
    actions = page.actions.move_to_element_with_offset(box, x, y).click_and_hold()
    actions.move_by_offset(right // 2, down // 2).move_by_offset(
        right - right // 2, down - down // 2
    ).release().perform()


def region(device, name):
    return next(place["region"] for place in device.ask("GET", "places")["places"] if place["name"] == name)


def wait_places(page, *names):
    page.wait(lambda: not page.is_shown("#places-save") and page.run(BOXES) == list(names), f"the places {names}", 90)
    page.wait(lambda: not page.is_shown("#trouble") and not page.is_shown("#picture-note"), "the live picture")


def test_a_place_is_drawn_with_the_mouse_opened_and_taught_and_known_after_a_restart(page, placed, axe):
    page.open(placed)
    page.wait_ready()
    open_panel(page)
    page.click("#places-edit")
    drag(page, ".place-picture", (0.25, 0.2), by=(0.5, 0.6))
    page.wait(lambda: page.is_shown("#place-form"), "the form")
    page.type("#place-name", "gate")
    page.run(axe)
    assert page.browser.execute_async_script(AXE, "#places") == []
    page.click("#places-save")
    page.wait_toast("The device restarts")
    wait_places(page, "camera", "gate")
    assert region(placed, "gate") == pytest.approx([0.25, 0.2, 0.5, 0.6], abs=0.01)
    assert page.browser.execute_async_script(AXE, "#places") == []

    page.click('[data-place="gate"] a')
    page.wait_text("#live-title", "Live view: gate")
    page.wait_ready()
    for name in ("disc", "ring"):
        page.add_class(name, when=name)
    assert placed.counts() == {}, "the other place has classes of its own"
    placed.stop()
    placed.start()
    page.browser.refresh()  # what is on the screen is then of the new start
    page.wait(lambda: page.text('[data-place="gate"] a') in ("gate: disc", "gate: ring"), "a state that was taught", 90)
    page.wait(lambda: page.labels == ["disc", "ring"], "both states")
    page.wait_ready()
    assert [place["classes"] for place in placed.ask("GET", "places")["places"]] == [0, 2]

    # moved and sized by its corner: neither restarts the device
    page.click("#places-edit")
    drag(page, '[data-place="gate"] button > span', (0.5, 0.5), by=(-0.2, 0.1))
    drag(page, '[data-place="gate"] .corner', (0.4, 0.4), by=(0.2, -0.1))
    page.click("#places-save")
    page.wait_toast("Saved.")
    assert region(placed, "gate") == pytest.approx([0.05, 0.3, 0.7, 0.5], abs=0.02)
    assert page.labels == ["disc", "ring"]

    # a place that is removed leads back to the first
    page.click("#places-edit")
    page.click('[data-place="gate"] button > span')
    page.click("#place-remove")
    page.click("#places-save")
    page.wait(lambda: "place=" not in page.browser.current_url, "the page of the first place", 90)
    wait_places(page, "camera")


def test_a_place_is_added_moved_sized_and_removed_by_keyboard(page, placed):
    placed.ask("POST", "classes/mug/teach", {"frame": None})
    page.open(placed)
    page.wait_ready()
    open_panel(page)
    page.run("document.getElementById('places-edit').focus()")
    page.press(Keys.ENTER)
    assert page.focus.get_attribute("id") == "place-add"
    page.press(Keys.ENTER)
    page.press(RIGHT * 5 + DOWN * 3)
    page.actions.key_down(Keys.SHIFT).send_keys(LEFT * 10).key_up(Keys.SHIFT).perform()
    label = page.focus.get_attribute("aria-label")
    assert label == "place 2: 30% from the left, 28% from the top, 40% wide, 50% high"
    page.press(Keys.TAB)
    page.run("document.getElementById('place-name').focus()")
    page.type("#place-name", "shelf")
    page.run(
        "const group = document.getElementById('place-group'); group.focus(); group.value = 'default';"
        "group.dispatchEvent(new Event('change'))"
    )
    page.run("document.getElementById('place-add').focus()")
    page.press(Keys.ENTER)
    page.press(DELETE)
    assert page.focus.get_attribute("id") == "place-add"
    page.run("document.getElementById('places-save').focus()")
    page.press(Keys.ENTER)
    wait_places(page, "camera", "shelf")
    found = placed.ask("GET", "places")["places"][1]
    assert (found["region"], found["group"], found["classes"]) == ([0.3, 0.28, 0.4, 0.5], "default", 1)

    # Enter opens it
    page.run("document.querySelector('[data-place=shelf] a').focus()")
    page.press(Keys.ENTER)
    page.wait(lambda: page.browser.current_url.endswith("?place=shelf"), "its page")
    page.wait(lambda: page.labels == ["mug"], "what the group knows")


def test_a_mistake_is_told_and_what_was_drawn_stays(page, placed):
    page.expected.add("422")
    page.open(placed)
    page.wait_ready()
    open_panel(page)
    page.click("#places-edit")
    page.click("#place-add")
    page.type("#place-name", "camera")
    page.click("#places-save")
    page.wait_toast("place 'camera' is there 2 times")
    assert page.is_shown("#places-save")
    page.click("#places-cancel")
    assert page.run(BOXES) == ["camera"]


def test_a_place_is_drawn_with_a_finger_on_a_small_phone(page, placed):
    page.show(width=320, height=640, mobile=True)
    page.open(placed)
    page.wait_ready()
    open_panel(page)
    page.click("#places-edit")
    page.run("document.querySelector('.place-picture').scrollIntoView({block: 'center'})")
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    builder = ActionBuilder(page.browser, mouse=PointerInput("touch", "finger"))
    finger = builder.pointer_action.move_to(page.find(".place-picture")).pointer_down()
    finger.move_by(40, 30).move_by(40, 30)
    finger.pointer_up()
    builder.perform()
    page.wait(lambda: page.run(BOXES) == ["camera", "new 1"], "what was drawn")
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    page.show(width=320, height=640, mobile=True, prefers_color_scheme="dark")
    page.click("#places-save")
    wait_places(page, "camera", "place 2")


def test_who_may_only_look_sees_several_places_and_changes_none(start_device, page, tmp_path):
    path = tmp_path / "tokens.json"
    token = Tokens(path).make("view")
    device = start_device(loopback_role="none", tokens=str(path), more={"places": [WHOLE, GATE]})
    page.expected |= {"401", "WebSocket"}
    page.open(device)
    page.wait(lambda: page.is_shown("#dialog"), "the question for the token")
    page.find("#dialog-input").send_keys(token, Keys.ENTER)
    page.wait(lambda: page.run(BOXES) == ["camera", "gate"], "the places")
    assert page.is_shown("#place-pictures")
    assert not page.is_shown("#places-edit")
    page.wait_text('[data-place="gate"] a', "gate: nothing taught")


def test_with_one_place_the_page_of_a_viewer_is_as_without_places(start_device, page, tmp_path):
    path = tmp_path / "tokens.json"
    token = Tokens(path).make("teach")
    device = start_device(loopback_role="none", tokens=str(path))
    page.expected |= {"401", "WebSocket"}
    page.open(device)
    page.wait(lambda: page.is_shown("#dialog"), "the question for the token")
    page.find("#dialog-input").send_keys(token, Keys.ENTER)
    page.wait_ready()
    page.wait(lambda: page.is_shown("#new-class"), "what the role may do")
    assert not page.is_shown("#places")
    assert page.text("#live-title") == "Live view"
