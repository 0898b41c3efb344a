"""Folders of examples that edge-app exported: CLASS/N.jpg, and a table of everything known about them.

The pictures are the encoder's input. Classes come from the table, so that a class may have a name that no folder can
have; the folders are for people and for other programs.
"""

import re
from collections.abc import Iterable

from edge_app.datasets.contents import DatasetLayout, Item, Listing
from edge_app.datasets.listing import LeftOut, is_clutter
from edge_app.datasets.tables import read_table
from edge_app.errors import InputError
from edge_app.text import from_spreadsheet_cell

TABLE = "examples.csv"
COLUMNS = (
    "path",
    "label",
    "example",
    "time",
    "source",
    "presentations",
    "before",
    "before_classes",
    "before_learnt",
    "before_excitation",
    "before_lead",
    "before_novelty",
    "before_separation",
)
"""Columns of TABLE, in order (docs/datasets.md). `path` is empty for an example without a picture."""
LAYOUT = "export of edge-app"
MOST_BYTES = 64
"""Bytes of a folder's name: short enough for any file system, with the path around it."""
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
"""Characters that a file's name may not have on Windows."""
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)
"""Names that Windows takes for devices."""


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """Return the name of each class's folder: its own name where every system can have such a folder."""
    names: dict[str, str] = {}
    taken = {TABLE}
    for label in labels:
        base = name = _folder_name(label)
        number = 1
        while name.casefold() in taken:  # macOS and Windows do not tell Mug from mug
            number += 1
            name = f"{base} ({number})"
        taken.add(name.casefold())
        names[label] = name
    return names


def _folder_name(label: str) -> str:
    # cut in bytes, which file systems count; Windows drops blanks and dots at the end of a name
    name = FORBIDDEN.sub("_", label).encode()[:MOST_BYTES].decode(errors="ignore").rstrip(" .")
    # a name that begins with a dot or a dash would be hidden, or taken for an option
    if not name or not name[0].isalnum() or is_clutter(name) or DEVICES.match(name):
        name = "_" + name
    return name


def is_exported_table(name: str, data: bytes) -> bool:
    """Whether a file is the table of a folder that edge-app exported."""
    try:
        return name.rpartition("/")[2] == TABLE and tuple(next(iter(read_table(data)), ())) == COLUMNS
    except ValueError:
        return False


def read_exported(listing: Listing) -> DatasetLayout | None:
    """Return the classes of a folder that edge-app exported; None for any other data set. Raises InputError."""
    tables = [name for name in listing.others if name.rpartition("/")[2] == TABLE]
    # several: a folder of exports, which is none itself
    if len(tables) != 1:
        return None
    base = tables[0].removesuffix(TABLE)
    try:
        rows = read_table(listing.source.read(tables[0]))
    except ValueError as error:
        raise InputError(
            f"data set {listing.title}: {tables[0]} cannot be read ({error}); save it as CSV in UTF-8"
        ) from error
    if not rows or tuple(rows[0]) != COLUMNS:
        return None
    there = set(listing.pictures)
    items: dict[str, Item] = {}
    left_out = []
    for row in rows[1:]:
        path, label = (from_spreadsheet_cell(cell) for cell in (*row, "", "")[:2])
        if base + path not in there:
            left_out += [LeftOut(path, f"named in {TABLE}, and not there")] if path else []
        elif label:
            items[base + path] = Item("", label, base + path)
    if not items:
        return None
    # the table decides: a picture that was added to a folder by hand has no class there
    unnamed = [
        LeftOut(name, f"without a class in {TABLE}: add a row") for name in listing.pictures if name not in items
    ]
    return DatasetLayout(LAYOUT, tuple(items.values()), (*left_out, *unnamed), explicit=True)
