"""Shell completion: scripts that the shells accept, and that complete commands, options and files."""

import shutil
import subprocess

import pytest

pytest.importorskip("shtab")

from release.completion import SHELLS, completion


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_accepts_the_script(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    done = subprocess.run([shell, "-n"], input=completion(shell), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("edge-app cla", "classify"), ("edge-app models a", "add"), ("edge-app run --cam", "--camera")],
)
def test_bash_completes(typed: str, expected: str) -> None:
    words = typed.split()
    script = f"""{completion("bash")}
COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}
_shtab_edge_app
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", script, "edge-app"], capture_output=True, text=True, check=True)
    assert expected in done.stdout.split()
