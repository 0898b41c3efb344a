"""Recognises sets for object detection, whose pictures have boxes instead of one class each."""

import re
from collections.abc import Callable, Iterator

from edge_app.datasets.contents import Listing
from edge_app.errors import InputError

LOOK_AT = 8
"""Files of a kind that are looked into."""
START = 1 << 20
"""Bytes of them."""
_MARKS = (
    # three of five: exports leave some out, and the file may be cut at START
    ("COCO", ".json", 3, (b'"images"', b'"annotations"', b'"categories"', b'"file_name"', b'"bbox"')),
    ("LabelMe", ".json", 2, (b'"shapes"', b'"points"')),
    ("VIA", ".json", 2, (b'"regions"', b'"shape_attributes"')),
    ("CreateML", ".json", 2, (b'"annotations"', b'"coordinates"')),
    ("Pascal VOC", ".xml", 1, (b"<bndbox",)),
    ("CVAT", ".xml", 2, (b"<annotations", b"<box")),
)
"""Format, suffix of its files, how many of the marks they have, the marks."""
_YOLO_LINE = re.compile(rb"\s*\d+(\s+-?[0-9.eE+-]+){4,}\s*")


def refuse_detection(listing: Listing) -> None:
    """Raise InputError, with the way out, if the data set is one for object detection."""
    for find in (_marked, _yolo, _table):
        found = find(listing)
        if found is not None:
            kind, example = found
            raise InputError(
                f"data set {listing.title}: for object detection ({kind}, see {example}): its pictures have boxes "
                "instead of one class each. Export it as a classification set with one folder for each class, or cut "
                "the boxes out into such folders"
            )


def _marked(listing: Listing) -> tuple[str, str] | None:
    jsons = _some(listing, lambda name: name.endswith(".json"))
    xmls = _some(listing, lambda name: name.endswith(".xml"))
    for name in (*jsons, *xmls):
        text = _content(listing, name)
        for kind, suffix, least, marks in _MARKS:
            if name.lower().endswith(suffix) and sum(mark in text for mark in marks) >= least:
                return kind, name
    return None


def _yolo(listing: Listing) -> tuple[str, str] | None:
    """Boxes in a text file with the name of the picture, beside it or in labels/ beside images/."""
    pictures = {_stem(name).replace("/images/", "/labels/") for name in listing.pictures}
    # a text file of another name may be a readme with numbers
    pictures |= {_stem(name) for name in listing.pictures}
    for name in _some(listing, lambda name: name.endswith(".txt") and _stem(name) in pictures):
        lines = [line for line in _content(listing, name).splitlines() if line.strip()]
        if lines and all(_YOLO_LINE.fullmatch(line) for line in lines):
            return "YOLO", name
    return None


def _table(listing: Listing) -> tuple[str, str] | None:
    for name in _some(listing, lambda name: name.endswith((".csv", ".tsv"))):
        head = _content(listing, name).partition(b"\n")[0].lower()
        if b"xmin" in head or b"x_min" in head or b"bbox" in head:
            return "a table of boxes", name
    return None


def _some(listing: Listing, wanted: Callable[[str], bool]) -> Iterator[str]:
    found = 0
    for name in listing.others:
        if wanted(name.lower()) and found < LOOK_AT:
            found += 1
            yield name


def _content(listing: Listing, name: str) -> bytes:
    try:
        return listing.source.start(name, START)
    except InputError:
        return b""


def _stem(name: str) -> str:
    folder, slash, file = ("/" + name.lower()).rpartition("/")
    return folder + slash + file.rpartition(".")[0]
