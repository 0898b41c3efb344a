"""The client of a device's API: the token that it sends, and a service that does not answer."""

import http.client
from pathlib import Path
from typing import Any

import pytest

from edge_app.client import DeviceClient, DeviceUnreachable, read_token
from edge_app.errors import InputError


def test_the_token_comes_from_the_file_then_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"edge-abc\n")
    assert read_token(file, {"EDGE_APP_TOKEN": "edge-xyz"}) == "edge-abc"
    assert read_token(None, {"EDGE_APP_TOKEN": "edge-xyz"}) == "edge-xyz"
    assert read_token(None, {}) is None


def test_a_token_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xef\xbb\xbfedge-abc\r\n")
    assert read_token(file, {}) == "edge-abc"


@pytest.mark.parametrize("content", [b"", b"two tokens", "edge-\u00e9".encode(), "edge-abc".encode("utf-16")])
def test_anything_but_one_token_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"--token-file .*token: "):
        read_token(file, {})


def test_without_a_service_the_reason_is_said_once_and_a_change_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []
    request = http.client.HTTPConnection.request

    def count(self: http.client.HTTPConnection, *arguments: Any, **options: Any) -> None:
        tried.append(arguments[0])
        request(self, *arguments, **options)

    monkeypatch.setattr(http.client.HTTPConnection, "request", count)
    client = DeviceClient("http://127.0.0.1:1")
    for ask in (lambda: client.get("/state"), lambda: client.change("/undo", {}), lambda: next(client.events())):
        with pytest.raises(DeviceUnreachable) as caught:
            ask()
        assert str(caught.value).count("no answer at http://127.0.0.1:1") == 1
        assert "lost" not in str(caught.value)
    assert tried == ["GET", "POST", "GET"]


def test_a_place_is_part_of_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def request(self: object, method: str, path: str, *_: Any) -> None:
        asked.append(path)
        raise OSError("no service")

    monkeypatch.setattr(http.client.HTTPConnection, "request", request)
    for place in (None, "front gate", "a/b"):
        with pytest.raises(DeviceUnreachable):
            DeviceClient("http://127.0.0.1:1/base/", place=place).get("/state")
    assert asked == [
        "/base/api/v1/state",
        "/base/api/v1/places/front%20gate/state",
        "/base/api/v1/places/a%2Fb/state",
    ]
