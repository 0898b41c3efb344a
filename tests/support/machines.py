"""Machines made of files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge_app.doctor.findings import System

MakeSystem = Callable[..., System]


def make_system(
    root: Path, files: Mapping[str, str] | None = None, programs: Mapping[str, str] | None = None
) -> System:
    """Make a machine of files, path -> content, and of programs, "command line" -> what it prints."""
    for path, content in (files or {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)

    def run(command: Sequence[str]) -> str | None:
        return (programs or {}).get(" ".join(command))

    return System(root, run)
