"""Export to a file and import, with progress."""

import zipfile

import pytest

pytestmark = pytest.mark.slow


def test_classes_are_exported_and_imported(page, device, tmp_path):
    page.browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.open(device)
    page.wait_ready()
    for label in ("cup", "key"):
        page.add_class(label)
    page.click("#export")
    page.click_text(".ticks label", "cup")
    page.click("#dialog .primary")
    page.wait_toast("Exported 1 class")
    (path,) = page.wait(lambda: list(tmp_path.glob("edge-app-*.zip")), "the file")
    assert "manifest.json" in zipfile.ZipFile(path).namelist()

    device.forget_all()
    page.wait(lambda: page.labels == [], "no class")
    page.find("#import-file").send_keys(str(path))
    page.wait_toast("Imported 1 example")
    page.wait(lambda: page.labels == ["key"], "the class to be back")
    page.find("#import-file").send_keys(str(path))
    page.wait_toast("Imported 0 examples, 1 duplicate skipped")
    assert not page.is_shown("#transfer")
    assert device.counts() == {"key": 1}


def test_a_file_that_is_none_is_refused_and_changes_nothing(page, device, tmp_path):
    page.open(device)
    page.wait_ready()
    path = tmp_path / "things.zip"
    path.write_bytes(b"PK\x03\x04 no zip at all")
    page.expected.add("/import")
    page.find("#import-file").send_keys(str(path))
    page.wait(lambda: page.is_shown("#toast.bad"), "the refusal")
    assert not page.is_shown("#transfer")
    assert device.counts() == {}


def test_progress_is_shown_while_a_file_is_sent(page, device, tmp_path):
    page.open(device)
    page.wait_ready()
    page.run(
        """window.seen = [];
        new MutationObserver(() => window.seen.push(document.getElementById("transfer-text").textContent))
          .observe(document.getElementById("transfer"), {subtree: true, childList: true, characterData: true});"""
    )
    path = tmp_path / "things.zip"
    path.write_bytes(b"PK\x03\x04" + bytes(3 << 20))
    page.expected.add("/import")
    page.find("#import-file").send_keys(str(path))
    page.wait(lambda: page.is_shown("#toast.bad"), "the refusal")
    seen = page.run("return window.seen")
    assert "Uploading: 0%" in seen
    assert seen[-1] in ("Uploading: 100%", "Processing")
