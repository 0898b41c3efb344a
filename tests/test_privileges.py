"""Root in somebody else's folder: whatever its owner swaps meanwhile, nothing of root's changes."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from edge_app.errors import InputError, UnknownLabel
from edge_app.files import foreign_owner, open_folder, write_atomically
from edge_app.privileges import as_owner, become_owner
from edge_app.storage.folder import database_path
from support.simple_network import embedding, open_learner

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to lose")

NOBODY = 65534
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder of nobody's with a state in it, and beside it, out of his reach, a file and a folder of root's."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    house = tmp_path / "house"
    with open_learner(house / "state") as learner:
        for i in range(6):
            learner.teach(embedding(i, i % 2), f"class {i % 2}", source="test", thumbnail=b"x" * 500)
        learner.save()
    for path in (house, *house.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    (tmp_path / "secret").write_text("of root's")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "rooms").mkdir(mode=0o755)
    (tmp_path / "rooms" / "examples.sqlite").write_text("of root's")
    return house


def belongings(tmp_path: Path) -> list[tuple[object, ...]]:
    """Everything that tells whether a file or a folder of root's was touched."""
    found = []
    for path in sorted([tmp_path / "secret", tmp_path / "rooms", *(tmp_path / "rooms").rglob("*")]):
        now = path.lstat()
        content = path.read_bytes() if path.is_file() else None
        found.append((path.name, now.st_uid, now.st_gid, now.st_mode, now.st_mtime_ns, now.st_ino, content))
    return found


def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **more}
    command = [sys.executable, "-m", "edge_app", *map(str, arguments)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)


@contextmanager
def attacker(attack: Callable[[], None]) -> Iterator[None]:
    """Repeat an attack as nobody, as fast as it goes, until the body is done."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        while True:
            with suppress(OSError):
                attack()
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def swap_new_names(folder: Path, target: Path) -> Callable[[], None]:
    """Replace everything that appears in a folder by a link to `target`."""
    known = set(os.listdir(folder))

    def attack() -> None:
        for name in os.listdir(folder):
            if name not in known and not os.path.islink(folder / name):
                os.rename(folder / name, folder.parent / "taken")
                os.symlink(target, folder / name)

    return attack


def turn_folder(folder: Path, target: Path) -> Callable[[], None]:
    """Make a folder a link, and turn it towards `target` and back, each in one step."""
    aside, link = folder.with_name("aside"), folder.with_name("link")
    os.rename(folder, aside)
    os.symlink(aside, folder)
    os.chown(folder, NOBODY, NOBODY, follow_symlinks=False)

    def attack() -> None:
        for place in (target, aside):
            os.symlink(place, link)
            os.rename(link, folder)

    return attack


def test_the_owner_is_that_of_the_first_part_of_the_path_that_is_not_root_s(house: Path, tmp_path: Path) -> None:
    for path in (house, house / "state", house / "state" / "snapshots", house / "missing" / "too"):
        found = foreign_owner(path)
        assert found is not None
        assert found.st_uid == NOBODY
    assert foreign_owner(tmp_path / "rooms") is None
    assert foreign_owner(tmp_path / "missing" / "too") is None
    (tmp_path / "way").symlink_to(house)
    found = foreign_owner(tmp_path / "way" / "state")
    assert found is not None
    assert found.st_uid == NOBODY
    (house / "way").symlink_to(tmp_path / "rooms")
    os.chown(house / "way", 0, 0, follow_symlinks=False)
    assert foreign_owner(house / "way") is not None
    assert become_owner(tmp_path / "rooms") is None


def test_root_opens_no_folder_through_a_link_of_somebody_else_s(house: Path, tmp_path: Path) -> None:
    (house / "way").symlink_to(tmp_path / "rooms")
    (tmp_path / "way").symlink_to("rooms")
    (tmp_path / "wheel").symlink_to("wheel")
    os.close(open_folder(tmp_path / "way"))
    for path, words in ((house / "way", "another account"), (tmp_path / "wheel", "levels of symbolic links")):
        with pytest.raises(OSError, match=words):
            open_folder(path)
    with pytest.raises(PermissionError):
        write_atomically(house / "way" / "file", b"x")
    os.chown(tmp_path / "way", NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(PermissionError):
        open_folder(tmp_path / "way")
    assert os.listdir(tmp_path / "rooms") == ["examples.sqlite"]


def test_as_the_owner_root_keeps_the_right_to_read_and_no_other(house: Path, tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from edge_app.privileges import become_owner
print(become_owner(Path({str(house)!r})))
print(os.getresuid(), os.getresgid(), os.getgroups())
print(Path({str(tmp_path / "secret")!r}).read_text())
Path({str(house / "new")!r}).write_text("mine")
for attempt in (
    lambda: open({str(tmp_path / "secret")!r}, "a"),
    lambda: open({str(tmp_path / "rooms" / "new")!r}, "w"),
    lambda: os.chown({str(house / "new")!r}, 0, 0),
    lambda: os.setresuid(0, 0, 0),
):
    try:
        attempt()
    except PermissionError:
        print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stderr == ""
    ids = f"({NOBODY}, {NOBODY}, {NOBODY})"
    assert done.stdout.splitlines() == ["nobody", f"{ids} {ids} [{NOBODY}]", "of root's", *["refused"] * 4]
    assert (house / "new").stat().st_uid == NOBODY


def test_the_outcome_of_work_in_a_child_comes_back(house: Path, tmp_path: Path) -> None:
    def refuse() -> int:
        raise UnknownLabel("no class 'dog'")

    def break_() -> int:
        raise ZeroDivisionError

    assert as_owner(house, os.geteuid) == NOBODY
    assert as_owner(tmp_path / "rooms", os.geteuid) == 0
    with pytest.raises(UnknownLabel, match="no class 'dog'"):
        as_owner(house, refuse)
    with pytest.raises(Exception, match="ZeroDivisionError"):
        as_owner(house, break_)
    with pytest.raises(InputError, match="was killed"):
        as_owner(house, lambda: os.kill(os.getpid(), signal.SIGKILL) or 0)
    assert os.geteuid() == 0


def damage(state: Path) -> None:
    db = sqlite3.connect(database_path(state))
    db.execute("UPDATE examples SET embedding = zeroblob(32) WHERE id = 2")
    db.commit()
    db.close()


ATTACKS = {
    "new files": lambda house: swap_new_names(house / "state", house.parent / "secret"),
    "new folders": lambda house: swap_new_names(house / "state", house.parent / "rooms"),
    "the state folder": lambda house: turn_folder(house / "state", house.parent / "rooms"),
    "the snapshots": lambda house: turn_folder(house / "state" / "snapshots", house.parent / "rooms"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_command_of_root_s_is_turned_towards_a_file_of_root_s(house: Path, tmp_path: Path, attack: str) -> None:
    state = house / "state"
    damage(state)
    before = belongings(tmp_path)
    with attacker(ATTACKS[attack](house)):
        for number in range(3):
            run("recover", "--state", state)
            run("token", "make", "view", "--state", state)
            run("export", "--state", state, tmp_path / f"{number}.zip")
            run("examples", "--state", state)
    assert belongings(tmp_path) == before


def test_recovery_by_root_leaves_a_state_that_its_owner_can_use(house: Path) -> None:
    state = house / "state"
    damage(state)
    done = run("recover", "--state", state)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "5 examples saved, 1 lost, 0 thumbnails lost")
    assert f"working as nobody, who owns {state}" in done.stderr
    assert {path.stat().st_uid for path in state.rglob("*")} == {NOBODY}


def test_root_exports_to_a_place_of_its_own_and_tokens_stay_the_owner_s(house: Path, tmp_path: Path) -> None:
    state = house / "state"
    done = run("export", "--state", state, tmp_path / "rooms" / "all.zip")
    assert done.returncode == 0, done.stderr
    found = (tmp_path / "rooms" / "all.zip").stat()
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o600)
    done = run("export", "--state", state, tmp_path / "rooms" / "dog.zip", "--class", "dog")
    assert (done.returncode, "'dog'" in done.stderr) == (2, True)
    assert not (tmp_path / "rooms" / "dog.zip").exists()
    done = run("token", "make", "view", "--state", state)
    assert done.returncode == 0, done.stderr
    assert (state / "tokens.json").stat().st_uid == NOBODY


def test_compiled_kernels_of_somebody_else_s_are_not_run_as_root(house: Path) -> None:
    done = run("status", "--url", "http://127.0.0.1:9", NUMBA_CACHE_DIR=str(house))
    assert f"working as nobody, who owns {house}" in done.stderr
