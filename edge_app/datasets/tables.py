"""Classes from a file beside the pictures: Edge Impulse's `info.labels`, or a CSV or TSV table of paths and classes."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from edge_app.datasets.contents import DatasetLayout, Item, Listing, is_split
from edge_app.datasets.listing import LeftOut
from edge_app.errors import InputError

INFO_LABELS = "info.labels"
PATH_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "image_name", "img", "id")
LABEL_COLUMNS = ("label", "class", "category", "target", "class_name", "classname", "labels", "species", "breed")
SPLIT_COLUMNS = ("split", "set", "subset", "partition")
SEPARATORS = (",", ";", "\t", "|")
TABLES = (".csv", ".tsv")
MOST_TABLES = 8
NO_TABLE = "expected UTF-8, a first row that names columns, such as path and label, and rows for most pictures"


def read_edge_impulse(listing: Listing) -> DatasetLayout | None:
    """Return the classes in `info.labels`; those of files that are not listed are the first part of their names."""
    name = next((name for name in listing.others if name.rpartition("/")[2] == INFO_LABELS), None)
    if name is None:
        return None
    base = name[: -len(INFO_LABELS)]
    try:
        files = json.loads(listing.source.read(name))["files"]
        labels = {base + one["path"]: _label(one["label"]) for one in files}
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"data set {listing.title}: {name} is not a list of labels ({error!r}); export again"
        ) from error
    items, left_out = [], []
    for picture in listing.pictures:
        inner = picture.removeprefix(base).split("/")
        first, dot, rest = inner[-1].partition(".")
        # Edge Impulse names files CLASS.ID.jpg
        label = labels.get(picture, first if dot and "." in rest else None)
        if label:
            items.append(Item(inner[0] if is_split(inner[0]) else "", label, picture))
        else:
            left_out.append(LeftOut(picture, "without a class in info.labels"))
    if not items:
        raise InputError(
            f"data set {listing.title}: no picture has a class in {name}; label them in Edge Impulse, and export again"
        )
    return DatasetLayout("Edge Impulse export", tuple(items), tuple(left_out))


def _label(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return str(value["label"]) if value.get("type") == "label" else None


def read_tables(listing: Listing) -> DatasetLayout | None:
    """Return the classes in the CSV and TSV files that name most of the pictures; None if there is no such table."""
    places = _Places(listing.pictures)
    items: dict[str, Item] = {}
    missing: list[LeftOut] = []
    contradicted: dict[str, LeftOut] = {}
    tables = [name for name in listing.others if name.lower().endswith(TABLES)][:MOST_TABLES]
    for table in tables:
        for path, label, split in _rows(listing, table):
            picture = places.find(path, table)
            if picture is None:
                missing.append(LeftOut(path, f"named in {table}, and not there"))
            elif label and label != items.setdefault(picture, Item(split, label, picture)).label:
                contradicted[picture] = LeftOut(picture, f"of two classes in {table}: {items[picture].label}, {label}")
    # a table that names few of the pictures is about something else
    if 2 * len(items) < len(listing.pictures) or not items:
        return None
    unnamed = [LeftOut(name, "in no table") for name in listing.pictures if name not in items]
    left_out = (*missing, *contradicted.values(), *unnamed)
    certain = tuple(item for name, item in items.items() if name not in contradicted)
    if not certain:
        raise InputError(
            f"data set {listing.title}: each picture is {next(iter(contradicted.values())).reason}; expected one class "
            "for each picture: leave one of the rows out"
        )
    return DatasetLayout("table of paths and classes", certain, left_out)


def _rows(listing: Listing, table: str) -> Iterator[tuple[str, str, str]]:
    """Yield path, class and split of the rows of a table; nothing for one without the columns."""
    try:
        rows = read_table(listing.source.read(table))
    except (InputError, ValueError):
        return
    if not rows or len(rows[0]) < 2:
        return
    head = [cell.strip().lower() for cell in rows[0]]
    path = _column(head, PATH_COLUMNS)
    label, split = _column(head, LABEL_COLUMNS), _column(head, SPLIT_COLUMNS)
    for row in rows[1:]:
        # a row that is cut off, or a comment
        if len(row) != len(head) or path is None:
            continue
        found = row[label].strip() if label is not None else _one_hot(rows[0], row, path, split)
        yield row[path].strip(), found, row[split].strip() if split is not None else ""


def read_table(data: bytes) -> list[list[str]]:
    """Return the rows of a table in UTF-8, separated by what separates the names of its columns.

    Raises ValueError for bytes that are no such table.
    """
    # with a byte order mark, as spreadsheets write it
    text = data.decode("utf-8-sig")
    head = text.partition("\n")[0]
    try:
        # newline="": csv has to see line ends inside quotes
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=max(SEPARATORS, key=head.count)))
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _one_hot(head: Sequence[str], row: Sequence[str], path: int, split: int | None) -> str:
    """Return the column that holds the row's only 1; "" if the others are not 0."""
    cells = {head[i].strip(): cell.strip() for i, cell in enumerate(row) if i not in (path, split)}
    ones = [name for name, cell in cells.items() if cell in ("1", "1.0")]
    return ones[0] if len(ones) == 1 and set(cells.values()) <= {"0", "1", "0.0", "1.0"} else ""


def _column(head: Sequence[str], names: Sequence[str]) -> int | None:
    return next((head.index(name) for name in names if name in head), None)


class _Places:
    """Finds pictures by the paths that tables give them."""

    def __init__(self, pictures: Sequence[str]) -> None:
        self._pictures = set(pictures)
        self._by_end: dict[str, list[str]] = {}
        for name in pictures:
            file = name.rpartition("/")[2]
            # tables often leave the suffix out
            for end in {file, file.rpartition(".")[0]}:
                self._by_end.setdefault(end, []).append(name)

    def find(self, path: str, table: str) -> str | None:
        """Return a picture by its path from the table or the top, or by a file name that occurs once."""
        path = path.replace("\\", "/").removeprefix("./")
        folder = table.rpartition("/")[0]
        for name in (f"{folder}/{path}" if folder else path, path):
            if name in self._pictures:
                return name
        ends = self._by_end.get(path.rpartition("/")[2], [])
        same = [name for name in ends if name.endswith("/" + path)] or ends
        # two pictures of that name: better none than the wrong one
        return same[0] if len(same) == 1 else None
