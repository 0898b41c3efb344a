"""Signing in with a token, and what each role sees."""

import pytest

from edge_app.web.tokens import Tokens
from support.browsing import Keys, LiveDevice

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def locked(tmp_path_factory, browser):
    """A device that wants a token from everyone, and a token of each role."""
    folder = tmp_path_factory.mktemp("locked")
    path = folder / "tokens.json"
    tokens = {role: Tokens(path).make(role) for role in ("view", "teach", "administer")}
    device = LiveDevice(folder, loopback_role="none", tokens=str(path))
    device.tokens = tokens
    device.start()
    device.ask("POST", "classes/thing/teach", {"frame": None}, token=tokens["teach"])
    yield device
    device.stop()


def sign_in(page, token):
    page.wait(lambda: page.is_shown("#dialog"), "the question for the token")
    page.find("#dialog-input").clear()
    page.find("#dialog-input").send_keys(token, Keys.ENTER)


@pytest.fixture
def page(page):
    page.expected |= {"401", "WebSocket"}
    return page


def test_nothing_is_shown_without_the_token(page, locked):
    page.open(locked)
    page.wait_text("#dialog", "Sign in to this device")
    page.press(Keys.ESCAPE + Keys.ESCAPE)
    page.wait(lambda: page.is_shown("#dialog"), "the question to stay")
    assert page.sequence == -1
    assert page.find("#dialog-input").get_attribute("type") == "password"


def test_a_wrong_token_is_refused_and_the_right_one_lets_in(page, locked):
    page.open(locked)
    sign_in(page, "edge-wrong")
    page.wait_text("#dialog .problem", "Wrong token.")
    sign_in(page, locked.tokens["administer"])
    page.wait_ready()
    assert not page.is_shown("#dialog")
    first = page.sequence
    page.wait(lambda: page.sequence > first, "frames to move")
    cookie = page.browser.get_cookies()[0]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")


def test_the_browser_stays_signed_in_until_it_signs_out(page, locked):
    page.open(locked)
    sign_in(page, locked.tokens["administer"])
    page.wait_ready()
    page.browser.refresh()
    page.wait_ready()
    page.wait(lambda: page.is_shown("#sign-out"), "the way out")
    page.click("#sign-out")
    page.wait_text("#dialog", "Sign in to this device")


def test_who_may_only_view_is_offered_nothing_else(page, locked):
    page.open(locked)
    sign_in(page, locked.tokens["view"])
    page.wait_ready()
    page.wait(lambda: page.labels == ["thing"], "the class")
    for selector in (
        "#undo",
        "#new-class",
        "#keys",
        "#tray",
        "#alike",
        "#history-delete",
        "#history-list button",
        "#export-import",
        "#class-actions",
        "#gallery-grid .tools",
    ):
        assert not page.is_shown(selector), selector
    assert page.find(page.class_button("thing")).tag_name == "div"
    page.press("1")
    page.wait(lambda: len(page.all("#gallery-grid li")) == 1, "the gallery")
    assert page.all("#gallery-grid input[type=checkbox]:not(.tools input)") == []
    assert page.count("thing") == 1


def test_who_may_teach_is_not_offered_to_administer(page, locked):
    page.open(locked)
    sign_in(page, locked.tokens["teach"])
    page.wait_ready()
    page.wait(lambda: "thing" in page.labels, "the class")
    page.click('.class[data-label="thing"] .more')
    for selector in ("#undo", "#new-class", "#tray", "#gallery-grid .tools"):
        assert page.is_shown(selector), selector
    for selector in ("#export-import", "#class-actions"):
        assert not page.is_shown(selector), selector
