"""The output of commands: no file name can control the terminal, and none causes a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_app.text import UNSAFE
from support.simple_network import embedding, open_learner

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str | bytes | Path, **environ: str) -> tuple[int, str, str]:
    command = [os.fsencode(sys.executable), b"-m", b"edge_app", *map(os.fsencode, arguments)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)} | environ, capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def is_safe(text: str) -> bool:
    return not UNSAFE.search(text.replace("\n", "").replace("\r", ""))


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\x1b[2J\x1b]0;x\x07", b"a\xc2\x9b31m", "\u202etxt".encode()])
def test_names_of_files_are_shown_as_escapes(tmp_path: Path, name: bytes) -> None:
    state = tmp_path / "state"
    with open_learner(state) as learner:
        learner.teach(embedding(1), "mug", source=os.fsdecode(name))
        assert is_safe(learner.examples()[0].source)
    target = os.fsencode(tmp_path) + b"/" + name + b".zip"
    for arguments in (
        ("export", "--state", state, target),
        ("export", "--state", state, target),
        ("import", "--state", state, target + b"x"),
        ("examples", "--state", state),
        ("examples", "--state", state, "--json"),
        ("check-config", target),
        ("examples", "--state", target),
        ("forget", "--state", state, name),
    ):
        status, out, err = run(*arguments)
        assert "Traceback" not in err
        assert is_safe(out), ascii(out)
        assert is_safe(err), ascii(err)
        assert (out or err).strip() or status == 0


def test_a_source_of_an_older_edge_app_is_shown_as_escapes(tmp_path: Path) -> None:
    with open_learner(tmp_path) as learner:
        store = learner._store
        from edge_app.storage.records import NewExample

        store.commit("teach", 1, add=[NewExample(embedding(1).tobytes(), "mug", 1 << 62, "a\x1b[2Jb")])
    status, out, _ = run("examples", "--state", tmp_path)
    assert (status, "\\u001b[2J" in out, "\x1b" in out) == (0, True, False)


@pytest.mark.parametrize(
    ("folder", "words"), [("~nosuchaccount/x", "no such account"), ("~nobody/x", "home folder .* does not exist")]
)
def test_a_home_folder_that_is_not_there_is_an_error(tmp_path: Path, folder: str, words: str) -> None:
    import re

    if Path("~nobody").expanduser().is_dir():
        pytest.skip("nobody has a home here")
    config = tmp_path / "config.toml"
    config.write_text(f'[state]\nfolder = "{folder}"\n')
    for arguments in (("examples", "--state", folder), ("check-config", config), ("run", "--config", config)):
        status, _, err = run(*arguments)
        assert status == 2
        assert re.search(words, err.replace("\n", " ")), err
    assert not Path("/nonexistent").exists()
