"""The labelled pictures of a data set, in a folder or an archive: for `teach --folder`, `evaluate` and uploads."""

from functools import partial
from pathlib import Path

from edge_app.closing import Closing
from edge_app.datasets.contents import Item, Listing
from edge_app.datasets.layouts import recognise
from edge_app.datasets.listing import LeftOut, is_clutter, is_picture
from edge_app.datasets.sources import MAX_FILES, Source, open_source
from edge_app.errors import InputError
from edge_app.text import composed


class Dataset(Closing):
    """The labelled pictures of a folder, a zip or a tar archive; closes it as a context manager.

    Raises InputError when the path is none of these, or its layout is not one of `layouts`.
    """

    def __init__(self, path: str | Path, encoding: str | None = None, *, source: Source | None = None) -> None:
        """`encoding` is that of names in a zip that are not UTF-8; None: cp437.

        With `source` its files are used, and `path` is only the name in messages.
        """
        self.path = Path(path)
        self._source = source or open_source(self.path, encoding)
        try:
            listing, left_out = list_files(self._source, str(self.path))
            layout = recognise(listing)
            self.layout = layout.kind
            """How the data set is laid out, for people."""
            self.exported = layout.explicit
            """Whether edge-app exported it: then its pictures are an encoder's input."""
            self.items: tuple[Item, ...] = layout.items
            """All pictures, sorted by split, class and name."""
            self.splits: tuple[str, ...] = tuple(sorted({item.split for item in self.items if item.split}))
            """Names of the split folders; empty for a data set without splits."""
            self.classes: tuple[str, ...] = tuple(sorted({item.label for item in self.items}))
            """The classes that have a picture."""
            self.empty_classes: tuple[str, ...] = self._find_empty(layout.class_depth)
            """Class folders without a picture in any split."""
        except BaseException:
            self._source.close()
            raise
        self.left_out: tuple[LeftOut, ...] = (*left_out, *layout.left_out)
        """Files that are not used, each with the reason."""
        self.notes: tuple[str, ...] = tuple(self._source.notes)
        """Remarks on folders that were not followed."""

    def require_classes(self) -> None:
        """Raise InputError, with the way out, if there is only one class."""
        if len(self.classes) < 2:
            raise InputError(
                f"data set {self.path}: all pictures are of the class {self.classes[0]!r}; expected at least two "
                "classes. If they are elsewhere, name that folder; to teach one class: edge-app teach CLASS FILE..."
            )

    def read(self, item: Item) -> bytes:
        """Return the picture file's bytes. Raises InputError."""
        return self._source.read(item.name)

    def close(self) -> None:
        """Close the archive; harmless to repeat."""
        self._source.close()

    def _find_empty(self, depth: int | None) -> tuple[str, ...]:
        if depth is None:
            return ()
        # folders beside the splits are no classes
        tops = {item.name.split("/")[0] for item in self.items} if depth > 1 else None
        found = set()
        for folder in self._source.folders():
            parts = folder.split("/")
            if len(parts) == depth and not any(map(is_clutter, parts)) and (tops is None or parts[0] in tops):
                found.add(composed(parts[-1]))
        return tuple(sorted(found - set(self.classes)))


def list_files(source: Source, title: str) -> tuple[Listing, list[LeftOut]]:
    """Return the files of a data set sorted by what they are, and those that are left out. Raises InputError."""
    pictures, others, left_out = [], [], []
    for count, name in enumerate(source.names()):
        # counted while they are listed: a wrong folder, such as /, is noticed before the memory is full
        if count >= MAX_FILES:
            raise InputError(f"data set {title}: more than {MAX_FILES:,} files; name a smaller folder")
        parts = name.split("/")
        # archives may hold any name; files are named by these paths in messages and stored as sources
        if name.startswith("/") or ".." in parts or "" in parts or "\0" in name:
            left_out.append(LeftOut(name, "its name leads out of the data set"))
        elif any(is_clutter(part) for part in parts):
            left_out.append(LeftOut(name, "hidden, or made by the operating system"))
        elif is_picture(parts[-1], partial(source.start, name)):  # read only if the suffix tells nothing
            pictures.append(name)
        else:
            others.append(name)
            left_out.append(LeftOut(name, "not a picture"))
    return Listing(title, source, tuple(pictures), tuple(others)), left_out
