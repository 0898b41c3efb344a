"""The command line: help without libraries, statuses, errors without tracebacks."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import edge_app
from edge_app import cli, errors
from edge_app.version import full_version

ELSEWHERE = ("picamera2_helper", "__main__")
"""Modules that are run, not imported."""


@pytest.fixture(scope="module", autouse=True)
def every_module() -> None:
    """Import all of edge-app, so that every error is known whichever tests ran before."""
    for module in pkgutil.walk_packages(edge_app.__path__, "edge_app."):
        if not module.name.endswith(ELSEWHERE):
            importlib.import_module(module.name)


def all_errors(kind: type[errors.EdgeAppError]) -> list[type[errors.EdgeAppError]]:
    return [kind, *(error for child in kind.__subclasses__() for error in all_errors(child))]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.run(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"edge-app {full_version()}\n"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = command.removesuffix("_").replace("_", "-")
    with pytest.raises(SystemExit) as stopped:
        cli.run([name, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert f"edge-app {name}" in text
    assert "example" in text.lower()


def test_no_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.run([])
    assert stopped.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_an_error_is_a_line_and_a_status(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.run(["evaluate", str(tmp_path), "--model", "no-such-model"]) == errors.ModelNotFound.exit_status
    printed = capsys.readouterr()
    assert printed.err.startswith("edge-app evaluate: ")
    assert "no-such-model" in printed.err
    assert "Traceback" not in printed.err


def test_every_exit_status_is_in_the_help() -> None:
    for error in all_errors(errors.EdgeAppError):
        assert f"\n  {error.exit_status}  " in cli.EPILOG, error


def test_every_error_has_a_base_that_others_catch() -> None:
    for error in all_errors(errors.EdgeAppError)[1:]:
        assert any(base.__module__ == "builtins" and base is not Exception for base in error.__mro__[:-3]), error
        assert error.__doc__


def test_a_reader_that_goes_away_is_no_failure() -> None:
    done = subprocess.run(
        f"{sys.executable} -m edge_app models list --json | true",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize(("status", "live"), [(10, True), (0, True), (10, False)])
def test_the_live_device_leaves_without_a_farewell(status: int, live: bool) -> None:
    """A stage that is stuck in native code would come back when the interpreter is half gone, and abort it."""
    code = f"""
import atexit
from edge_app import cli
{"import edge_app.app" if live else ""}
atexit.register(print, "farewell")
cli.run = lambda: {status}
print("done")
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, "")
    assert done.stdout == ("done\n" if live else "done\nfarewell\n")
