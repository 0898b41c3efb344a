"""Tokens and sessions: shown once, stored as hashes, invalid once removed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_app.errors import InputError, StateNotWritable
from edge_app.roles import ROLES, allows
from edge_app.web.tokens import SESSIONS, Tokens


class Wall:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_known_by_its_hash_only(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens = Tokens(path, wall=Wall())
    token = tokens.make("teach")
    assert len(token) > 40
    assert token not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert tokens.role_of(token) == "teach"
    for wrong in ("", "edge-", token[:-1], token + "x", token.upper(), "\udcff"):
        assert tokens.role_of(wrong) is None
    (known,) = tokens.stored()
    assert (known.role, known.made_s) == ("teach", 1_700_000_000)
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_token_takes_the_place_of_the_old_one_in_every_process(tmp_path: Path) -> None:
    service, command = Tokens(tmp_path / "t.json"), Tokens(tmp_path / "t.json")
    assert service.stored() == []
    first = command.make("view")
    secret = service.start_session(first)
    assert secret is not None
    assert service.session_role(secret) == "view"
    second = command.make("view")
    assert (service.role_of(first), service.role_of(second)) == (None, "view")
    assert service.session_role(secret) is None
    assert command.remove("view")
    assert not command.remove("view")
    assert service.role_of(second) is None


def test_sessions_outlive_a_restart_end_with_time_and_are_few(tmp_path: Path) -> None:
    wall = Wall()
    tokens = Tokens(tmp_path / "t.json", session_s=100, wall=wall)
    token = tokens.make("administer")
    assert tokens.start_session("wrong") is None
    secret = tokens.start_session(token) or ""
    assert secret not in (tmp_path / "t.json").read_text()
    again = Tokens(tmp_path / "t.json", session_s=100, wall=wall)
    assert again.session_role(secret) == "administer"
    others = [again.start_session(token) or "" for _ in range(SESSIONS)]
    assert again.session_role(secret) is None
    assert again.session_role(others[-1]) == "administer"
    again.end_session(others[-1])
    assert tokens.session_role(others[-1]) is None
    wall.now += 101
    assert again.session_role(others[0]) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"tokens": 3}', '{"tokens": {"root": {}}, "sessions": []}', "[" * 100_000,
     '{"tokens": {"view": {"sha256": "xyz", "made_s": 1}}, "sessions": []}',
     '{"tokens": {}, "sessions": [[1, 2, 3]]}', '{"tokens": {}, "sessions": [["a"]]}'],
)  # fmt: skip
def test_a_damaged_file_lets_nobody_in_and_says_the_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError, match=r"is damaged .*make new tokens"):
        Tokens(path).role_of("x")
    assert path.read_text() == text


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    Tokens(path).make("view")
    path.chmod(0o640)
    with pytest.raises(InputError, match=r"can be read by other users \(mode 640\)"):
        Tokens(path).stored()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StateNotWritable):
        Tokens(tmp_path / "t.json").make("view")
    tmp_path.chmod(0o700)


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "t.json"
    with pytest.raises(StateNotWritable, match="cannot be written"):
        Tokens(path).make("view")


@pytest.mark.parametrize("umask", [0o022, 0o000, 0o077])
def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        Tokens(tmp_path / "t.json").make("view")
    finally:
        os.umask(before)
    assert (tmp_path / "t.json").stat().st_mode & 0o777 == 0o600


def test_roles_build_on_one_another() -> None:
    assert [allows(role, "teach") for role in (None, "view", "teach", "administer")] == [False, False, True, True]


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    Tokens(path).make("view")
    assert set(json.loads(path.read_bytes())) == {"tokens", "sessions"}


def test_what_one_program_removes_no_other_brings_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service, command = Tokens(tmp_path / "t.json"), Tokens(tmp_path / "t.json")
    view, administer = service.make("view"), service.make("administer")
    session = service.start_session(administer)
    assert session is not None
    role_of = service.role_of

    def removed_meanwhile(token: str) -> str | None:
        role = role_of(token)
        command.remove("view")
        return role

    monkeypatch.setattr(service, "role_of", removed_meanwhile)
    assert service.start_session(view) is None
    assert service.start_session(administer) is not None
    assert [one.role for one in Tokens(tmp_path / "t.json").stored()] == ["administer"]


RACER = """
import sys
from pathlib import Path
from edge_app.web.tokens import Tokens
tokens, role, rounds = Tokens(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for _ in range(rounds):
    token = tokens.make(role)
    secret = tokens.start_session(token)
    assert tokens.session_role(secret) == role
    tokens.remove(role)
    assert tokens.role_of(token) is None and tokens.session_role(secret) is None
    last = tokens.make(role)
print(last, tokens.start_session(last))
"""


def test_programs_that_change_the_file_at_once_lose_no_change(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(path), role, "15"], stdout=subprocess.PIPE, text=True)
        for role in ROLES
    ]
    said = [racer.communicate(timeout=60)[0].split() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    tokens = Tokens(path)
    assert [tokens.role_of(token) for token, _ in said] == list(ROLES)
    assert [tokens.session_role(secret) for _, secret in said] == list(ROLES)
    assert os.listdir(tmp_path) == ["t.json"]


def test_a_change_that_could_not_be_stored_is_not_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(tmp_path / "t.json")
    token = tokens.make("view")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("edge_app.web.tokens.write_atomically", full)
        with pytest.raises(StateNotWritable, match="the disk is full"):
            tokens.remove("view")
        with pytest.raises(StateNotWritable, match="the disk is full"):
            tokens.start_session(token)
    assert tokens.role_of(token) == "view"
    assert not tokens._read().sessions


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_a_file_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "t.json"
    if kind == "link":
        Tokens(tmp_path / "other.json").make("view")
        path.symlink_to("other.json")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        Tokens(path).stored()
