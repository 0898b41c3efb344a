"""Output of results: JSON, tables for a terminal, progress bars."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_app.errors import InputError

STDOUT = "-"


def check_target(option: str, target: str, suffix: str | None = None) -> None:
    """Raise InputError if a result could not be written to `target`; creates nothing."""
    path = Path(target)
    if target == STDOUT:
        return
    if suffix is not None and path.suffix.lower() != suffix:
        raise InputError(f"{option} {target}: expected a name that ends in {suffix}")
    if path.is_dir():
        raise InputError(f"{option} {target}: is a folder: name a file")
    if not path.parent.is_dir():
        raise InputError(f"{option} {target}: no folder {path.parent}: create it first")
    # asked, not tried: opening the file would empty it before there is anything to write
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"{option} {target}: cannot be written: name another file")


def write_json(target: str, values: dict[str, Any]) -> None:
    """Write indented JSON to a file, or to standard output for "-". Raises InputError if it cannot be written."""
    # NaN and Infinity are not JSON: better an error here than in the reader
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    if target == STDOUT:
        sys.stdout.write(text)
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from error


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns: the first column left-aligned, the others right-aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0])
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def show_progress(what: str, items: Sequence[Any]) -> Iterable[Any]:
    """Iterate over `items` with a progress bar on standard error, if that is a terminal."""
    from tqdm import tqdm

    # on standard error, because standard output may be a JSON document
    bar: Iterator[Any] = iter(tqdm(items, desc=what, unit="", leave=False, disable=not sys.stderr.isatty()))
    return bar
