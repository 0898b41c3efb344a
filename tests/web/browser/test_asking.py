"""A picture is chosen or dropped on the page; the decision is shown and nothing is taught."""

import base64
from pathlib import Path

import pytest
from PIL import Image

from support.browsing import SHAPE

pytestmark = pytest.mark.slow

DROP = """
const [selector, name, data] = arguments;
const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], name));
for (const type of ["dragenter", "dragover", "drop"]) {
  const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
  document.querySelector(selector).dispatchEvent(new DragEvent(type, options));
}
"""


SHOWN = (
    f"const shape = (() => {{{SHAPE}}})(); return [shape, document.getElementById('picture').toDataURL('image/png')]"
)
"""Script that returns the shape in the picture on the screen, and that same picture."""


def save_picture(page, path: Path, shape: str) -> Path:
    """Save the picture on the screen once it shows a shape."""
    found = page.wait(lambda: next((data for name, data in [page.run(SHOWN)] if name == shape), None), f"the {shape}")
    path.write_bytes(base64.b64decode(found.partition(",")[2]))
    return path


def test_a_picture_is_chosen_and_decided_on(page, device, tmp_path):
    page.open(device)
    page.wait_ready()
    path = save_picture(page, tmp_path / "cross.png", "cross")
    page.find("#ask-file").send_keys(str(path))
    page.wait_text("#ask-words", "Nothing that was taught")
    assert page.text("#ask-decision") == "unknown"
    page.add_class("disc", when="disc")
    page.add_class("cross", when="cross")
    page.find("#ask-file").send_keys(str(path))
    page.wait_text("#ask-spikes", "cross")
    found = device.ask("POST", "classify", path.read_bytes())
    assert page.text("#ask-decision") == (found["label"] or "unknown")
    assert f"cross: {found['spikes']['cross']} spikes" in page.text("#ask-spikes")
    page.wait(lambda: page.run("return document.getElementById('ask-picture').naturalWidth") > 0, "the picture")
    assert device.counts() == {"disc": 1, "cross": 1}


def test_a_picture_is_dropped(page, device, tmp_path):
    page.open(device)
    page.wait_ready()
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.jpg")
    page.run(DROP, "#ask", "red.jpg", base64.b64encode((tmp_path / "red.jpg").read_bytes()).decode())
    page.wait(lambda: page.is_shown("#ask-result"), "the result")
    assert not page.all(".dropping")
    assert device.counts() == {}


def test_a_file_that_is_no_picture_is_named(page, device, tmp_path):
    page.open(device)
    page.wait_ready()
    (tmp_path / "notes.jpg").write_text("<html>not a picture</html>")
    page.expected.add("/classify")
    page.find("#ask-file").send_keys(str(tmp_path / "notes.jpg"))
    page.wait_toast("is a web page")
    assert not page.is_shown("#ask-result")
