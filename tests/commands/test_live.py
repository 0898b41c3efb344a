"""status, watch, teach --live, undo --live and token against a device that is served."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the extra `web`")
pytest.importorskip("httpx", reason="needs the extra `dev`")

from edge_app import cli
from edge_app.client import DeviceClient
from edge_app.config import WebConfig
from edge_app.datasets.pictures import decode_image
from edge_app.learner.pictures import thumbnail_of
from support.device import Device
from support.pictures import fill, picture
from support.served import Served
from support.simple_network import open_learner

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serve a device with some keys of [web]."""
    with ExitStack() as stack:

        def make(**web: object) -> Served:
            learner = stack.enter_context(open_learner(tmp_path))
            device = stack.enter_context(Device(tmp_path, learner))
            config = WebConfig(enabled=True, port=0, **web)  # type: ignore[arg-type]
            return stack.enter_context(Served(device, config, tmp_path / "tokens.json"))

        yield make


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("EDGE_APP_URL", "EDGE_APP_TOKEN", "EDGE_APP_STATE"):
        monkeypatch.delenv(name, raising=False)

    def run(*argv: str) -> tuple[int, str, str]:
        status = cli.run(list(argv))
        found = capsys.readouterr()
        return status, found.out, found.err

    return run


def test_a_running_service_is_looked_at_taught_and_corrected(serve: Callable[..., Served], run: Run) -> None:
    url = serve().server.url
    status, out, err = run("teach", "--live", "cup", "--url", url)
    assert (status, err) == (0, "")
    assert "is cup (before: unknown)" in out
    assert json.loads(run("teach", "--live", "a/b", "--url", url, "--json")[1])["label"] == "a/b"
    status, out, _ = run("status", "--url", url)
    assert status == 0
    assert "camera:   good" in out
    assert "cup     1 examples  Show it" in out
    assert json.loads(run("status", "--url", url, "--json")[1])["classes"] == ["cup", "a/b"]
    assert run("undo", "--live", "--url", url)[1] == "undone: teach of a/b (1 examples)\n"
    assert json.loads(run("undo", "--live", "--url", url, "--json")[1])["kind"] == "teach"
    status, _, err = run("undo", "--live", "--url", url)
    assert (status, "nothing to undo" in err) == (2, True)


def test_a_data_set_is_sent_to_a_running_service(serve: Callable[..., Served], run: Run, tmp_path: Path) -> None:
    served = serve()
    photos = fill(tmp_path / "photos", ["red", "green"], count=4)
    (photos / "red" / "broken.png").write_bytes(b"x")
    (photos / "red" / "again.png").write_bytes(picture("red", 1))
    (photos / "red" / "both.png").write_bytes(picture("green", 1))
    command = ("teach", "--live", "--folder", str(photos), "--url", served.server.url)
    assert "11 pictures" in run(*command, "--dry-run")[1]
    assert served.device.learner.classes() == {}
    status, out, _ = run(*command)
    assert status == 2
    assert "9 examples taught, 2 classes in all" in out
    assert "1 pictures stored already, or twice in a class: red/again.png" in out
    assert "1 pictures that cannot be read, left out: red/broken.png (image data is not a picture" in out
    assert len(served.device.learner.history()) == 1
    status, out, _ = run(*command, "--json")
    found = json.loads(out)
    assert (found["taught"], len(found["duplicates"]), found["state"]) == ({}, 10, {"green": 4, "red": 5})
    assert len(served.control.uploads) == 0


def test_a_data_set_is_taught_in_batches_each_of_them_whole(
    serve: Callable[..., Served], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_app.commands.sending.BATCH", 4)
    served = serve()
    photos = fill(tmp_path / "photos", ["red", "green"], count=5)
    command = ("teach", "--live", "--folder", str(photos), "--url", served.server.url)
    send, sent = DeviceClient.send, []

    def breaks(self: DeviceClient, path: str, data: bytes, query: dict[str, str] | None = None) -> object:
        sent.append(path)
        if len(sent) == 7:
            raise KeyboardInterrupt
        return send(self, path, data, query)

    with monkeypatch.context() as patched:
        patched.setattr(DeviceClient, "send", breaks)
        assert cli.run(list(command)) == 130
    assert [len(action.changes) for action in served.device.learner.history()] == [4]
    assert len(served.control.uploads) == 0
    status, out, _ = run(*command)
    assert (status, "6 examples taught" in out, "4 pictures stored already" in out) == (0, True, True)
    assert served.device.learner.classes() == {"green": 5, "red": 5}
    assert [len(action.changes) for action in served.device.learner.history()] == [4, 4, 2]


def test_an_export_comes_back_as_it_was(serve: Callable[..., Served], run: Run, tmp_path: Path) -> None:
    served = serve()
    for label in ("a", "b", "a"):
        served.control.teach(label)
    before = [served.device.learner.thumbnail(one.id) or b"" for one in served.device.learner.examples()]
    folders = tmp_path / "folders"
    assert run("export", "--as", "folders", "--state", str(tmp_path), str(folders))[0] == 0
    for label in ("a", "b"):
        served.control.forget_class(label)
    assert run("teach", "--live", "--folder", str(folders), "--url", served.server.url)[0] == 0
    after = [served.device.learner.thumbnail(one.id) or b"" for one in served.device.learner.examples()]
    # sets: two presses may have had the same frame, which is then taught once
    assert set(after) == {thumbnail_of(decode_image(one)) for one in before}


def test_a_running_service_decides_on_files(serve: Callable[..., Served], run: Run, tmp_path: Path) -> None:
    served = serve()
    for label in ("a", "b"):
        served.control.teach(label)
    good, bad = tmp_path / "red.png", tmp_path / "bad.png"
    good.write_bytes(picture("red", 1))
    bad.write_bytes(b"<html>")
    status, out, err = run("classify", "--live", "--url", served.server.url, "--json", str(good), str(bad))
    found = json.loads(out)
    assert (status, [one["file"] for one in found["decisions"]]) == (2, [str(good)])
    assert set(found["decisions"][0]["spikes"]) == {"a", "b"}
    assert found["failed"][0]["file"] == str(bad)
    assert f"{bad}: image data is a web page" in err
    assert run("classify", "--live", "--url", served.server.url, str(good))[1].startswith("file")
    status, _, err = run("classify", str(good))
    assert (status, "no state folder" in err) == (2, True)
    assert len(served.device.learner.examples()) == 2


def test_what_happens_is_watched(serve: Callable[..., Served], run: Run) -> None:
    served = serve()
    served.control.teach("red")
    status, out, _ = run("watch", "--url", served.server.url, "--count", "1")
    assert status == 0
    assert "frame" in out
    _, out, _ = run("watch", "--url", served.server.url, "--count", "3", "--all", "--json")
    assert {"decision"} <= {json.loads(line)["event"] for line in out.splitlines()}


def test_a_token_is_needed_where_it_is(serve: Callable[..., Served], run: Run, tmp_path: Path) -> None:
    url = serve(loopback_role="none").server.url
    status, _, err = run("status", "--url", url)
    assert (status, "token" in err, "--token-file" in err) == (1, True, True)
    status, token, _ = run("token", "make", "view", "--state", str(tmp_path))
    file = tmp_path / "token"
    file.write_text(token)
    assert run("status", "--url", url, "--token-file", str(file))[0] == 0
    status, _, err = run("teach", "--live", "cup", "--url", url, "--token-file", str(file))
    assert (status, "this needs the role teach, yours is view" in err) == (1, True)
    assert "view        made 20" in run("token", "show", "--state", str(tmp_path))[1]
    assert run("token", "remove", "view", "--state", str(tmp_path))[1] == "view: removed\n"
    assert run("status", "--url", url, "--token-file", str(file))[0] == 1
    assert "no tokens" in run("token", "show", "--state", str(tmp_path))[1]


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["status", "--url", "http://127.0.0.1:1"], 8, "no answer at http://127.0.0.1:1"),
        (["undo", "--live", "--url", "http://127.0.0.1:1"], 8, "enabled = true in"),
        (["status", "--url", "shelf:8765"], 2, "expected http://HOST:PORT"),
        (["status", "--url", "http://h:x"], 2, "--url http://h:x"),
        (["status", "--url", "https://127.0.0.1:1", "--ca", "/nowhere"], 2, "not a certificate"),
        (["status", "--token-file", "/nowhere"], 2, "cannot be read"),
        (["teach", "--live", "cup", "a.jpg"], 2, "it takes no image files"),
        (["teach", "cup", "a.jpg"], 2, "no state folder"),
        (["teach", "--state", "x", "cup"], 2, "no image files"),
        (["undo"], 2, "no state folder"),
        (["token", "make"], 2, "needs a role: view, teach, administer"),
        (["token", "show", "view"], 2, "takes no role"),
        (["token", "show", "--state", "/nowhere/at/all"], 2, "is not a folder"),
    ],
)
def test_what_is_wrong_is_said(run: Run, argv: list[str], status: int, message: str) -> None:
    found, _, err = run(*argv)
    assert found == status
    assert message in err
