"""The script around the emulator says what it lacks."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("run.sh")
NEEDED = ("bash", "dirname", "id", "mktemp", "realpath", "rm")


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        ((), "qemu-user-static mmdebstrap"),
        (("mmdebstrap",), "qemu-user-static"),
        (("qemu-aarch64-static",), "mmdebstrap"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, there: tuple[str, ...], missing: str) -> None:
    for name in NEEDED:
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    for name in (*there, "newuidmap"):
        (tmp_path / name).symlink_to("/bin/true")
    done = subprocess.run(
        [tmp_path / "bash", SCRIPT, sys.executable],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tmp_path), "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 77
    assert done.stderr == f"this needs {missing}: sudo apt-get install --no-install-recommends {missing}\n"
    assert not list(tmp_path.glob("tmp.*"))
