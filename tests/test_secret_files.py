"""Passwords and keys are read from files that nobody else may read."""

from pathlib import Path

import pytest

from edge_app.errors import InputError
from edge_app.secret_files import check_readable, read_secret


def test_the_content_is_taken_without_the_line_s_end(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(" s3cret word\n")
    path.chmod(0o600)
    assert read_secret("mqtt.password_file", path) == b"s3cret word"
    path.chmod(0o400)
    assert read_secret("mqtt.password_file", path) == b"s3cret word"


def test_a_byte_order_mark_is_no_part_of_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(b"\xef\xbb\xbfs3cret word\r\n")
    path.chmod(0o600)
    assert read_secret("mqtt.password_file", path) == b"s3cret word"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "password"
    path.write_text("secret")
    path.chmod(mode)
    with pytest.raises(InputError, match=rf"has mode {mode:04o}, so other accounts .*; expected 0600: chmod 600"):
        read_secret("mqtt.password_file", path)


def test_what_is_missing_empty_short_or_long_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mqtt\.password_file = '.*none' cannot be read: No such file"):
        read_secret("mqtt.password_file", tmp_path / "none")
    path = tmp_path / "key"
    path.touch(0o600)
    with pytest.raises(InputError, match="holds 0 bytes, expected 1 to 4096"):
        read_secret("k", path)
    path.write_bytes(b"x" * 31)
    with pytest.raises(InputError, match="holds 31 bytes, expected 32 to 4096"):
        read_secret("k", path, at_least=32)
    path.write_bytes(b"x" * 5000)
    with pytest.raises(InputError, match="holds 4097 bytes"):
        read_secret("k", path)


def test_a_path_for_a_library_is_checked_too(tmp_path: Path) -> None:
    assert check_readable("mqtt.ca_file", "") is None
    with pytest.raises(InputError, match=r"mqtt\.ca_file = '/nowhere/ca\.pem' cannot be read"):
        check_readable("mqtt.ca_file", "/nowhere/ca.pem")
    (tmp_path / "ca").touch()
    assert check_readable("mqtt.ca_file", str(tmp_path / "ca")) == str(tmp_path / "ca")
