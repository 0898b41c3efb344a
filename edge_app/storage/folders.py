"""Examples as class folders for other programs, in a zip file: CLASS/N.jpg, and a table (`datasets.exported`)."""

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from edge_app.datasets.exported import COLUMNS, TABLE, folder_names
from edge_app.storage.exchange import examples_to_export
from edge_app.storage.records import Example
from edge_app.storage.sealed import entry
from edge_app.storage.store import Store
from edge_app.text import spreadsheet_cell

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_folders(store: Store, file: BinaryIO, labels: Sequence[str] | None = None) -> int:
    """Write all examples, or those of some classes, to a file as a zip of class folders; return their number.

    The same examples give the same bytes. Raises InputError when there are none, StateCorrupt, OSError.
    """
    examples = examples_to_export(store, labels)
    folders = folder_names(dict.fromkeys(example.label for example in examples))
    presented = Counter(store.presentations())
    text = io.StringIO(newline="")
    # quoted texts: spreadsheets leave a class called 007 as it is
    table = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
    table.writerow(COLUMNS)
    with zipfile.ZipFile(file, "w") as archive:
        for example in examples:
            path = ""
            picture = store.thumbnail(example.id)
            if picture is not None:
                # six digits, so that file managers sort by number
                path = f"{folders[example.label]}/{example.id:06}.jpg"
                archive.writestr(entry(path), picture)
            table.writerow(_row(example, path, presented[example.id]))
        # with a byte order mark: without it spreadsheets take UTF-8 for the system's code page
        archive.writestr(entry(TABLE, zipfile.ZIP_DEFLATED), text.getvalue().encode("utf-8-sig"))
    return len(examples)


def _row(example: Example, path: str, presentations: int) -> list[str | int]:
    """Return the cells of an example, in the order of COLUMNS."""
    texts = (path, example.label, example.id, _iso(example.time_ns), example.source, presentations)
    before = example.before
    told: Sequence[str | int | None] = [None] * (len(COLUMNS) - len(texts))
    if before is not None:
        numbers = (before.classes, before.learnt, before.excitation, before.lead, before.novelty, before.separation)
        told = (before.label, *numbers)
    cells = ("" if cell is None else cell for cell in (*texts, *told))
    return [spreadsheet_cell(cell) if isinstance(cell, str) else cell for cell in cells]


def _iso(time_ns: int) -> str:
    """Return a time as ISO 8601 in UTC, to the microsecond; empty where the calendar of Python ends."""
    try:
        return (EPOCH + timedelta(microseconds=time_ns // 1000)).isoformat()
    except OverflowError:
        return ""
