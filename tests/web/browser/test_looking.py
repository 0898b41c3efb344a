"""The page before anyone teaches."""

import pytest

pytestmark = pytest.mark.slow


def test_pictures_move_and_their_numbers_are_known(page, device):
    page.open(device)
    page.wait_ready()
    first = page.sequence
    page.wait(lambda: page.sequence > first + 10, "ten more frames")
    page.wait_shape("disc")


def test_the_device_says_how_it_is(page, device):
    page.open(device)
    page.wait_ready()
    page.wait_text("#vitals .health", "OK")
    page.wait_text("#vitals .fps", "frames/s")
    page.wait(lambda: "ms" in page.text("#vitals .latency"), "the latency")
    assert not page.is_shown("#trouble")


def test_before_anything_is_taught_it_says_so(page, device):
    page.open(device)
    page.wait_text("#decision", "Nothing taught yet")
    page.wait_text("#classes-empty", "Nothing taught yet")
    assert not page.is_shown("#class-actions")


def test_a_first_visit_is_explained_once(page, device):
    page.open(device, welcomed=False)
    assert len(page.all("#welcome li")) == 3
    page.click("#welcome-close")
    assert not page.is_shown("#welcome")
    page.open(device, welcomed=False)
    page.wait_ready()
    assert not page.is_shown("#welcome")


def test_spikes_are_shown_as_they_happen(page, device):
    page.open(device)
    page.wait_ready()
    page.add_class("disc", when="disc")
    page.add_class("ring", when="ring")
    page.wait(lambda: len(page.all("#columns li")) == 2, "a row for each class")
    page.wait(lambda: page.text("#columns .own .name") == page.text("#decision") != "", "the winner's row to stand out")
    assert int(page.text("#columns .own .count")) > 0


def test_heat_map_shows_what_drove_the_leading_column(page, device):
    page.open(device)
    page.wait_ready()
    assert not page.find("#heat-map-toggle").is_enabled(), "nothing was taught"
    page.add_class("disc", when="disc")
    page.add_class("ring", when="ring")
    page.wait(lambda: page.find("#heat-map-toggle").is_enabled(), "classes to ask for")
    page.click("#heat-map-toggle")
    page.wait(lambda: page.is_shown("#heat-map"), "a map")
    assert page.find("#heat-map-toggle").get_attribute("aria-pressed") == "true"
    assert page.find("#heat-map").get_attribute("width") == "7"
    assert page.text("#heat-map-words").split(",")[0] in ("disc", "ring")
    opaque = (
        "return document.getElementById('heat-map').getContext('2d').getImageData(0, 0, 7, 7).data.some((x) => x > 150)"
    )
    assert page.run(opaque)
    assert page.is_shown("#similar")
    assert sorted(item.text.split(",")[0].strip() for item in page.all("#similar li")) == ["disc", "ring"]
    page.click("#heat-map-toggle")
    assert not page.is_shown("#heat-map")
    assert not page.is_shown("#similar")
    assert not page.is_shown("#heat-map-words")


def test_pause_stops_what_moves_and_teaching_with_it(page, device):
    page.open(device)
    page.wait_ready()
    page.add_class("thing")
    page.click("#pause")
    page.wait_text("#picture-note", "Paused")
    page.wait(lambda: page.find(page.class_button("thing")).get_attribute("aria-disabled") == "true", "no teaching")
    page.click(page.class_button("thing"))
    page.press("1")
    stopped_at = page.sequence
    page.click("#pause")
    page.wait(lambda: page.sequence > stopped_at, "frames again")
    assert page.count("thing") == device.counts()["thing"] == 1


def test_more_windows_than_a_browser_opens_connections(page, device):
    first = page.browser.current_window_handle
    try:
        for _ in range(7):
            page.browser.switch_to.new_window("window")
            page.open(device)
            page.wait_ready()
            page.wait(lambda: page.run("return document.visibilityState") == "visible", "the window to be seen")
        page.add_class("thing")
        page.wait_text("#decision", "thing")
        assert device.counts() == {"thing": 1}
    finally:
        for handle in page.browser.window_handles:
            if handle != first:
                page.browser.switch_to.window(handle)
                page.browser.close()
        page.browser.switch_to.window(first)


def test_events_come_where_a_proxy_passes_no_websockets_on(page, device):
    page.expected.add("WebSocket")
    broken = """
    const native = window.WebSocket;
    window.WebSocket = class extends native {
      constructor(url) { super(String(url).replace("/events", "/nothing")); }
    };
    """
    added = page.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": broken})
    try:
        page.open(device)
        page.wait_ready()
        page.add_class("thing")
        page.wait_text("#decision", "thing")
    finally:
        page.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_the_empty_scene_is_offered_on_the_first_visit(page, device):
    page.open(device, welcomed=False)
    page.wait_ready()
    page.click("#welcome-nothing")
    page.wait(lambda: "nothing" in page.text("#class-list"), "the class of the empty scene")
    page.wait(lambda: page.text("#toast-text").startswith("Taught the empty scene"), "the message")


def test_the_slider_says_what_it_would_have_done_and_sets_the_strictness(page, device):
    page.open(device)
    page.wait_ready()
    page.add_class("disc", when="disc")
    page.add_class("ring", when="ring")
    for shape in ("disc", "ring"):
        page.wait_shape(shape)
        page.click(page.class_button(shape))
    page.wait(lambda: "it would have rejected" in page.text("#strictness-words"), "what it would have done")
    page.run("const s = document.getElementById('strictness'); s.value = 0; s.dispatchEvent(new Event('input'))")
    page.wait_text("#strictness-words", "Always names a class")
    page.run("document.getElementById('strictness').dispatchEvent(new Event('change'))")
    page.wait(lambda: device.ask("GET", "strictness")["strictness"] == 0, "the device to follow")
    device.ask("PUT", "strictness", {"strictness": 0.5})
