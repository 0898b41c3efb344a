"""Rules on the page: what they say, a switch that is kept, a test that switches the line."""

import pytest

from support.browsing import AXE, LiveDevice

pytestmark = pytest.mark.slow

CONFIG = {
    "outputs": {"uri": "sim:door"},
    "rules": [
        {"name": "let it in", "label": "disc", "output": "door", "pulse_ms": 3000},
        {"name": "lamp", "label": "ring", "output": "door", "enabled": False},
    ],
}


def test_rules_are_read_switched_and_tested(page, tmp_path, browser, axe):
    device = LiveDevice(tmp_path, more=CONFIG)
    device.start()
    try:
        page.open(device)
        page.wait(lambda: len(page.all(".rule")) == 2, "two rules")
        first = ".rule:nth-child(1)"
        assert page.text(f"{first} .sentence").startswith('When "disc" comes into view: switch "door" on for 3000 ms')
        page.wait_text(f"{first} .reason", "Not fired since the start. Now: disc is not in view.")
        page.wait_text(".rule:nth-child(2) .reason", "it is switched off")

        for _ in range(3):
            page.wait_shape("disc")
            device.ask("POST", "classes/disc/teach", {"frame": None})
        page.wait_text(f"{first} .reason", "Fired ")

        page.run(axe)
        assert page.browser.execute_async_script(AXE, "#rules") == []

        page.click(f"{first} input")
        page.wait_text(f"{first} .reason", "it is switched off")
        page.wait_text("#rule-parts", "door: off")
        page.click(f"{first} button")
        page.wait_toast("Tested let it in")
        page.wait_text("#rule-parts", "door: on")
        page.wait_text("#rule-parts", "door: off")
        page.browser.get("about:blank")  # nobody polls while it is away
        device.stop()
        device.start()
        assert [rule["enabled"] for rule in device.ask("GET", "rules")["rules"]] == [False, False]
    finally:
        page.browser.get("about:blank")
        device.stop()


def test_without_rules_the_page_has_no_place_for_them(page, device):
    page.open(device)
    page.wait_ready()
    assert not page.is_shown("#rules")
