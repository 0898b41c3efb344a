"""Fixtures: a device and a browser per worker, and per test a page that must leave the console clean."""

import shutil
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.browsing import LiveDevice, Page

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


def open_browser() -> "Chrome":
    """Open Debian's Chromium, or another, without a window."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


@pytest.fixture(scope="session")
def browser() -> Iterator["Chrome"]:
    """One Chromium for all tests of a worker."""
    pytest.importorskip("selenium", reason="selenium is not installed: pip install -e '.[dev]'")
    pytest.importorskip("uvicorn", reason="the page's server is not installed: pip install -e '.[web]'")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no Chromium with its driver on this machine: apt-get install chromium chromium-driver")
    browser = open_browser()
    yield browser
    browser.quit()


@pytest.fixture(scope="session")
def shared_device(tmp_path_factory: pytest.TempPathFactory, browser: object) -> Iterator[LiveDevice]:
    """One device for all tests of a worker; `browser` is requested so that it is not started in vain."""
    device = LiveDevice(tmp_path_factory.mktemp("device"))
    device.start()
    yield device
    device.stop()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core."""
    package = pytest.importorskip("axe_core_python", reason="axe-core is not installed: pip install -e '.[dev]'")
    return resources.files(package).joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def device(shared_device: LiveDevice) -> LiveDevice:
    """The shared device, as if nothing had been taught."""
    shared_device.forget_all()
    return shared_device


@pytest.fixture
def start_device(tmp_path: Path, browser: object) -> Iterator[Callable[..., LiveDevice]]:
    """Start a device of the test's own."""
    started: list[LiveDevice] = []

    def start(**options: object) -> LiveDevice:
        device = LiveDevice(tmp_path, **options)
        started.append(device)
        device.start()
        return device

    yield start
    for device in started:
        device.stop()


@pytest.fixture
def page(browser: "Chrome") -> Iterator[Page]:
    """A new page of desktop size; afterwards the console must hold no error and no violation of the content policy."""
    page = Page(browser)
    page.show()
    yield page
    browser.delete_all_cookies()
    browser.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": browser.current_url, "storageTypes": "all"})
    # the page is left before its console is read: what it logs last would be told of the next test
    browser.get("about:blank")
    assert page.complaints() == []
