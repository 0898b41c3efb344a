"""A device in a process of its own, and its page in Chromium."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote
from urllib.request import Request, urlopen

import tomli_w

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")

CAMERA = "sim:scene=shapes,size=320x240,fps=10"
"""A disc, a square, a ring and a cross (red, blue, yellow, green) in turn, a second each."""
WAIT_S = 40.0
POLL_S = 0.05

SHAPE = """
const canvas = document.getElementById("picture");
if (!canvas.dataset.sequence) return null;
const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
const colours = {disc: [220, 60, 50], square: [50, 130, 220], ring: [240, 190, 40], cross: [60, 170, 90]};
let best = null, most = 50;
for (const [name, colour] of Object.entries(colours)) {
  let count = 0;
  for (let i = 0; i < pixels.length; i += 16) {
    count += colour.every((level, channel) => Math.abs(pixels[i + channel] - level) < 24);
  }
  if (count > most) [best, most] = [name, count];
}
return best;
"""
"""Script that returns the shape in the picture on the screen, by its colour."""


RACES = ("/api/v1/visits/", "/thumbnail.jpg")
"""Parts of paths that may be missing: pictures of a visit or an example that went after it was listed."""


AXE = """
const [where, done] = arguments;
const tell = ({id, nodes}) => `${id}: ${nodes.map((node) => node.target + " " + node.failureSummary)}`;
axe.run(where, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
  .then((found) => done(found.violations.map(tell)));
"""
"""Script that calls back with what axe finds in a part of the page."""


class Keys:
    """Keys as the WebDriver standard codes them."""

    TAB, ENTER, SHIFT, ESCAPE, SPACE = "\ue004", "\ue007", "\ue008", "\ue00c", "\ue00d"


class LiveDevice:
    """`edge-app run` with its page on a port of its own."""

    def __init__(self, folder: Path, *, camera: str = CAMERA, more: dict[str, Any] | None = None, **web: Any) -> None:
        """`more` are sections of the configuration besides [web]."""
        self.folder = folder
        self.camera = camera
        self.port = 0
        self._more = more or {}
        self._web = {"enabled": True, "picture_fps": 10.0} | web
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start it, and wait until it is ready; a second start takes the same port."""
        config = self.folder / "config.toml"
        config.write_text(tomli_w.dumps({**self._more, "web": self._web | {"port": self.port}}))
        command = [sys.executable, "-m", "edge_app", "run", "--config", str(config), "--camera", self.camera]
        command += ["--buttons", "sim:", "--state", str(self.folder / "state")]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"LC_ALL": "C"})
        assert self._process.stderr is not None
        log = ""
        while "ready" not in log.splitlines()[-1:][0] if log else True:
            line = self._process.stderr.readline()
            assert line, f"the device ended:\n{log}"
            log += line
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.communicate(timeout=30)
            self._process = None

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """Call its API; a body of bytes is sent as a file."""
        media = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        headers = {"Content-Type": media, "X-Edge-App": "1"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(f"{self.url}api/v1/{path}", data, headers, method=method)
        with urlopen(request, timeout=WAIT_S) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def forget_all(self) -> None:
        for label in self.ask("GET", "state")["classes"]:
            self.ask("DELETE", f"classes/{quote(label, safe='')}")

    def counts(self) -> dict[str, int]:
        """Return the number of stored examples by class."""
        return {report["label"]: report["examples"] for report in self.ask("GET", "classes")["classes"]}


class Page:
    """The device's page in the browser."""

    def __init__(self, browser: "Chrome") -> None:
        self.browser = browser
        self.expected: set[str] = set()
        """Parts of console messages that a test causes on purpose."""

    def open(self, device: LiveDevice, *, welcomed: bool = True) -> None:
        """Open the page; `welcomed`: as someone who has seen the introduction."""
        if welcomed:
            script = "if (location.port) localStorage.setItem('edge-app.welcomed', 'yes')"
            added = self.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
            self.browser.get(device.url)
            self.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
        else:
            self.browser.get(device.url)

    # Looking

    def find(self, selector: str) -> "WebElement":
        return self.browser.find_element("css selector", selector)

    def all(self, selector: str) -> "list[WebElement]":
        return self.browser.find_elements("css selector", selector)

    def run(self, script: str, *args: Any) -> Any:
        return self.browser.execute_script(script, *args)

    def text(self, selector: str) -> str:
        """Return an element's text, on the screen or not; "" when there is no such element."""
        return str(self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def is_shown(self, selector: str) -> bool:
        return bool(self.run("return document.querySelector(arguments[0])?.checkVisibility() ?? false", selector))

    @property
    def sequence(self) -> int:
        """Number of the frame on the screen; -1 before the first."""
        return int(self.run("return document.getElementById('picture').dataset.sequence ?? -1"))

    @property
    def shape(self) -> str | None:
        """Return the object in the picture on the screen."""
        return self.run(SHAPE)

    @property
    def labels(self) -> list[str]:
        """The classes, as the list shows them."""
        return self.run("return [...document.querySelectorAll('.class')].map((item) => item.dataset.label)")

    def class_button(self, label: str) -> str:
        return f'.class[data-label="{label}"] .class-button'

    def count(self, label: str) -> int:
        """Return the number of examples on a class's button; 0 when there is none."""
        return int(self.text(f"{self.class_button(label)} .count") or 0)

    # Waiting

    def wait(self, right: Callable[[], T], what: str, seconds: float = WAIT_S) -> T:
        """Wait until something is true of the page, and return it."""
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.browser, seconds, POLL_S).until(lambda _: right(), what)

    def wait_text(self, selector: str, part: str) -> None:
        self.wait(lambda: part in self.text(selector), f"{selector} to say {part!r}")

    def wait_toast(self, part: str) -> None:
        self.wait(lambda: self.is_shown("#toast") and part in self.text("#toast-text"), f"the message {part!r}")

    def undo_in_toast(self, part: str) -> None:
        """Use the undo of a message as soon as it is there: it does not stay for long."""
        script = """
        const there = document.getElementById("toast").checkVisibility();
        if (!there || !document.getElementById("toast-text").textContent.includes(arguments[0])) return false;
        document.getElementById("toast-undo").click();
        return true;
        """
        self.wait(lambda: self.run(script, part), f"the message {part!r} with its undo")

    def wait_shape(self, name: str) -> None:
        """Wait until a shape comes on the screen: most of its second is then left."""
        self.wait(lambda: self.shape != name, f"anything but the {name}")
        self.wait(lambda: self.shape == name, f"the {name}")

    def wait_ready(self) -> None:
        """Wait until the page shows the newest of everything."""
        self.wait(lambda: self.sequence >= 0 and self.is_shown("#vitals .fps"), "picture and state")

    # Doing

    def click(self, selector: str) -> None:
        self._press(lambda: self.find(selector), selector)

    def click_text(self, selector: str, text: str) -> None:
        """Click the element with exactly that text."""
        self._press(lambda: next(element for element in self.all(selector) if element.text == text), text)

    def _press(self, find: "Callable[[], WebElement]", what: str) -> None:
        """Click an element as soon as no message lies over it."""
        from selenium.common.exceptions import ElementClickInterceptedException

        def clicked() -> bool:
            try:
                find().click()
            except ElementClickInterceptedException:
                return False
            return True

        self.wait(clicked, f"{what} to be uncovered")

    def type(self, selector: str, text: str) -> None:
        """Type over what is in a field."""
        element = self.find(selector)
        # not clear(): it leaves the field, and the page may then fill it again before the keys come
        self.run("arguments[0].focus(); arguments[0].select()", element)
        element.send_keys(text)

    @property
    def actions(self) -> "ActionChains":
        """Keys and pointer, one after the other."""
        from selenium.webdriver import ActionChains

        return ActionChains(self.browser)

    def press(self, keys: str) -> None:
        self.actions.send_keys(keys).perform()

    def touch(self, selector: str, *moves: int) -> None:
        """Put a finger on an element, move it so many pixels down at a time, and lift it."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder
        from selenium.webdriver.common.actions.pointer_input import PointerInput

        element = self.find(selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        builder = ActionBuilder(self.browser, mouse=PointerInput("touch", "finger"))
        finger = builder.pointer_action.move_to(element).pointer_down()
        for move in moves:
            finger.move_by(0, move)
        finger.pointer_up()
        builder.perform()

    def drop(self, selector: str, *paths: Path) -> None:
        """Drag files and folders from outside the browser onto an element, and let go."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        middle = """const box = document.querySelector(arguments[0]).getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];"""
        x, y = self.run(middle, selector)
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.browser.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})

    @property
    def focus(self) -> "WebElement":
        """The focused element."""
        return self.browser.switch_to.active_element

    def add_class(self, label: str, *, when: str | None = None) -> None:
        """Teach what is shown as a new class; with `when`, once that shape comes on the screen."""
        if self.find("#new-class-name").get_attribute("value") != label:
            self.type("#new-class-name", label)
        if when is not None:
            self.wait_shape(when)
        self.click("#new-class button")
        self.wait(lambda: label in self.labels, f"the class {label!r}")
        self.run("document.activeElement.blur()")

    def show(self, *, width: int = 1280, height: int = 900, mobile: bool = False, **media: str) -> None:
        """Make the window another device's: size in CSS pixels, touch, and media features such as a colour scheme."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": mobile})
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def complaints(self) -> list[str]:
        """Return the errors in the console that no test expects; violations of the content policy are among them."""
        entries = [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]
        return [entry for entry in entries if not any(part in entry for part in (*RACES, *self.expected))]
