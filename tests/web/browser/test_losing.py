"""Loss of the service or the camera, and reconnection."""

import pytest

pytestmark = pytest.mark.slow


def test_the_service_goes_and_comes_back(start_device, page):
    device = start_device()
    page.open(device)
    page.wait_ready()
    page.add_class("thing")
    page.expected |= {"net::ERR_", "WebSocket"}
    device.stop()
    page.wait_text("#trouble-text", "The device is not responding")
    page.wait_text("#picture-note", "No connection")
    page.click(page.class_button("thing"))
    page.wait_toast("not responding")
    before = page.sequence
    device.start()
    page.wait(lambda: not page.is_shown("#trouble"), "the page to find it again")
    page.wait(lambda: page.sequence not in (before, -1), "frames to move again")
    page.wait(lambda: not page.is_shown("#picture-note"), "the picture to be live")
    assert page.labels == ["thing"]


def test_try_now_does_not_wait(page, device):
    page.open(device)
    page.wait_ready()
    page.expected |= {"net::ERR_", "WebSocket"}
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.browser.execute_cdp_cmd("Network.enable", {})
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", network | {"offline": True})
    page.wait_text("#trouble-text", "The device is not responding")
    page.run("Math.random = () => 1e6")  # the next try by itself would be far away
    page.click("#trouble-retry")
    tries = "return performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/state')).length"
    made = page.run(tries)
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", network | {"offline": False})
    page.run("window.dispatchEvent(new Event('online'))")
    page.wait(lambda: not page.is_shown("#trouble"), "the page to find it at once")
    assert page.run(tries) > made


def test_the_camera_goes_and_comes_back(start_device, page):
    device = start_device(camera="sim:scene=shapes,size=320x240,fps=15,unplug=4+5")
    page.open(device)
    page.wait_text("#trouble-text", "camera")
    page.wait_text("#vitals .health", "Problem")
    assert page.is_shown("#trouble")
    page.wait(lambda: not page.is_shown("#trouble"), "the camera to come back")
    page.wait_text("#vitals .health", "OK")
