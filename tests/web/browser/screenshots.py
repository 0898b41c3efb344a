"""Makes the pictures of docs/page.md: a device with the simulated camera, taught through its page.

`make screenshots` runs it; it takes two minutes. The scene is known, so every press is right.
"""

import base64
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from conftest import open_browser
from edge_app.simulation.photographs import load_photographs
from edge_app.simulation.scene import endless_shots
from support.browsing import LiveDevice, Page

FIGURES = Path(__file__).resolve().parents[3] / "docs" / "figures"
FPS, SHOT_S, SEED = 10, 3.0, 1
THINGS = ("cup", "cat", "motorbike", "coin")
PRESSES, EXAMPLES = 3, 7
"""Presses at a time, and examples of each thing."""
PLACES = (
    {"name": "camera", "group": "default"},
    {"name": "left tray", "region": [0.06, 0.1, 0.4, 0.8], "group": "trays"},
    {"name": "right tray", "region": [0.54, 0.1, 0.4, 0.8], "group": "trays"},
)
PATIENCE_S = 300.0
SURE = 70
SETTLED = (0.6, 2.6)
"""Seconds into a shot between which it is certainly on the screen."""


class Show:
    """The scene at the frame on the screen."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._shots = endless_shots(load_photographs(), SEED)

    def now(self) -> tuple[int, str | None]:
        """Return the shot's number, and what it shows; None near its beginning and end."""
        seconds = self._page.sequence / FPS
        index, within = int(seconds // SHOT_S), seconds % SHOT_S
        return index, self._shots(index).name if SETTLED[0] < within < SETTLED[1] else None

    def wait_other(self, index: int, things: Collection[str]) -> tuple[int, str]:
        """Wait until one of some things is shown, in another shot than `index`."""
        return self._page.wait(
            lambda: (found := self.now())[1] in things and found[0] != index and found, "something to teach", PATIENCE_S
        )


def shoot(page: Page, name: str) -> None:
    """Write what is on the screen to docs/figures."""
    options = {"format": "jpeg", "quality": 82}
    data = page.browser.execute_cdp_cmd("Page.captureScreenshot", options)["data"]
    path = FIGURES / f"page-{name}.jpg"
    path.write_bytes(base64.b64decode(data))
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def teach(page: Page, show: Show) -> None:
    """Teach all things, a few presses at each time that they are shown."""
    index = -1
    while wanted := [name for name in THINGS if page.count(name) < EXAMPLES]:
        index, name = show.wait_other(index, wanted)
        if name not in page.labels:  # its name first: by the time that it is typed something else is shown
            page.type("#new-class-name", name)
            index, _ = show.wait_other(index, [name])
            page.add_class(name)
        for _ in range(PRESSES):
            if show.now() != (index, name):
                break
            before = page.count(name)
            # by its key: the buttons move when advice appears below one, and a click would miss
            page.press(str(page.labels.index(name) + 1))
            page.wait(lambda before=before, name=name: page.count(name) > before, "the example")


def wait_right(page: Page, show: Show) -> None:
    """Wait until the device is sure of what is shown, and right."""
    page.wait(
        lambda: (
            show.now()[1] == page.text("#decision")
            and int(page.find("#confidence").get_attribute("aria-valuenow")) >= SURE
        ),
        "a decision that is sure and right",
        PATIENCE_S,
    )


def walk(page: Page, device: LiveDevice) -> None:
    """Use the page as a person does, and take a picture now and then."""
    show = Show(page)
    page.show(width=1360, height=860)
    page.open(device, welcomed=False)
    page.wait_ready()
    show.wait_other(-1, THINGS)
    shoot(page, "first")
    page.click("#welcome-close")
    teach(page, show)
    page.click("#toast-close") if page.is_shown("#toast-close") else None
    for scheme in ("light", "dark"):
        page.show(width=1360, height=860, prefers_color_scheme=scheme)
        wait_right(page, show)
        shoot(page, scheme)
    page.show(width=1360, height=860)
    page.click('.class[data-label="cup"] .more')
    page.wait(lambda: len(page.all("#gallery-grid li")) >= EXAMPLES, "the cup's pictures")
    for box in page.all("#gallery-grid .tile input")[1:4]:
        box.click()
    shoot(page, "gallery")
    page.click("#gallery-grid .tick input")
    page.click("#gallery-grid .tick input")
    page.run("document.getElementById('history').scrollIntoView()")
    page.wait(lambda: page.all("#history-plot rect") and page.all("#history-list img"), "the history")
    wait_right(page, show)
    shoot(page, "history")
    page.show(width=390, height=844, mobile=True)
    page.run("scrollTo(0, 0)")
    wait_right(page, show)
    shoot(page, "phone")
    page.run("document.getElementById('tray').scrollIntoView()")
    for box in page.all("#tray-grid .tile input")[:2]:
        box.click()
    page.run("document.getElementById('tray').scrollIntoView()")
    shoot(page, "tray")
    page.show(width=1360, height=860)
    page.run("document.getElementById('places-panel').open = true")
    device.ask("PUT", "places", {"places": PLACES})
    names = "return [...document.querySelectorAll('.place-box')].map((box) => box.dataset.place)"
    page.wait(lambda: page.run(names) == [place["name"] for place in PLACES], "the places", PATIENCE_S)
    page.wait_ready()
    wait_right(page, show)
    page.click("#places-edit")
    page.click('[data-place="left tray"] button > span')
    page.click("#toast-close") if page.is_shown("#toast-close") else None
    page.run("document.getElementById('places').scrollIntoView()")
    shoot(page, "places")


def main() -> int:
    """Make all pictures."""
    browser = open_browser()
    with tempfile.TemporaryDirectory() as folder:
        device = LiveDevice(Path(folder), camera=f"sim:fps={FPS},seed={SEED}")
        try:
            device.start()
            device.stop()
            device.start()  # on the same port from now on: other places restart it
            walk(Page(browser), device)
        finally:
            device.stop()
            browser.quit()
    return 0


if __name__ == "__main__":
    sys.exit(main())
