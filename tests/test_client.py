"""The client of a device's API: the token that it sends."""

from pathlib import Path

import pytest

from edge_app.client import read_token
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
