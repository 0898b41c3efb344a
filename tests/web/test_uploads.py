"""Teaching pictures into a running device over HTTP: streamed, bounded, all or nothing, one action for each upload."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge_app.control.uploads import IDLE_NS, Contents
from support.pictures import fill, picture, zipped
from support.served import Served, api

FILE = {"content-type": "application/octet-stream"}
ZIP = {"content-type": "application/zip"}


def open_upload(served: Served) -> str:
    answer = served.http.post(api("/uploads"))
    assert answer.status_code == 201, answer.text
    return api(f"/uploads/{answer.json()['id']}")


def send(served: Served, upload: str, name: str, data: bytes, label: str | None = None) -> httpx.Response:
    query = {"name": name} | ({"label": label} if label else {})
    return served.http.post(f"{upload}/files", params=query, content=data, headers=FILE)


def leftovers(served: Served) -> list[Path]:
    return list(served.tokens.parent.glob(".import-*"))


def test_pictures_are_sent_looked_at_and_taught(served: Served) -> None:
    upload = open_upload(served)
    assert send(served, upload, "a.png", picture("red", 1), "mug").json() == {
        "name": "a.png",
        "outcome": "kept",
        "reason": "",
    }
    assert send(served, upload, "b.png", picture("red", 1), "mug").json()["outcome"] == "duplicate"
    assert send(served, upload, "c.png", b"<html>", "mug").json()["outcome"] == "unreadable"
    found = served.http.get(upload).json()
    assert found["classes"] == {"mug": 1}
    assert found["duplicates"]["count"] == found["unreadable"]["count"] == 1
    assert "web page" in found["unreadable"]["first"][0]["reason"]
    assert served.device.learner.classes() == {}
    key = {"Idempotency-Key": "k"}
    done = served.http.post(f"{upload}/teach", headers=key)
    assert (done.status_code, done.json()["taught"]) == (201, {"mug": 1})
    assert served.http.post(f"{upload}/teach", headers=key).json() == done.json()
    gone = served.http.get(upload)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "upload_gone")
    undone = served.http.post(api("/undo"), json={"action": done.json()["action"]["id"]}).json()["action"]
    assert undone["examples"] == 1
    assert served.device.learner.classes() == {}


def test_a_zip_is_sent_and_taught(served: Served, tmp_path: Path) -> None:
    path = zipped(fill(tmp_path / "set", ["red", "green"], count=3), tmp_path / "set.zip")
    upload = open_upload(served)
    answer = served.http.post(f"{upload}/archive", content=path.read_bytes(), headers=ZIP)
    assert (answer.status_code, answer.json()["classes"]) == (201, {"green": 3, "red": 3})
    assert answer.json()["layout"] == "CLASS folders"
    assert served.http.post(f"{upload}/teach").json()["taught"] == {"green": 3, "red": 3}
    assert not leftovers(served)
    one = open_upload(served)
    answer = served.http.post(f"{one}/archive", params={"label": "leaf"}, content=path.read_bytes(), headers=ZIP)
    assert answer.json()["classes"] == {"leaf": 6}


def test_an_upload_can_be_given_up_also_while_an_archive_is_read(served: Served, tmp_path: Path) -> None:
    path = zipped(fill(tmp_path / "set", ["red", "green"], count=8), tmp_path / "set.zip")
    upload = open_upload(served)
    served.device.encoder.frozen, began = threading.Event(), threading.Event()
    number = int(upload.rpartition("/")[2])
    opened = served.control.uploads.find(number)
    open_archive, answers = opened.open_archive, list[httpx.Response]()

    def open_and_tell(*args: Any) -> Contents:
        contents = open_archive(*args)
        began.set()
        return contents

    opened.open_archive = open_and_tell  # type: ignore[assignment]

    def send_zip() -> None:
        with served.client() as http:
            answers.append(http.post(f"{upload}/archive", content=path.read_bytes(), headers=ZIP))

    sender = threading.Thread(target=send_zip)
    sender.start()
    assert began.wait(30)
    closer = threading.Thread(target=served.control.uploads.drop, args=(number,))
    closer.start()
    served.device.encoder.frozen.set()
    closer.join(30)
    sender.join(30)
    assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (404, "upload_gone")
    assert served.http.delete(upload).status_code == 404
    assert not leftovers(served)
    assert served.device.learner.classes() == {}


@pytest.mark.parametrize(
    ("path", "query", "media", "content", "status"),
    [
        ("/files", {}, "image/png", b"x", 422),
        ("/files", {"name": "a", "label": " a"}, "image/png", b"x", 422),
        ("/files", {"name": "a", "more": "b"}, "image/png", b"x", 422),
        ("/files", {"name": "a"}, "application/json", b"{}", 415),
        ("/archive", {}, "text/plain", b"x", 415),
        ("/archive", {}, "application/zip", b"PK\3\4 none", 409),
        ("/archive", {"names": "no such"}, "application/zip", b"PK\3\4 none", 409),
        ("/teach", {}, "", b"", 409),
    ],
)
def test_what_is_wrong_is_refused(
    served: Served, path: str, query: dict[str, str], media: str, content: bytes, status: int
) -> None:
    upload = open_upload(served)
    headers = {"content-type": media} if media else {}
    answer = served.http.post(upload + path, params=query, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert served.http.get(upload).status_code == 200
    assert not [one for one in leftovers(served) if one.stat().st_size > 0]


def test_an_archive_that_is_too_large_is_refused_before_it_is_read(serve: Callable[..., Served]) -> None:
    served = serve(max_upload_mb=1)
    upload = open_upload(served)

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    for content in (endless(), b"x" * (2 << 20)):
        with suppress(httpx.TransportError):  # it may hang up while the client is still sending
            assert served.http.post(f"{upload}/archive", content=content, headers=ZIP).status_code == 413
    head = f"POST {upload}/files?name=a HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Edge-App: 1\r\nContent-Type: image/png\r\n"
    with socket.create_connection(("127.0.0.1", served.server.port), 30) as raw:
        raw.sendall(f"{head}Content-Length: {33 << 20}\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413")
    assert not leftovers(served)


def test_the_role_teach_is_needed_and_kept(serve: Callable[..., Served]) -> None:
    served = serve(loopback_role="none")
    view, teach = served.server.tokens.make("view"), served.server.tokens.make("teach")
    with served.client(view) as http:
        assert http.post(api("/uploads")).status_code == 403
    with served.client(teach) as http:
        upload = api(f"/uploads/{http.post(api('/uploads')).json()['id']}")
        params = {"name": "a.png", "label": "mug"}
        assert http.post(f"{upload}/files", params=params, content=picture("red", 1), headers=FILE).status_code == 201
        served.server.tokens.remove("teach")
        assert http.post(f"{upload}/teach").status_code == 401
    assert served.device.learner.classes() == {}


def test_uploads_that_are_left_alone_are_swept(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_app.web.services.SWEEP_S", 0.01)
    served = serve()
    open_upload(served)
    (upload,) = served.control.uploads._open.values()
    upload.used_ns -= IDLE_NS + 1
    served.device.wait_for(lambda _: len(served.control.uploads) == 0)


def test_a_full_disk_is_507_and_teaches_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = open_upload(served)

    class Full:
        def seek(self, at: int) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    (opened,) = served.control.uploads._open.values()
    real = opened._file._file
    opened._file._file = Full()  # type: ignore[assignment]
    answer = send(served, upload, "a.png", picture("red", 1), "mug")
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "not_stored")
    opened._file._file = real
    assert served.http.get(upload).json()["classes"] == {}
    assert send(served, upload, "a.png", picture("red", 1), "mug").json()["outcome"] == "kept"
