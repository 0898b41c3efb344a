"""Export and import over HTTP: sizes, deadlines, a full disk."""

import errno
import io
import os
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from support.served import Served, api

JSON = {"content-type": "application/json"}


def teach(served: Served, label: str, **options: object) -> dict[str, object]:
    answer = served.http.post(api(f"/classes/{label}/teach"), **options)  # type: ignore[arg-type]
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_body_that_is_too_long_is_refused_before_it_is_read(serve: Callable[..., Served]) -> None:
    served = serve(max_upload_mb=1)
    long = served.http.post(api("/classes/cup/teach"), content=b" " * 70_000, headers=JSON)
    assert (long.status_code, long.json()["error"]["code"]) == (413, "too_long")

    def endless() -> object:
        while True:
            yield b"x" * 65536

    zip_ = {"content-type": "application/zip"}
    for content in (endless(), b"x" * (2 << 20)):
        try:
            answer = served.http.post(api("/import"), content=content, headers=zip_)  # type: ignore[arg-type]
        except httpx.TransportError:
            continue  # it hung up while we were still sending, as it should
        assert answer.status_code == 413
    assert not list(served.tokens.parent.glob(".import-*"))


def test_classes_travel_as_a_file(served: Served) -> None:
    for label in ("cup", "pen", "cup"):
        teach(served, label)
    answer = served.http.get(api("/export"), params={"label": ["cup"]})
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "embeddings.bin" in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    served.http.delete(api("/classes/cup"))
    zip_ = {"content-type": "application/zip"}
    assert served.http.post(api("/import"), content=answer.content, headers=zip_).json() == {"added": 2, "skipped": 0}
    assert served.http.post(api("/import"), content=answer.content, headers=zip_).json() == {"added": 0, "skipped": 2}
    assert served.device.learner.classes() == {"pen": 1, "cup": 2}
    assert not [path for path in served.tokens.parent.iterdir() if path.name.startswith(".")]


def test_what_an_interrupted_import_left_is_removed(tmp_path: Path, serve: Callable[..., Served]) -> None:
    (tmp_path / ".import-abc").write_bytes(b"x")
    serve()
    assert not (tmp_path / ".import-abc").exists()


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only"), (errno.EMFILE, "files open")]
)
def test_a_disk_that_takes_nothing_is_507_wherever_it_fails(
    served: Served, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    teach(served, "cup")
    token = served.server.tokens.make("view")
    exported = served.http.get(api("/export")).content

    def full(*_: object, **__: object) -> object:
        raise OSError(code, os.strerror(code))

    zip_ = {"content-type": "application/zip"}
    requests = {
        "tempfile.NamedTemporaryFile": ("POST", "/import", {"content": exported, "headers": zip_}),
        "edge_app.web.services._receive": ("POST", "/import", {"content": exported, "headers": zip_}),
        "tempfile.TemporaryFile": ("GET", "/export", {}),
        "edge_app.web.tokens.write_atomically": ("POST", "/session", {"json": {"token": token}}),
    }
    for name, (method, path, options) in requests.items():
        with monkeypatch.context() as patched:
            patched.setattr(name, full)
            answer = served.http.request(method, api(path), **options)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "not_stored"), (name, answer.text)
        assert words in answer.json()["error"]["message"].lower()
    assert served.device.learner.classes() == {"cup": 1}


def test_an_upload_whose_token_is_removed_meanwhile_is_not_imported(serve: Callable[..., Served]) -> None:
    served = serve(loopback_role="none")
    token = served.server.tokens.make("administer")
    served.control.teach("cup")
    with served.client(token) as http:
        exported = http.get(api("/export")).content
        served.control.forget_class("cup")

        def parts() -> Iterator[bytes]:
            yield exported[:100]
            served.device.wait_for(lambda _: bool(list(served.tokens.parent.glob(".import-*"))))
            served.server.tokens.remove("administer")
            yield exported[100:]

        answer = http.post(api("/import"), content=parts(), headers={"content-type": "application/zip"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "sign_in")
    assert served.device.learner.classes() == {}


def test_an_upload_has_a_deadline(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_app.web.services.UPLOAD_S", 0.3)
    served = serve()
    head = (
        "POST /api/v1/import HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Edge-App: 1\r\nContent-Type: application/zip\r\n"
        "Content-Length: 1000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.server.port), 30) as raw:
        raw.sendall(head.encode() + b"PK")
        assert raw.recv(100).startswith(b"HTTP/1.1 408")


def test_a_backup_travels_as_a_file(served: Served) -> None:
    zip_ = {"content-type": "application/zip"}
    asked: list[bool] = []
    served.control.restart = lambda: asked.append(True)
    teach(served, "cup")
    answer = served.http.get(api("/backup"))
    assert answer.headers["content-disposition"] == 'attachment; filename="edge-app-backup.zip"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "examples.sqlite" in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    teach(served, "pen")
    found = served.http.post(api("/restore"), params={"dry_run": "true"}, content=answer.content, headers=zip_).json()
    assert (found["classes"], found["replaced"]) == ({"cup": 1}, {"cup": 1, "pen": 1})
    assert (found["restarting"], asked) == (False, [])
    refused = served.http.post(api("/restore"), content=b"PK none", headers=zip_)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "refused")
    assert served.http.post(api("/restore"), content=b"x", headers=JSON).status_code == 415
    assert not (served.tokens.parent / "restore.ready").exists()
    assert served.http.post(api("/restore"), content=answer.content, headers=zip_).json()["restarting"]
    assert asked == [True]
    assert (served.tokens.parent / "restore.ready" / "examples.sqlite").exists()
    assert not list(served.tokens.parent.glob(".import-*"))


@pytest.mark.parametrize(("method", "path"), [("GET", "/backup"), ("POST", "/restore")])
def test_a_backup_needs_the_role_administer(serve: Callable[..., Served], method: str, path: str) -> None:
    served = serve(loopback_role="teach")
    answer = served.http.request(method, api(path), headers={"content-type": "application/zip"})
    assert answer.status_code == 403
