"""Recognises sets for object detection, whose pictures have boxes instead of one class each."""

import re
from collections.abc import Callable, Iterator

from edge_app.datasets.contents import Listing
from edge_app.errors import InputError

LOOK_AT = 8
"""Files of a kind that are looked into."""
START = 1 << 20
"""Bytes of them."""
_COCO = (b'"images"', b'"annotations"', b'"categories"', b'"file_name"', b'"bbox"')
_YOLO_LINE = re.compile(rb"\s*\d+(\s+-?[0-9.eE+-]+){4,}\s*")


def refuse_detection(listing: Listing) -> None:
    """Raise InputError, with the way out, if the data set is one for object detection."""
    for kind, find in (("COCO", _coco), ("YOLO", _yolo), ("Pascal VOC", _voc), ("a table of boxes", _table)):
        example = find(listing)
        if example is not None:
            raise InputError(
                f"data set {listing.title}: for object detection ({kind}, see {example}): its pictures have boxes "
                "instead of one class each. Export it as a classification set with one folder for each class, or cut "
                "the boxes out into such folders"
            )


def _coco(listing: Listing) -> str | None:
    for name in _some(listing, lambda name: name.endswith(".json")):
        text = _content(listing, name)
        # three of five: exports leave some out, and the file may be cut at START
        if sum(mark in text for mark in _COCO) >= 3:
            return name
    return None


def _yolo(listing: Listing) -> str | None:
    """Boxes in a text file with the name of the picture, beside it or in labels/ beside images/."""
    pictures = {_stem(name).replace("/images/", "/labels/") for name in listing.pictures}
    # a text file of another name may be a readme with numbers
    pictures |= {_stem(name) for name in listing.pictures}
    for name in _some(listing, lambda name: name.endswith(".txt") and _stem(name) in pictures):
        lines = [line for line in _content(listing, name).splitlines() if line.strip()]
        if lines and all(_YOLO_LINE.fullmatch(line) for line in lines):
            return name
    return None


def _voc(listing: Listing) -> str | None:
    for name in _some(listing, lambda name: name.endswith(".xml")):
        if b"<bndbox" in _content(listing, name):
            return name
    return None


def _table(listing: Listing) -> str | None:
    for name in _some(listing, lambda name: name.endswith((".csv", ".tsv"))):
        head = _content(listing, name).partition(b"\n")[0].lower()
        if b"xmin" in head or b"x_min" in head or b"bbox" in head:
            return name
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
