"""Backup and restore of the whole device from the page."""

import pytest

pytestmark = pytest.mark.slow


def test_a_device_is_backed_up_and_restored_and_comes_back_by_itself(start_device, page, tmp_path):
    device = start_device()
    device.stop()
    device.start()  # on the same port from now on, also after a restart
    page.browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.expected |= {"net::ERR_", "WebSocket connection"}
    page.open(device)
    page.wait_ready()
    for label in ("cup", "key"):
        page.add_class(label)
    page.click("#backup")
    page.wait_toast("Backed up to edge-app-backup")
    (path,) = page.wait(lambda: list(tmp_path.glob("edge-app-backup-*.zip")), "the file")

    page.add_class("later")
    device.ask("DELETE", "classes/cup")
    page.wait(lambda: page.labels == ["key", "later"], "other classes")
    page.find("#restore-file").send_keys(str(path))
    page.wait(lambda: page.is_shown("#dialog"), "the summary")
    script = (
        "return [...document.querySelectorAll('#dialog tr')].map((row) => [...row.cells].map((one) => one.innerText))"
    )
    assert page.run(script) == [
        ["cup", "0 examples", "1 example"],
        ["key", "1 example", "1 example"],
        ["later", "1 example", "0 examples"],
    ]
    page.click_text("#dialog button", "Cancel")
    page.wait(lambda: not page.is_shown("#dialog"), "the dialog to close")
    assert device.counts() == {"key": 1, "later": 1}

    page.find("#restore-file").send_keys(str(path))
    page.wait(lambda: page.is_shown("#dialog"), "the summary")
    page.click("#dialog .primary")
    page.wait_toast("The device restarts")
    page.wait(lambda: page.labels == ["cup", "key"], "the restored classes", 90)
    assert device.counts() == {"cup": 1, "key": 1}
    assert (device.folder / "state" / "before-restore-1" / "examples.sqlite").exists()
    page.click("#undo")
    page.wait(lambda: page.labels == ["cup"], "undo to go on where the backup was")


def test_a_file_that_is_no_backup_is_refused(page, device, tmp_path):
    page.open(device)
    page.wait_ready()
    path = tmp_path / "none.zip"
    path.write_bytes(b"PK\x03\x04 no zip at all")
    page.expected.add("/restore")
    page.find("#restore-file").send_keys(str(path))
    page.wait(lambda: page.is_shown("#toast.bad"), "the refusal")
    assert not page.is_shown("#dialog")
